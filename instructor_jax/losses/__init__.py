"""Losses: pure functions on the vectors of a global batch, with one value for every row.

A loss takes `Pairs` and gives `RowLosses`; under `jax.set_mesh` the rows may lie on any number of devices. The names
below are resolved on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

# In the order in which one meets them; the value names the module that holds the object.
_LOCATIONS = {
    # What a loss takes and gives
    "Pairs": "records",
    "RowLosses": "records",
    "Scoring": "records",
    # Losses of queries with a positive and hard negatives
    "in_batch_loss": "contrastive",
    "original_loss": "contrastive",
    "matryoshka": "contrastive",
    # Of scored pairs, and of a teacher's vectors
    "ranking_loss": "cosent",
    "similarity_loss": "distillation",
    "vector_loss": "distillation",
    # For a loss of your own: every row against the columns of all devices, in linear memory
    "against_all": "blockwise",
}

if TYPE_CHECKING:
    from instructor_jax.losses.blockwise import against_all
    from instructor_jax.losses.contrastive import in_batch_loss, matryoshka, original_loss
    from instructor_jax.losses.cosent import ranking_loss
    from instructor_jax.losses.distillation import similarity_loss, vector_loss
    from instructor_jax.losses.records import Pairs, RowLosses, Scoring

__all__ = [
    "Pairs",
    "RowLosses",
    "Scoring",
    "against_all",
    "in_batch_loss",
    "matryoshka",
    "original_loss",
    "ranking_loss",
    "similarity_loss",
    "vector_loss",
]


def __getattr__(name: str) -> Any:
    if name not in _LOCATIONS:
        raise AttributeError(f"module 'instructor_jax.losses' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"instructor_jax.losses.{_LOCATIONS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
