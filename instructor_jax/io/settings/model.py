"""What config_sentence_transformers.json says of a whole model: obeyed, known to be harmless, or refused by name.

The table was made from sentence-transformers 2.2.2 to 6.2 (`SentenceTransformer.save`, `base/model.py`,
`sentence_transformer/model.py`).
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instructor_jax.io.json_files import Fields, described, read_json, shown_value

MODEL_SETTINGS = "config_sentence_transformers.json"
SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")

_HARMLESS = (
    "__version__",  # who wrote the file
    "requirements",  # versions of PyTorch's packages that the author's code needs (6.1 on); none of them is used here
)


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """What the file says.

    Attributes:
        prompts: instructions by name.
        default_prompt_name: the one used when none is given.
        similarity: how vectors are to be compared, one of `SIMILARITIES`; None where nothing is said.
    """

    prompts: dict[str, str] = dataclasses.field(default_factory=dict)
    default_prompt_name: str | None = None
    similarity: str | None = None


def read_model_settings(root: Path, dimensions: int) -> ModelSettings:
    """Reads a folder's file, which may be absent.

    Args:
        root: the model's folder.
        dimensions: the size of its vectors.

    Raises:
        ValueError: a value has a wrong type, another kind of model is meant, the vectors are to be cut, the default
            prompt is none of the prompts, or a key is unknown.
    """
    file = root / MODEL_SETTINGS
    if not file.is_file():
        return ModelSettings()
    fields = Fields(read_json(file), file)
    fields.ignore(_HARMLESS)
    fields.require({"model_type": ("SentenceTransformer",)}, "another kind of model")
    # Its vectors are cut without giving them unit length again, which `encode(truncate_dim=...)` does here.
    if fields.whole("truncate_dim", dimensions, least=1) < dimensions:
        raise ValueError(
            f"{file} has truncate_dim={fields.any('truncate_dim')}, which cuts vectors; not supported. Remove it, and "
            "give truncate_dim to encode."
        )
    prompts = _prompts(fields)
    default = fields.text("default_prompt_name") if "default_prompt_name" in fields else None
    if default is not None and default not in prompts:
        listed = ", ".join(shown_value(name) for name in list(prompts)[:10]) or "none"
        raise ValueError(f"default_prompt_name={shown_value(default)} in {file} is none of its prompts ({listed}).")
    similarity = fields.text("similarity_fn_name") if "similarity_fn_name" in fields else None
    if similarity not in (None, *SIMILARITIES):
        raise ValueError(
            f"{file} has similarity_fn_name={shown_value(similarity)}; it must be one of {', '.join(SIMILARITIES)}."
        )
    fields.refuse_unread()
    return ModelSettings(prompts, default, similarity)


def _prompts(fields: Fields) -> dict[str, str]:
    """Returns the named instructions; sentence-transformers writes null for one that was never set, and reads ""."""
    prompts: Any = fields.any("prompts", {})
    if not isinstance(prompts, Mapping):
        raise ValueError(f"prompts in {fields.where} must be an object of strings by name, not {described(prompts)}.")
    for name, prompt in prompts.items():
        if prompt is not None and not isinstance(prompt, str):
            raise ValueError(
                f"prompt {shown_value(name)} in {fields.where} is {described(prompt)}; it must be a string."
            )
    return {name: prompt or "" for name, prompt in prompts.items()}
