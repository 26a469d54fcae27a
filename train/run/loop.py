"""The training loop: batches to the step, metrics to the log, states to the checkpoints, until done or stopped.

All of a run's state is in its folder, and all that decides a step is the state and the step's number. So the same call
starts a run or continues it, after a kill too, on as many devices as there are now.
"""

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from instructor_jax.compilation import compiler_options, enable_cache
from instructor_jax.nn.model import Params, init_params
from instructor_jax.progress import progress_over
from instructor_jax.sharding import named_sharding

from ..compiled_step import compiled_step
from ..data.pipeline import host_batches, to_devices
from ..export.sharded_pieces import sharded_pieces
from ..metrics import TaskSums
from ..own_loss import loss_name
from ..settings.flat import flat
from ..step import TrainState, abstract_state, held_out_sums, new_state, state_shardings
from ..watch.goodput import Goodput, lost_seconds
from ..watch.hang import HangWatch
from ..watch.save_interval import SaveInterval
from ..watch.trace import TraceWindow
from .checkpoints import Checkpoints
from .config_check import check_same_run, require_same_config
from .distributed import is_main
from .export import export, note_model
from .metrics_file import FILE, read_lines
from .metrics_logger import MetricsLogger, OnMetrics
from .parameters import placed_params
from .preemption import StopRequest
from .prepared import Prepared
from .run_folder import CHECKPOINTS as CHECKPOINTS  # where a run's results lie: one place to ask
from .run_folder import HLO, PROFILE, held, is_own_copy, require_seen_by_all
from .run_folder import MODEL as MODEL

logger: logging.Logger = logging.getLogger(__name__)

