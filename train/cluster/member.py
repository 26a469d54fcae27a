"""`Member`: one process of several, which devices of its host it takes, and numbers that a launcher wrote."""

import dataclasses
import re
from collections.abc import Mapping

from instructor_jax.io.printable import one_line

# Of each launcher that starts several processes on a host: which one this is there, and how many there are.
_ON_THIS_HOST = (
    ("LOCAL_RANK", "LOCAL_WORLD_SIZE"),  # torchrun
    ("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
)


@dataclasses.dataclass(frozen=True)
class Member:
    """One process of a run.

    Attributes:
        coordinator: Address of process 0, HOST:PORT.
        count: Number of processes.
        index: Index of this process.
        told_by: What told so, for messages.
    """

    coordinator: str
    count: int
    index: int
    told_by: str


def local_devices(environment: Mapping[str, str]) -> list[int] | None:
    """Returns the GPUs of this host that this process takes; None for all of them.

    A launcher that starts several processes on a host means one GPU for each. One process a host takes all GPUs, where
    `jax.distributed` by itself would take the first one only (SLURM, Open MPI). JAX_LOCAL_DEVICE_IDS, which JAX reads,
    comes first.

    Raises:
        ValueError: A variable that should be a number is none.
    """
    if environment.get("JAX_LOCAL_DEVICE_IDS"):
        return None
    for index, count in _ON_THIS_HOST:
        if index in environment and count in environment:
            return [number(environment, index)] if number(environment, count) > 1 else None
    if "SLURM_LOCALID" in environment and "SLURM_PROCID" in environment:
        hosts = next((name for name in ("SLURM_STEP_NUM_NODES", "SLURM_NNODES") if name in environment), None)
        if hosts is None or number(environment, "SLURM_NTASKS") > number(environment, hosts):
            return [number(environment, "SLURM_LOCALID")]
    return None


def number(environment: Mapping[str, str], name: str, default: str = "1") -> int:
    """Returns a variable's number.

    Raises:
        ValueError: It is none.
    """
    value = environment.get(name, default)
    if not re.fullmatch(r"\d{1,7}", value.strip(), re.ASCII):
        raise ValueError(f"{name}={one_line(repr(value), 60)} in the environment is no number of processes; unset it.")
    return int(value)
