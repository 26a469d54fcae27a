"""A training run's checkpoint read as a model, on any machine: parameter by parameter, without the optimizer's state.

Beside its checkpoints a run keeps the folder `model_settings`: all of its model but the weights. How the devices were
arranged when a checkpoint was saved does not matter; each array is read whole, on the CPU.
"""

import dataclasses
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from instructor_jax.backbones.weight_names import Entry
from instructor_jax.io.folders import read_folder
from instructor_jax.io.json_files import read_json
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.own_folder import import_orbax
from instructor_jax.io.printable import one_line
from instructor_jax.io.run_layout import CHECKPOINTS, MODEL, MODEL_SETTINGS
from instructor_jax.io.weights.names import check_float, table
from instructor_jax.io.weights.pieces import Piece, assembled, pieces

_STEP = re.compile(r"0|[1-9]\d{0,17}", re.ASCII)
_PREFIX = "params"  # of the names of the weights in a checkpoint, before a dot
Step = int | str  # of a checkpoint, or "best", or "latest"


@dataclasses.dataclass(frozen=True)
class RunCheckpoint:
    """One checkpoint of a run, opened as a model.

    Attributes:
        folder: Configuration, prompts and tokenizer of the model.
        step: Step of the checkpoint.
        state: Folder of its arrays.
        dtype: Type in which the run wants its weights written.
    """

    folder: ModelFolder
    step: int
    state: Path
    dtype: str

    def pieces(self) -> Iterator[Piece]:
        """Yields its weights piece by piece; one parameter is in memory at a time.

        Raises:
            ValueError: A weight is missing, has another shape than the configuration says, or cannot be read.
            ImportError: Orbax is not installed.
        """
        ocp = import_orbax()
        quiet = logging.getLogger("absl")
        level = quiet.level
        quiet.setLevel(logging.ERROR)  # it warns of a file that is only in whole checkpoints
        try:
            with ocp.PyTreeCheckpointer() as checkpointer:
                there = self._told(lambda: checkpointer.metadata(self.state).item_metadata.tree)
                self._check(there)
                yield from pieces(self.folder.config, lambda entry: self._read(checkpointer, there, entry))
        finally:
            quiet.setLevel(level)

    def params(self) -> dict[str, Any]:
        """Returns all weights as our nested parameters.

        Raises:
            ValueError: As for `pieces`.
        """
        return assembled(self.pieces(), self.folder.config)

    def _check(self, there: Any) -> None:
        """Compares names, shapes and types of what is there with the configuration, before anything is read."""
        if not isinstance(there, dict):
            raise ValueError(f"{self.state} holds no weights of a run.")
        names = {_name(entry): entry for entry in table(self.folder.config)}
        unknown = [name for name in there if name.startswith(f"{_PREFIX}.") and name not in names]
        missing = [name for name in names if name not in there]
        if unknown or missing:
            name, word = (missing[0], "lacks") if missing else (unknown[0], "holds the unknown")
            raise ValueError(f"{self.state} {word} weight {one_line(name, 200)}; it is not of the run's model.")
        for name, entry in names.items():
            expected = entry.stacked_shape(self.folder.config.encoder.layers)
            if tuple(there[name].shape) != expected:
                raise ValueError(f"{self.state}: {name} has shape {tuple(there[name].shape)}; expected is {expected}.")
            check_float(name, there[name].dtype)

    def _read(self, checkpointer: Any, there: Any, entry: Entry) -> Callable[[int | None], np.ndarray]:
        ocp, name = import_orbax(), _name(entry)
        args = ocp.args.PyTreeRestore(
            item={name: there[name]},
            restore_args={name: ocp.RestoreArgs(restore_type=np.ndarray)},
            partial_restore=True,
        )
        whole = np.asarray(self._told(lambda: checkpointer.restore(self.state, args=args)[name]))
        return lambda layer: whole if layer is None else whole[layer]

    def _told(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except Exception as error:  # Orbax and TensorStore raise many kinds
            reason = one_line(f"{type(error).__name__}: {error}", 300)
            raise ValueError(f"the checkpoint {self.state.parent} cannot be read ({reason}).") from error


def _name(entry: Entry) -> str:
    return ".".join((_PREFIX, *entry.path))


def is_run(path: Path) -> bool:
    """Returns whether a folder is one of a training run, its folder of checkpoints, or one of these."""
    return _parts(path) is not None


def open_checkpoint(path: Path, step: Step = "latest") -> RunCheckpoint:
    """Opens a checkpoint of a run.

    Args:
        path: Folder of the run, its folder `checkpoints`, or a checkpoint in that.
        step: Step of the checkpoint, "latest", or "best" for the one with the greatest held-out accuracy; not asked
            where `path` names a checkpoint.

    Raises:
        ValueError: There is no such checkpoint, or what the run notes beside it cannot be read.
    """
    parts = _parts(path)
    if parts is None:
        raise ValueError(f"{path} is no folder of a training run: it has no {CHECKPOINTS} with a finished checkpoint.")
    run, given = parts
    steps = _steps(run / CHECKPOINTS)
    chosen = given if given is not None else _chosen(run, steps, step)
    checkpoint = run / CHECKPOINTS / str(chosen)
    about = read_json(checkpoint / "about" / "metadata")
    settings = about.get("run")
    dtype = settings.get("export", "float32") if isinstance(settings, dict) else "float32"
    if dtype not in ("float32", "bfloat16", "float16"):
        raise ValueError(f"{checkpoint} says export={one_line(repr(dtype), 60)}, which is no type of weights.")
    return RunCheckpoint(_model(run), chosen, (checkpoint / "state").absolute(), dtype)  # Orbax needs it so


def _model(run: Path) -> ModelFolder:
    place = next((run / name for name in (MODEL_SETTINGS, MODEL) if (run / name).is_dir()), None)
    if place is None:
        raise ValueError(
            f"{run} has no {MODEL_SETTINGS}, where a run notes what its model is; it was made by an older version. Go "
            "on with its train command once, which notes it."
        )
    return read_folder(place)


def _parts(path: Path) -> tuple[Path, int | None] | None:
    """Returns the run's folder and, where the path names a checkpoint, its step."""
    if path.is_dir() and _steps(path / CHECKPOINTS):
        return path, None
    whole = path.absolute()
    if whole.name == CHECKPOINTS and _steps(whole):
        return whole.parent, None
    if whole.parent.name == CHECKPOINTS and _STEP.fullmatch(whole.name) and int(whole.name) in _steps(whole.parent):
        return whole.parent.parent, int(whole.name)
    return None


def _steps(checkpoints: Path) -> list[int]:
    """Returns the steps of the finished checkpoints; Orbax gives unfinished ones another name."""
    if not checkpoints.is_dir():
        return []
    found = [one for one in checkpoints.iterdir() if _STEP.fullmatch(one.name) and (one / "state").is_dir()]
    return sorted(int(one.name) for one in found)


def _chosen(run: Path, steps: list[int], step: Step) -> int:
    if step == "latest":
        return steps[-1]
    if step == "best":
        measured = {number: accuracy for number in steps if (accuracy := _accuracy(run, number)) is not None}
        if not measured:
            raise ValueError(f"{run} has no checkpoint whose held-out accuracy was measured; name a step.")
        return max(measured, key=lambda number: (measured[number], number))
    if step not in steps:
        there = ", ".join(map(str, steps[-10:]))
        raise ValueError(f"{run} has no checkpoint of step {step}; there are {there}.")
    return int(step)


def _accuracy(run: Path, step: int) -> float | None:
    file = run / CHECKPOINTS / str(step) / "metrics" / "metrics"
    value = read_json(file).get("accuracy") if file.is_file() else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
