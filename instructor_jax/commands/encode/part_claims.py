"""Claims: a process that makes a part holds a lock on a small file beside it, so that no other one makes it as well.

The system frees the lock when its process dies. Where a file system knows no locks nothing is claimed, and two
processes may make one part: they write the same bytes, each whole or not at all.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from instructor_jax.io.file_lock import lock

_BEGINNING = 10.0  # seconds that another process may take to begin the parts


@contextlib.contextmanager
def claimed(folder: Path, part: int) -> Iterator[bool]:
    """Tries to claim a part; gives whether this process may make it. What it claimed is free after the block.

    Args:
        folder: the parts.
        part: number of the part.
    """
    path = folder / f"part-{part:06d}.claim"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        try:
            lock(descriptor)
        except BlockingIOError:
            yield False
            return
        except OSError:  # a file system without locks
            pass
        ours = _is_there(path, descriptor)  # else it was made and freed by another process a moment ago
        yield ours
        if ours:
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def taken(descriptor: int, *, shared: bool) -> bool:
    """Takes the lock of all parts; returns whether no other process has it.

    One that will share it needs it for itself for a moment, to begin: whoever comes first begins.

    Args:
        descriptor: the open file that is locked.
        shared: whether others may have it at the same time.

    Raises:
        BlockingIOError: another process has it.
    """
    until = time.monotonic() + (_BEGINNING if shared else 0.0)
    while True:
        try:
            lock(descriptor)
            return True
        except BlockingIOError:
            if shared:
                with contextlib.suppress(BlockingIOError):
                    lock(descriptor, shared=True)
                    return False
            if time.monotonic() >= until:
                raise
        time.sleep(0.05)


def wait_until_left(folder: Path, seconds: float = 60.0) -> None:
    """Waits until no process has parts open, as when the workers of an engine are told to end; not for ever.

    Args:
        folder: the parts.
        seconds: the longest wait; who joins the parts then says what is wrong.
    """
    until = time.monotonic() + seconds
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_NOFOLLOW)
    try:
        while time.monotonic() < until:
            with contextlib.suppress(BlockingIOError):
                lock(descriptor)
                return
            time.sleep(0.05)
    finally:
        os.close(descriptor)


def _is_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except OSError:
        return False