Evaluate = Callable[[Params], dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended.

    Attributes:
        step: Number of updates made by now.
        finished: Whether these are all; else the run was asked to stop, and goes on when called again.
        accuracy: Held-out accuracy of the last state; None where it was not measured.
        model: Folder of the trained model; it is there once the run is finished.
    """

    step: int
    finished: bool
    accuracy: float | None
    model: Path


def train(
    prepared: Prepared,
    stop: StopRequest | None = None,
    evaluate: Evaluate | None = None,
    on_metrics: OnMetrics | None = None,
) -> Outcome:
    """Trains until all steps are made or a stop is requested, from the latest checkpoint if there is one.

    Args:
        prepared: Run to make.
        stop: Request that is looked at after every step; a requested stop saves and returns.
        evaluate: Function that is called on every process with the parameters as they lie on the mesh, split over the
            devices, every `evaluation.every` steps; its figures go to the metrics. `Instructor(folder, params,
            mesh=prepared.mesh)` computes with them where they are; they are gone after the next step.
        on_metrics: Function that is called on process 0 with the step and a dict of figures for every line of
            metrics.jsonl.

    Raises:
        NonFiniteLoss: A loss is not finite.
        ValueError: The folder holds a run with other settings or data, or damaged checkpoints; or another run is in it;
            or another process of this one has other settings, or another folder.
    """
    require_same_config(prepared.run, prepared.fingerprint, prepared.loss and loss_name(prepared.loss))
    enable_cache()
    folder = Path(prepared.run.output)
    with held(folder) if is_main() else contextlib.nullcontext():
        require_seen_by_all(folder)
        checkpoints = Checkpoints(folder / CHECKPOINTS, prepared.run.checkpoints, own=is_own_copy(folder))
        try:
            with jax.set_mesh(prepared.mesh):
                return _Run(prepared, checkpoints, stop or StopRequest(), evaluate, on_metrics).go()
        finally:
            checkpoints.close()


class _Run:
    """The parts of one call of `train`, which share the run's folder and compiled functions."""

    def __init__(
        self,
        prepared: Prepared,
        checkpoints: Checkpoints,
        stop: StopRequest,
        evaluate: Evaluate | None,
        on_metrics: OnMetrics | None,
    ) -> None:
        self.prepared, self.checkpoints, self.stop, self.evaluate = prepared, checkpoints, stop, evaluate
        self.on_metrics = on_metrics
        self.began = time.perf_counter()
        self.config, self.folder = prepared.config, Path(prepared.run.output)
        everywhere = named_sharding(prepared.mesh)
        self.shardings = state_shardings(self.config, prepared.mesh)
        platform = prepared.mesh.devices.flat[0].platform
        jit = partial(jax.jit, compiler_options=compiler_options(platform, self.config.dtype))
        options = prepared.run.compiler.options(str((self.folder / HLO).absolute()))
        self.step = compiled_step(self.config, prepared.mesh, self.shardings, prepared.loss, options)
        self.sums = jit(partial(held_out_sums, self.config, loss=prepared.loss), out_shardings=everywhere)
        self.about: dict[str, Any] = {"run": flat(prepared.run), "fingerprint": prepared.fingerprint}
        if prepared.loss is not None:
            self.about["loss"] = loss_name(prepared.loss)

    def go(self) -> Outcome:
        state, start = self._begin()
        metrics = self.folder / FILE
        lost = lost_seconds(read_lines(metrics), start) if is_main() and metrics.is_file() else 0.0
        self.goodput = Goodput(self.began, lost)
        self.interval = SaveInterval(self.prepared.run.checkpoints.minutes, self.prepared.run.log.every)
        settings = self.about["run"]
        log = MetricsLogger(self.folder, self.config, self.prepared.run.log, start, self.on_metrics, settings)
        try:
            return self._steps(state, start, log)
        finally:
            log.close()

    def _begin(self) -> tuple[TrainState, int]:
        """Returns the state to go on from, and how many steps were made."""
        if is_main():
            note_model(self.prepared)
        latest = self.checkpoints.latest
        if latest is None:
            return self._fresh(), 0
        check_same_run(self.checkpoints.about(latest), self.about, self.folder)
        logger.info("going on from step %d", latest)
        return self.checkpoints.restore(latest, abstract_state(self.config), self.shardings), latest

    def _fresh(self) -> TrainState:
        prepared, config = self.prepared, self.config
        if prepared.starts_from_folder:
            params = placed_params(prepared.folder, config.model, prepared.mesh)
        else:
            params = init_params(config.model, config.seed, prepared.mesh)
        return jax.jit(partial(new_state, config), out_shardings=self.shardings)(params)

    def _steps(self, state: TrainState, start: int, log: MetricsLogger) -> Outcome:
        run, steps, accuracy = self.prepared.run, self.config.steps, None
        trace = TraceWindow(self.folder / PROFILE, run.profile, start)
        with (
            host_batches(self.prepared.batches, steps, start, run.workers, run.prefetch) as batches,
            HangWatch(run.log.hang_seconds) as watch,
            contextlib.closing(trace),
        ):
            if start == 0:
                self._evaluate(state, 0, log)
                self._measure(state, 0, log)
            for number in range(start + 1, steps + 1):
                began = time.perf_counter()
                with self.goodput.of("input"):
                    batch = next(batches)
                waited = time.perf_counter() - began
                trace.before(number)
                with self.goodput.of("steps"):
                    state, metrics = self.step(state, to_devices(batch.batch, self.prepared.mesh, self.config.groups))
                    log.add(metrics, batch, waited)
                trace.after(number, metrics)
                watch.moved(number)
                stopped = self.stop.requested(number)
                last = stopped or number == steps
                saved = last or number % run.checkpoints.every == 0 or self.interval.over(number)
                measured = number % run.held_out.every == 0 or number == steps
                if saved or measured:
                    with self.goodput.of("steps"):
                        log.flush()  # raises where the loss is not finite, before anything of it is kept
                    log.report()  # so that no line is about steps before and after a checkpoint
                self._evaluate(state, number, log)
                accuracy = self._measure(state, number, log) if measured else None
                if saved:
                    self._save(state, start, accuracy, last, log)
                if stopped and number < steps:
                    return Outcome(number, False, accuracy, self.folder / MODEL)
        self._export(state)
        return Outcome(steps, True, accuracy, self.folder / MODEL)

    def _save(self, state: TrainState, start: int, accuracy: float | None, last: bool, log: MetricsLogger) -> None:
        """Saves the state, in the background unless it is the last, and tells where the time went since the one before.

        Args:
            state: State to save.
            start: Step that this call of `train` began at.
            accuracy: Held-out accuracy of the state, where it was measured.
            last: Whether to wait until it is saved.
            log: Where the time is told.
        """
        with self.goodput.of("saving"):
            self.checkpoints.save(state, self.about, accuracy)
            self.interval.begin()
            if last:
                self.checkpoints.wait()
        log.spent(start, self.goodput.line())

    def _evaluate(self, state: TrainState, step: int, log: MetricsLogger) -> None:
        """Calls the caller's evaluation where one is due after this step."""
        every = self.prepared.run.evaluation.every
        if self.evaluate is not None and every and (step % every == 0 or step == self.config.steps):
            log.flush()
            with log.paused(), self.goodput.of("measuring"):
                scores = self.evaluate(state.params)
            log.evaluated(step, scores)

    def _measure(self, state: TrainState, step: int, log: MetricsLogger) -> float | None:
        """Measures the accuracy on held-out examples; None where there are none."""
        if self.prepared.held_out is None:
            return None
        total: TaskSums | None = None
        count = self.prepared.held_out_batches
        log.flush()
        with log.paused(), self.goodput.of("measuring"), host_batches(self.prepared.held_out, count) as batches:
            for batch in progress_over(batches, "held-out rows", count, "batch", shown=is_main()):
                placed = to_devices(batch.batch, self.prepared.mesh, self.config.groups)
                sums = jax.device_get(self.sums(state.params, placed))
                total = sums if total is None else jax.tree.map(np.add, total, sums)
        assert total is not None
        return log.held_out(step, total)

    def _export(self, state: TrainState) -> None:
        """Writes the trained model as a folder for this library and sentence-transformers."""
        found = sharded_pieces(state.params, self.config.model, self.prepared.mesh)
        if is_main():
            export(self.prepared, found)
        for _ in found:  # what is left of it: all processes put the pieces together in step
            pass
