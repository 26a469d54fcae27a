"""What a folder says about a model, weights aside, and the names of the files that count."""

import dataclasses
from pathlib import Path

import numpy as np

from instructor_jax.config import ModelConfig

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "spiece.model",
)

# Files beside an encoder that change what transformers does with a text (`AutoProcessor`, 5.24).
PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json")
# ... and those that do so only in a folder without modules.json, where sentence-transformers 6 takes the text for the
# message of a chat (`Transformer.infer_modalities`).
CHAT_TEMPLATES = ("chat_template.jinja", "chat_template.json", "additional_chat_templates")


@dataclasses.dataclass(frozen=True)
class ModelFolder:
    """Everything a folder says about a model, weights aside.

    Attributes:
        path: where the encoder's settings, its weights and the tokenizer lie: the model's folder itself, or the one
            that its modules.json names, such as 0_Transformer.
        config: the model's shape.
        prompts: sentence-transformers' named instructions.
        default_prompt_name: the one used when none is given.
        int8_ranges: calibrated ranges [2, dim] by number of dimensions.
        root: the model's folder where that is another one than `path`.
        dense: the folders of the dense layers' weights and of the projection's, in their order, where
            sentence-transformers' modules name them.
        similarity_fn_name: how vectors are to be compared: "cosine", "dot", "euclidean" or "manhattan"; None where the
            folder says nothing.
    """

    path: Path
    config: ModelConfig
    prompts: dict[str, str] = dataclasses.field(default_factory=dict)
    default_prompt_name: str | None = None
    int8_ranges: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)
    root: Path | None = None
    dense: tuple[Path, ...] = ()
    similarity_fn_name: str | None = None

    @property
    def whole(self) -> Path:
        """The model's folder with everything that belongs to it."""
        return self.root or self.path
