"""The card of a folder that has none: what can be read off the folder, and the lines that a person has to fill in."""

import json
from pathlib import Path

from instructor_jax.backbones.registry import backbone_of
from instructor_jax.config import parameter_count
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.printable import printable
from instructor_jax.markdown import escaped
from instructor_jax.version import __version__

CARD = "README.md"
_TAGS = ("sentence-transformers", "feature-extraction", "sentence-similarity")


def folder_card(folder: ModelFolder, repo_id: str) -> str:
    """Returns a model card in Markdown, with the head that the hub reads.

    Args:
        folder: The model's folder.
        repo_id: Name of the repository, as in `organisation/model`.
    """
    from huggingface_hub import ModelCardData

    config = folder.config
    family = backbone_of(config.encoder).title
    head = ModelCardData(
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        license="unknown",
        tags=[*_TAGS, family.lower(), "instruction", "instructor-jax"],
    )
    name = printable(json.dumps(repo_id, ensure_ascii=False))
    prompts = "".join(f"- `{escaped(key)}`: {escaped(text)}\n" for key, text in folder.prompts.items())
    return f"""---
{head.to_yaml()}
---

# {escaped(repo_id.rpartition("/")[2])}

Text embeddings steered by an instruction: vectors of {config.embedding_dim} dimensions, for texts of up to
{config.max_length} tokens with their instruction. {family} encoder of {config.encoder.layers} layers,
{parameter_count(config):,} weights. Written by instructor-jax {__version__}.

## Use

```python
from instructor_jax import Instructor

model = Instructor.from_pretrained({name})
vectors = model.encode(["A river in the north"], instruction="Represent the sentence: ")
```
{f"{chr(10)}Prompts of the folder:{chr(10)}{chr(10)}{prompts}" if prompts else ""}
## Training data

Not stated.
"""


def has_card(folder: Path) -> bool:
    """Returns whether a folder has a card of its own."""
    return (folder / CARD).is_file()
