"""CPUs for a worker of several on one machine, each to keep to its own.

Workers are bound to CPUs before JAX is imported, so that the threads of one do not take the CPUs of another. Which are
free is known by locks on small files, one for each group of CPUs.
"""

import os
import tempfile
from pathlib import Path

from instructor_jax.io.file_lock import lock


def keep_to_cpus(cpus: float) -> int | None:
    """Binds this process to a group of CPUs that no other worker has; returns the descriptor that keeps it.

    Where there are more workers than groups, or the system binds no processes, all CPUs are used.

    Args:
        cpus: size of a group; part of one counts as one.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    size = max(round(cpus), 1)
    folder = Path(tempfile.gettempdir()) / f"instructor-jax-workers-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():  # somebody else's: nothing is bound
        return None
    for first in range(0, len(allowed) - size + 1, size):
        group = allowed[first : first + size]
        descriptor = os.open(folder / f"cpu-{group[0]}", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            lock(descriptor)
        except OSError:
            os.close(descriptor)
            continue
        os.sched_setaffinity(0, group)
        return descriptor
    return None
