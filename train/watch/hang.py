"""A run that stands still: after so many seconds without a step the stack of every thread goes to the log, once.

Nothing is ended; a device that waits for another host, a file system that does not answer and a compilation of half an
hour look alike until somebody sees where the threads are.
"""

import logging
import sys
import threading
import traceback
from types import TracebackType

logger: logging.Logger = logging.getLogger(__name__)


class HangWatch:
    """Watches that steps go on; a context.

    Args:
        seconds: Time without a step after which it tells; 0 for never.
    """

    def __init__(self, seconds: int | float) -> None:
        self._seconds, self._step = seconds, 0
        self._moved, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="hang watch", daemon=True)

    def moved(self, step: int) -> None:
        """Notes that this step was made."""
        self._step = step
        self._moved.set()

    def __enter__(self) -> "HangWatch":
        """Starts to watch."""
        if self._seconds:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the watch."""
        self._ended.set()
        self._moved.set()
        if self._seconds:
            self._thread.join()

    def _watch(self) -> None:
        told = False
        while not self._ended.is_set():
            if self._moved.wait(None if told else self._seconds):
                self._moved.clear()
                told = False
            else:
                told = True
                logger.warning(
                    "no step for %g s after step %d; this is where the threads are:\n%s",
                    self._seconds, self._step, stacks(),
                )  # fmt: skip


def stacks() -> str:
    """Returns the stack of every thread of this process but the calling one, innermost call last."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    own = threading.get_ident()
    parts = [
        f"{names.get(number, number)}:\n{''.join(traceback.format_stack(frame)[-12:])}"
        for number, frame in sys._current_frames().items()
        if number != own
    ]
    return "\n".join(parts)
