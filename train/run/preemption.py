"""Being asked to stop: SIGTERM (what schedulers send before they take a machine away) and Ctrl-C.

A run that was stopped has not finished, and must not look so to `&&` or to a scheduler: its exit code is 75 after
SIGTERM or a preemption (EX_TEMPFAIL of sysexits.h: all is saved, the same command goes on; the 143 of a process that
SIGTERM killed would not tell that) and 130 after Ctrl-C, as everywhere.

The request is remembered and looked at between steps, so that the state that is saved is whole. Before the first step
there is nothing to save, and the run ends at once. With several processes all must stop after the same step, whoever
was asked: JAX's preemption notice, which takes SIGTERM for itself there, agrees on one.
"""

import logging
import signal
import threading
from types import FrameType
from typing import Any

import jax

logger: logging.Logger = logging.getLogger(__name__)


PREEMPTED, INTERRUPTED = 75, 130


class StoppedEarly(BaseException):
    """Raised where a stop was requested before a step was made. It is no error: nothing is lost."""

    exit_code: int

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class StopRequest:
    """Remembers a request to stop the run. As a context manager it listens to signals, else only to `set`."""

    exit_code: int

    def __init__(self) -> None:
        self._event = threading.Event()
        self._stepping = False
        self._old: dict[int, Any] = {}
        self.exit_code = PREEMPTED  # of the program, should the run stop; Ctrl-C makes it another

    def set(self) -> None:
        """Asks the run to stop after its present step."""
        self._event.set()

    def requested(self, step: int) -> bool:
        """Returns whether to stop after this step; all processes call it after every step and get the same answer."""
        self._stepping = True
        if jax.process_count() > 1:
            from jax.experimental import multihost_utils

            return multihost_utils.reached_preemption_sync_point(step)
        return self._event.is_set()

    def __enter__(self) -> "StopRequest":
        """Starts to listen to signals, in the main thread of a run of one process."""
        if jax.process_count() == 1:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._old[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.exit_code = INTERRUPTED if number == signal.SIGINT else PREEMPTED
        if not self._stepping:
            raise StoppedEarly(self.exit_code)
        if self._event.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt  # asked twice by hand: now
        self._event.set()
        logger.warning("%s: stopping after this step", signal.Signals(number).name)
