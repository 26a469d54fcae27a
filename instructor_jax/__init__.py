"""INSTRUCTOR text embeddings in JAX: one embedder, any task, steered by an instruction.

The names below are resolved on first use, so that `import instructor_jax` costs milliseconds and imports no JAX.
"""

import importlib
from typing import TYPE_CHECKING

from instructor_jax.version import __version__

# In the order in which a newcomer meets them; the value names the module that holds the object.
_LOCATIONS = {
    # Embedding text
    "Instructor": "embedder",
    "INSTRUCTOR": "drop_in.original",
    "Instruction": "text.instructions",
    # For training and research: texts -> one static batch -> vectors -> a loss of `losses`, or your own
    "pack": "text.static_batch",
    "embed": "nn.model",
    "init_params": "nn.model",
    "TokenBatch": "text.batches",
    # The model and its sizes
    "EncoderConfig": "config",
    "ModelConfig": "config",
}

if TYPE_CHECKING:
    from instructor_jax import losses
    from instructor_jax.config import EncoderConfig, ModelConfig
    from instructor_jax.drop_in.original import INSTRUCTOR
    from instructor_jax.embedder import Instructor
    from instructor_jax.nn.model import embed, init_params
    from instructor_jax.text.batches import TokenBatch
    from instructor_jax.text.instructions import Instruction
    from instructor_jax.text.static_batch import pack

__all__ = [
    "INSTRUCTOR",
    "EncoderConfig",
    "Instruction",
    "Instructor",
    "ModelConfig",
    "TokenBatch",
    "__version__",
    "embed",
    "init_params",
    "losses",
    "pack",
]


def __getattr__(name: str):
    if name == "losses":  # a package, which is lazy itself
        return importlib.import_module("instructor_jax.losses")
    if name not in _LOCATIONS:
        raise AttributeError(f"module 'instructor_jax' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"instructor_jax.{_LOCATIONS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
