"""One process at a time, among all that see the same file system.

Where a system or a file system knows no locks nothing is locked: whoever starts two writers there has to know.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def one_process(path: Path) -> Iterator[None]:
    """Waits until no other process holds the file; those that waited find the work done."""
    with _locked(path, wait=True):
        yield


@contextlib.contextmanager
def only_process(path: Path, what: str) -> Iterator[None]:
    """Holds the file, or refuses at once.

    Args:
        path: the lock; its folder must be there.
        what: what the other process does, for the message, such as "trains into runs/x".

    Raises:
        ValueError: another process holds it.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_locked(path, wait=False))
        except BlockingIOError as error:
            message = f"another process {what} (it holds {path}); wait for it, or name another place."
            raise ValueError(message) from error
        yield


@contextlib.contextmanager
def _locked(path: Path, wait: bool) -> Iterator[None]:
    # not truncated, and no link followed: the file may be somebody's trap
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if path.is_symlink():
            raise ValueError(f"{path} is a link; remove it.") from error
        raise
    try:
        try:
            lock(descriptor, wait=wait)
        except OSError as error:
            if not wait and error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise BlockingIOError(error.errno, "held by another process", str(path)) from error
            # else a file system without locks
        yield
    finally:
        os.close(descriptor)


def lock(descriptor: int, *, wait: bool = False, shared: bool = False) -> None:
    """Locks an open file for this process; the system frees it should the process die. Does nothing on Windows.

    Args:
        descriptor: of the open file.
        wait: until another process has freed it; otherwise raise at once.
        shared: together with others that share it; a lock that is held already is changed to this kind.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the file system knows no locks.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
