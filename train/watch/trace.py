"""A trace of a few steps, for xprof and TensorBoard's profile tab."""

import logging
from pathlib import Path

import jax

from ..settings.sections import ProfileConfig

logger: logging.Logger = logging.getLogger(__name__)


class TraceWindow:
    """Traces the steps that the settings say into a folder; call `before` and `after` around every step.

    Args:
        folder: Folder of the traces, made when the first begins.
        config: Which steps.
        start: Number of steps made before; the window begins so many steps later than the run goes on.
    """

    def __init__(self, folder: Path, config: ProfileConfig, start: int) -> None:
        self._folder, self._on = folder, False
        self._first = start + config.after + 1
        self._last = self._first + config.steps - 1

    def before(self, step: int) -> None:
        """Begins the trace where this step is the first."""
        if step == self._first <= self._last:
            self._folder.mkdir(parents=True, exist_ok=True)
            jax.profiler.start_trace(str(self._folder))
            self._on = True

    def after(self, step: int, metrics: object) -> None:
        """Ends the trace where this step is the last, once `metrics`, its results, are there."""
        if self._on and step >= self._last:
            jax.block_until_ready(metrics)
            self.close()

    def close(self) -> None:
        """Ends a trace that is on."""
        if self._on:
            self._on = False
            jax.profiler.stop_trace()
            logger.info("a trace of steps %d to %d is in %s", self._first, self._last, self._folder)
