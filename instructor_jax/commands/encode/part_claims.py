"""Claims: a process that makes a part holds a lock on a small file beside it, so that no other one makes it as well.

The system frees the lock when its process dies. Where a file system knows no locks nothing is claimed, and two
processes may make one part: they write the same bytes, each whole or not at all.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from instructor_jax.io.file_lock import lock


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


def _is_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except OSError:
        return False
