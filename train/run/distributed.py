"""One run of several processes, each with its own devices: who they are, and how they find each other.

Three flags say it, or torchrun's variables, or what JAX finds out by itself on TPU slices, SLURM, Open MPI, GKE and
Kubernetes; the first of these that says something counts. The processes meet before any of them touches a device.
"""

import dataclasses
import itertools
import os
import re
from collections.abc import Mapping

import jax

from instructor_jax.io.printable import one_line

from ..cluster.detection import found_by_jax, in_cluster
from ..cluster.member import Member, local_devices
from ..cluster.torchrun import found_by_torchrun

_ADDRESS = re.compile(r"([^\s:/]+|\[[0-9a-fA-F:.%]+\]):\d{1,5}")  # HOST:PORT, [IPv6]:PORT

_LATE_SECONDS = 6 * 3600  # that a process may come after the first
_MEETINGS = itertools.count()  # Orbax takes every name once
HEARTBEAT_SECONDS = 30  # after which the others notice that a process is gone; JAX's own 100 wastes a pod's time


@dataclasses.dataclass(frozen=True)
class Processes:
    """How the processes of a run find each other; all None where the environment says it.

    Attributes:
        coordinator: Address of process 0, HOST:PORT.
        count: Number of processes; 1 alone says that this process has no others, whatever the environment says.
        index: Index of this process.
    """

    coordinator: str | None = None
    count: int | None = None
    index: int | None = None

    def __post_init__(self) -> None:
        given = [value is not None for value in (self.coordinator, self.count, self.index)]
        if any(given) and not all(given) and not self.alone:
            raise ValueError(
                "give --coordinator, --processes and --process together, or none of them; --processes 1 may be alone."
            )
        if self.coordinator is not None and not _ADDRESS.fullmatch(self.coordinator):
            raise ValueError(f"--coordinator={self.coordinator!r} must be HOST:PORT, as in node0:1234.")
        if self.count is not None and self.index is not None and not 0 <= self.index < self.count:
            raise ValueError(f"--process={self.index} must be in [0, --processes={self.count}).")

    @property
    def alone(self) -> bool:
        """Returns whether the user said that there are no other processes, and nothing else."""
        return self.count == 1 and self.coordinator is None and self.index is None


def join(processes: Processes, environment: Mapping[str, str] = os.environ) -> None:
    """Joins the other processes of the run; does nothing where there are none.

    Args:
        processes: Processes as the user gave them.
        environment: Environment variables, as the scheduler or the launcher set them.

    Raises:
        ValueError: The scheduler says nothing that can be, or the others do not come.
    """
    member = find(processes, environment)
    if member is None:
        return
    devices = local_devices(environment)
    if os.environ.get("JAX_PLATFORMS", "").startswith("cpu"):
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            member.coordinator,
            member.count,
            member.index,
            local_device_ids=devices,
            cluster_detection_method="deactivate",  # it was asked
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except (RuntimeError, ValueError, KeyError) as error:
        reason = one_line(f"{type(error).__name__}: {error}", 300)
        raise ValueError(
            f"the processes of this run did not find each other ({reason}) at {one_line(member.coordinator, 100)}, "
            f"process {member.index} of {member.count} as {member.told_by} said; check that, or give --coordinator, "
            "--processes and --process."
        ) from error


def find(processes: Processes, environment: Mapping[str, str] = os.environ) -> Member | None:
    """Returns this process's place among those of the run; None where it is alone.

    Raises:
        ValueError: There are others, and nothing says how to find them.
    """
    if processes.coordinator is not None and processes.count is not None and processes.index is not None:
        return Member(processes.coordinator, processes.count, processes.index, "the command")
    if processes.alone:
        return None
    several = in_cluster(environment)  # first, since it names variables that cannot be
    member = found_by_torchrun(environment) or found_by_jax()
    if member is None and several:
        raise ValueError(
            "the variables of SLURM, Open MPI or a TPU slice say that there are several processes, but not how they "
            "find each other: start with srun or mpirun, install the extra 'tpu' on TPUs, or give --coordinator, "
            "--processes and --process; --processes 1 where this one is alone."
        )
    return None if member is None or member.count == 1 else member


def wait_for_all(what: str) -> None:
    """Waits until every process has come here, which call it in the same order; returns at once where there is one.

    Collectives begin with this wherever processes were busy apart: on CPUs they give up on a late one after 30 seconds,
    and reading a mixture or fetching a checkpoint takes some hosts longer. One that is gone is noticed as ever.

    Args:
        what: What all of them wait for, in the message of one that does not come within six hours.
    """
    if jax.process_count() == 1:
        return
    from orbax.checkpoint import multihost

    everybody = set(range(jax.process_count()))
    multihost.sync_global_processes(f"{what} ({next(_MEETINGS)})", timeout=_LATE_SECONDS, processes=everybody)


def is_main() -> bool:
    """Returns whether this process writes what is written once."""
    return jax.process_index() == 0
