"""One process at a time, among all that see the same file system."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def one_process(path: Path) -> Iterator[None]:
    """Waits until no other process holds the file; those that waited find the work done."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # freed by the system should the process die
        yield
