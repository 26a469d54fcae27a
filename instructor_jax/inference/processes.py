"""Which process JAX was started in. A forked child inherits JAX without its threads, and would wait for them for ever.

So the library remembers the process that first used a device, and a child that was forked from it gets an error at
once. Spawned processes start afresh and are not concerned.
"""

import os

_owner: int | None = None


def use_devices_here() -> None:
    """Remembers this process as the one that uses JAX; the first one counts.

    Raises:
        RuntimeError: this process was forked from the one that does.
    """
    global _owner
    check_process()
    _owner = os.getpid()


def check_process() -> None:
    """Costs a fraction of a microsecond.

    Raises:
        RuntimeError: this process was forked from one that used JAX already.
    """
    if _owner is not None and os.getpid() != _owner:
        raise RuntimeError(
            f"process {os.getpid()} was forked from process {_owner}, which had started JAX; JAX's threads are lost by "
            'a fork, and computing would hang. Start processes with "spawn" instead: '
            'multiprocessing.get_context("spawn"), or ProcessPoolExecutor(mp_context=...); or load the model only in '
            "the children."
        )
