"""One run of several processes, each with its own devices: who they are, and how they find each other.

On TPU slices, SLURM and GKE JAX finds the others itself; elsewhere three flags say it. The processes meet before any of
them touches a device.
"""

import dataclasses
import os
import re
from collections.abc import Mapping

import jax

from instructor_jax.io.printable import one_line

_ADDRESS = re.compile(r"([^\s:/]+|\[[0-9a-fA-F:.%]+\]):\d{1,5}")  # HOST:PORT, [IPv6]:PORT

HEARTBEAT_SECONDS = 30  # after which the others notice that a process is gone; JAX's own 100 wastes a pod's time


@dataclasses.dataclass(frozen=True)
class Processes:
    """How the processes of a run find each other; all None where the environment says it.

    Attributes:
        coordinator: Address of process 0, HOST:PORT.
        count: Number of processes.
        index: Index of this process.
    """

    coordinator: str | None = None
    count: int | None = None
    index: int | None = None

    def __post_init__(self) -> None:
        given = [value is not None for value in (self.coordinator, self.count, self.index)]
        if any(given) and not all(given):
            raise ValueError("give --coordinator, --processes and --process together, or none of them.")
        if self.coordinator is not None and not _ADDRESS.fullmatch(self.coordinator):
            raise ValueError(f"--coordinator={self.coordinator!r} must be HOST:PORT, as in node0:1234.")
        if self.count is not None and self.index is not None and not 0 <= self.index < self.count:
            raise ValueError(f"--process={self.index} must be in [0, --processes={self.count}).")


def join(processes: Processes, environment: Mapping[str, str] = os.environ) -> None:
    """Joins the other processes of the run; does nothing where there are none.

    Args:
        processes: Processes as the user gave them.
        environment: Environment variables, as the scheduler set them.

    Raises:
        ValueError: The scheduler's variables say nothing that can be, or the others do not come.
    """
    if processes.coordinator is None and not in_cluster(environment):
        return
    if os.environ.get("JAX_PLATFORMS", "").startswith("cpu"):
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            processes.coordinator,
            processes.count,
            processes.index,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except (RuntimeError, ValueError, KeyError) as error:
        reason = one_line(f"{type(error).__name__}: {error}", 300)
        raise ValueError(
            f"the processes of this run did not find each other ({reason}); check --coordinator, --processes and "
            "--process, or the variables of SLURM, Open MPI or the TPU slice."
        ) from error


def in_cluster(environment: Mapping[str, str]) -> bool:
    """Returns whether a scheduler started several processes: SLURM, a TPU slice of several hosts, GKE, Open MPI."""
    slurm = "SLURM_PROCID" in environment and _count(environment, "SLURM_NTASKS") > 1
    slice_ = "," in environment.get("TPU_WORKER_HOSTNAMES", "") or "MEGASCALE_COORDINATOR_ADDRESS" in environment
    mpi = _count(environment, "OMPI_COMM_WORLD_SIZE") > 1
    return slurm or slice_ or mpi


def _count(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name, "1")
    if not re.fullmatch(r"\d{1,7}", value.strip()):
        raise ValueError(f"{name}={one_line(repr(value), 60)} in the environment is no number of processes; unset it.")
    return int(value)


def is_main() -> bool:
    """Returns whether this process writes what is written once."""
    return jax.process_index() == 0


def quiet() -> bool | None:
    """Returns tqdm's `disable`: progress bars appear on the terminal of the first process only."""
    return None if is_main() else True
