"""What the library logs, as lines on standard error in which nothing of a stranger's text is obeyed by the terminal."""

import logging
import sys

from instructor_jax.io.printable import printable


class _Printable(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def log_to_stderr() -> None:
    """Shows what the library logs from INFO on, and of other libraries warnings; for commands."""
    root = logging.getLogger()
    if not root.handlers:  # a program that uses the commands may have its own
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Printable("%(message)s"))
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("instructor_jax").setLevel(logging.INFO)
