"""One run of several processes, each with its own devices: who they are, and how they find each other.

On TPU slices, SLURM and GKE JAX finds the others itself; elsewhere three flags say it. The processes meet before any of
them touches a device.
"""

import dataclasses
import os
from collections.abc import Mapping

import jax

HEARTBEAT_SECONDS = 30  # after which the others notice that a process is gone; JAX's own 100 wastes a pod's time


@dataclasses.dataclass(frozen=True)
class Processes:
    """Where the processes of a run meet; all None for what the environment says.

    Attributes:
        coordinator: HOST:PORT of process 0.
        count: how many there are.
        index: which of them this is.
    """

    coordinator: str | None = None
    count: int | None = None
    index: int | None = None

    def __post_init__(self) -> None:
        given = [value is not None for value in (self.coordinator, self.count, self.index)]
        if any(given) and not all(given):
            raise ValueError("give --coordinator, --processes and --process together, or none of them.")
        if self.count is not None and self.index is not None and not 0 <= self.index < self.count:
            raise ValueError(f"--process={self.index} must be in [0, --processes={self.count}).")


def join(processes: Processes, environment: Mapping[str, str] = os.environ) -> None:
    """Joins the other processes of the run; does nothing where there are none.

    Args:
        processes: what the user said.
        environment: what the scheduler said.

    Raises:
        RuntimeError: the others do not come.
    """
    if processes.coordinator is None and not in_cluster(environment):
        return
    if os.environ.get("JAX_PLATFORMS", "").startswith("cpu"):
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(
        processes.coordinator,
        processes.count,
        processes.index,
        heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
    )


def in_cluster(environment: Mapping[str, str]) -> bool:
    """Whether a scheduler started several processes of this run: SLURM, a TPU slice of several hosts, GKE, Open MPI."""
    slurm = int(environment.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in environment
    slice_ = "," in environment.get("TPU_WORKER_HOSTNAMES", "") or "MEGASCALE_COORDINATOR_ADDRESS" in environment
    mpi = int(environment.get("OMPI_COMM_WORLD_SIZE", "1")) > 1
    return slurm or slice_ or mpi


def is_main() -> bool:
    """Whether this process writes what is written once."""
    return jax.process_index() == 0


def quiet() -> bool | None:
    """What tqdm's `disable` takes: bars on the terminal of the first process only."""
    return None if is_main() else True
