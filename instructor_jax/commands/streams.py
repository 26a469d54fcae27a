"""The three standard streams and what goes to standard error, made safe before a verb runs.

A stream that is closed, full, of another encoding or gone must not end in a traceback, and no log message or warning
of any library reaches the terminal raw: each is one line, without control characters and without passwords.
"""

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from instructor_jax.io.printable import one_line, without_secrets

_COLUMNS = (20, 1000)  # what libraries that draw on terminals can take


def clean(text: str) -> str:
    """A message from anywhere as one line that can be shown."""
    return one_line(without_secrets(text))


def complain(line: str) -> None:
    """Print a line to standard error, where there is anybody to read it."""
    try:
        print(line, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        discard(sys.stderr)


def prepare_streams() -> None:
    """Open what is closed, and let every text be printed in whatever encoding the streams have."""
    for number in range(3):  # a file of ours must not become standard output
        with contextlib.suppress(OSError):
            os.fstat(number)
            continue
        os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open as long as the process
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    columns = os.environ.get("COLUMNS", "")
    if columns and not (columns.isascii() and columns.isdigit() and _COLUMNS[0] <= int(columns[:9]) <= _COLUMNS[1]):
        del os.environ["COLUMNS"]  # rich and tqdm take any number, and draw lines of that length


def flush_output() -> None:
    """Write what standard output still holds.

    Raises:
        OSError: it cannot be written (a full disk); what is left is dropped, lest the interpreter try again.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard(sys.stdout)
        raise OSError(error.errno, error.strerror, "standard output") from error


def discard(stream: Any) -> None:
    """Drop what a stream still holds and whatever is written to it later."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


class _CleanRecord(logging.LogRecord):
    """A log record whose message can be shown, whoever logs and whichever handler prints it."""

    def getMessage(self) -> str:
        """See `logging.LogRecord`."""
        try:
            return clean(super().getMessage())
        except Exception as error:  # arguments that do not fit their format: no reason for a traceback
            return clean(f"{self.msg!r} ({type(error).__name__})")


class _LastHandler(logging.Handler):
    """Prints warnings where no handler is installed, as one line."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        complain(f"instructor-jax: warning: {record.getMessage()}")


@contextlib.contextmanager
def clean_messages() -> Iterator[None]:
    """Within it log messages and warnings are printed as one clean line each; afterwards all is as it was."""
    before = logging.getLogRecordFactory(), logging.lastResort, logging.raiseExceptions, warnings.showwarning
    logging.setLogRecordFactory(_CleanRecord)
    logging.lastResort = _LastHandler(logging.WARNING)
    logging.raiseExceptions = False  # a log that cannot be written is no reason for a traceback

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        complain(f"instructor-jax: warning: {clean(str(message))}")

    if before[3].__module__ == "warnings":  # otherwise somebody records them
        warnings.showwarning = show
    try:
        yield
    finally:
        logging.setLogRecordFactory(before[0])
        logging.lastResort, logging.raiseExceptions = before[1], before[2]
        if warnings.showwarning is show:
            warnings.showwarning = before[3]
