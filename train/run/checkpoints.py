"""Checkpoints of a run: saved in the background, complete or not there, restored onto any mesh.

Orbax writes beside and renames, so a checkpoint that a kill interrupted is never seen. The state is kept as plain
dictionaries of arrays by name, so that it does not depend on how Optax nests its own; the position in the data is the
step number itself.
"""

import contextlib
import importlib.metadata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy

from instructor_jax.io.printable import one_line

from ..export.whole_state import whole_state
from ..settings.sections import CheckpointConfig
from ..step import TrainState

_PACKAGES = ("instructor-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "grain")
_UNKNOWN = -1.0  # held-out accuracy of a state that was not measured


class Checkpoints:
    """The checkpoints in a folder. Every process of a run calls every method, in the same order."""

    def __init__(self, folder: Path, config: CheckpointConfig, own: bool = False) -> None:
        """
        Args:
            folder: Folder of the checkpoints, made if it is not there.
            config: Settings of how many are kept.
            own: Whether each of several processes has a folder of its own. The first one then writes all of a state;
                every process reads its own copy, which must be there.
        """
        latest = preservation_policy.LatestN(config.keep)
        best = preservation_policy.BestN(get_metric_fn=_accuracy, n=1, keep_checkpoints_without_metrics=False)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=preservation_policy.AnyPreservationPolicy([latest, best]), best_fn=_accuracy
        )
        self._folder, self._own = folder, own
        if own:
            index = jax.process_index()
            options.multiprocessing_options = ocp.options.MultiprocessingOptions(
                primary_host=index, active_processes={index}, barrier_sync_key_prefix=f"process_{index}"
            )
            options.create = False  # Orbax makes none where a process is alone
        with self._told("the checkpoints"):
            folder.mkdir(parents=True, exist_ok=True)
            self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    @property
    def latest(self) -> int | None:
        """Returns the step of the latest complete checkpoint."""
        return self._manager.latest_step()

    @property
    def best(self) -> int | None:
        """Returns the step of the complete checkpoint with the best held-out accuracy; None where none was measured."""
        measured = {step: _accuracy(self._manager.metrics(step) or {}) for step in self._manager.all_steps()}
        best = max(measured, key=lambda step: (measured[step], step), default=None)
        return best if best is not None and measured[best] > _UNKNOWN else None

    def save(self, state: TrainState, about: Mapping[str, Any], accuracy: float | None = None) -> None:
        """Starts to save a state; returns when it is copied, and writes in the background.

        Args:
            state: State after `state.step` updates; may be given away (donated) afterwards.
            about: What is to be found beside it, as JSON: configuration, fingerprints.
            accuracy: Held-out accuracy of this state, where it was measured.

        Raises:
            OSError: It cannot be written, or an earlier one could not.
        """
        with self._told("a checkpoint"):
            self._manager.check_for_errors()
        step, arrays = int(state.step), _plain(state)
        if self._own:
            arrays = whole_state(arrays, jax.sharding.get_mesh())
        if arrays is None or step in self._manager.all_steps():
            return
        args = ocp.args.Composite(
            state=ocp.args.StandardSave(arrays),  # type: ignore[call-arg]
            about=ocp.args.JsonSave({**about, "step": step, "versions": versions()}),  # type: ignore[call-arg]
        )
        with self._told(f"the checkpoint of step {step}"):
            self._manager.save(step, args=args, metrics={} if accuracy is None else {"accuracy": accuracy})

    def about(self, step: int) -> dict[str, Any]:
        """Returns what was noted beside the state of a step.

        Raises:
            ValueError: The checkpoint is damaged.
        """
        try:
            found = self._manager.restore(step, args=ocp.args.Composite(about=ocp.args.JsonRestore()))["about"]
        except Exception as error:  # Orbax and its stores meet damage with whatever that gives
            raise self._damaged(step, error) from error
        if not isinstance(found, dict):
            raise self._damaged(step, ValueError("what is noted there is no JSON object"))
        return found

    def restore(self, step: int, abstract: TrainState, shardings: TrainState) -> TrainState:
        """Restores the state of a step, each array where it belongs on the present mesh, however it was saved.

        Args:
            step: Step of a checkpoint that is there.
            abstract: Shapes of the state.
            shardings: Places where its arrays go.

        Raises:
            ValueError: The checkpoint does not hold such a state, or is damaged.
        """
        places = jax.tree.map(
            lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), abstract, shardings
        )
        args = ocp.args.Composite(state=ocp.args.StandardRestore(_plain(places)))  # type: ignore[call-arg]
        names, tree = _names(abstract)
        try:
            found = self._manager.restore(step, args=args)["state"]
            return jax.tree.unflatten(tree, [found[name] for name in names])
        except Exception as error:
            raise self._damaged(step, error) from error

    def wait(self) -> None:
        """Waits until all that was saved is complete.

        Raises:
            OSError: A save failed.
        """
        with self._told("a checkpoint"):
            self._manager.wait_until_finished()
            self._manager.check_for_errors()

    def close(self) -> None:
        """Waits, and frees the threads that write."""
        self._manager.close()

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turns what Orbax or the file system raises into one error that says where."""
        try:
            yield
        except Exception as error:
            reason = one_line(f"{type(error).__name__}: {error}", 300)
            raise OSError(f"{what} in {self._folder} cannot be read or written: {reason}") from error

    def _damaged(self, step: int, error: Exception) -> ValueError:
        reason = one_line(f"{type(error).__name__}: {error}", 300)
        return ValueError(
            f"the checkpoint {self._folder / str(step)} cannot be read ({reason}). If damaged, delete its folder; "
            "the same command then goes on from the one before it, or from the beginning."
        )


def _accuracy(metrics: Mapping[str, float]) -> float:
    return metrics.get("accuracy", _UNKNOWN)


def versions() -> dict[str, str]:
    """Returns the versions of the packages that decide what a run computes."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def _names(tree: Any) -> tuple[list[str], Any]:
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
    return [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves], structure


def _plain(state: Any) -> dict[str, Any]:
    names, _ = _names(state)
    return dict(zip(names, jax.tree.leaves(state), strict=True))
