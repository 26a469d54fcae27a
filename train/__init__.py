"""Training: from the settings of a run, or from its parts, for those who change what a run does.

The names below are resolved on first use, so that `import instructor_jax.train` imports no JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

# In the order in which a researcher meets them; the value names the module that holds the object.
_LOCATIONS = {
    # A whole run
    "train": "training",
    "RunConfig": "settings.run_config",
    "Outcome": "run.loop",
    "prepare": "run.preparation",
    "Recipe": "recipe_files",
    # Examples from memory
    "Example": "data.examples",
    "Side": "data.examples",
    "Columns": "medi.rows",
    "from_memory": "medi.memory",
    # A loss
    "LossInputs": "own_loss",
    "OwnLoss": "own_loss",
    "pairs_of": "objective",
    # One step
    "TrainConfig": "config",
    "TrainState": "step",
    "PairBatch": "data.batches",
    "new_state": "step",
    "train_step": "step",
}

if TYPE_CHECKING:
    from . import recipes
    from .config import TrainConfig
    from .data.batches import PairBatch
    from .data.examples import Example, Side
    from .medi.memory import from_memory
    from .medi.rows import Columns
    from .objective import pairs_of
    from .own_loss import LossInputs, OwnLoss
    from .recipe_files import Recipe
    from .run.loop import Outcome
    from .run.preparation import prepare
    from .settings.run_config import RunConfig
    from .step import TrainState, new_state, train_step
    from .training import train

__all__ = [
    "Columns",
    "Example",
    "LossInputs",
    "Outcome",
    "OwnLoss",
    "PairBatch",
    "Recipe",
    "RunConfig",
    "Side",
    "TrainConfig",
    "TrainState",
    "from_memory",
    "new_state",
    "pairs_of",
    "prepare",
    "recipes",
    "train",
    "train_step",
]


def __getattr__(name: str) -> Any:
    if name == "recipes":
        return importlib.import_module("instructor_jax.train.recipes")
    if name not in _LOCATIONS:
        raise AttributeError(f"module 'instructor_jax.train' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"instructor_jax.train.{_LOCATIONS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
