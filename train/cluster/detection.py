"""What JAX itself finds out about the cluster: Open MPI, SLURM, TPU slices on GKE and on plain VMs, Kubernetes jobs.

JAX has one class for each. Plain TPU VMs are told by Google's metadata server, not by variables, so only these classes
know them. They are private names of JAX; `tests/train/cluster/test_detection.py` says which ones moved.
"""

import os
from collections.abc import Mapping

from jax._src import clusters

from instructor_jax.io.printable import one_line

from .member import Member, number

KINDS: tuple[tuple[type[clusters.ClusterEnv], str], ...] = (
    (clusters.OmpiCluster, "Open MPI"),
    (clusters.SlurmCluster, "SLURM"),
    (clusters.GkeTpuCluster, "the TPU slice on GKE"),
    (clusters.GceTpuCluster, "the metadata server of the TPU slice"),
    (clusters.K8sCluster, "Kubernetes"),
)  # in the order in which JAX asks them
_WAIT_SECONDS = 300  # for the name of the first host, as long as JAX waits for the others
_ALONE = "give --coordinator, --processes and --process, or --processes 1 where this process runs alone"


def found_by_jax() -> Member | None:
    """Returns what JAX finds out about this process and the others; None where it finds no cluster.

    A pod of Kubernetes counts only in an indexed Job, which JAX needs to number the processes; other pods are alone.

    Raises:
        ValueError: A cluster is there, but what it says is not enough.
    """
    for kind, title in KINDS:
        if kind is clusters.K8sCluster and not _in_indexed_job():
            continue
        try:
            if not kind.is_env_present():
                continue
            count = kind.get_process_count()
            if count == 1:
                return Member("", 1, 0, title)
            address = kind.get_coordinator_address(
                timeout_secs=_WAIT_SECONDS, override_coordinator_port=os.environ.get("JAX_COORDINATOR_PORT")
            )
            return Member(address, count, kind.get_process_id(), title)
        except Exception as error:  # each asks another service, which fails in its own way
            reason = one_line(f"{type(error).__name__}: {error}", 300)
            raise ValueError(f"{title} does not tell the processes of this run ({reason}); {_ALONE}.") from error
    return None


def _in_indexed_job() -> bool:
    """Returns whether this is one of the pods of an indexed Job of Kubernetes.

    Raises:
        ValueError: It is, and the package that asks Kubernetes about the others is absent.
    """
    if "KUBERNETES_SERVICE_HOST" not in os.environ or "JOB_COMPLETION_INDEX" not in os.environ:
        return False
    try:
        import kubernetes  # type: ignore[import-not-found]  # noqa: F401 - JAX imports it, too, and only warns
    except ImportError as error:
        raise ValueError(
            f"this pod belongs to an indexed Job; to find the others JAX needs: pip install 'jax[k8s]'. Or {_ALONE}."
        ) from error
    return True


def in_cluster(environment: Mapping[str, str]) -> bool:
    """Returns whether variables say that a scheduler started several processes: SLURM, Open MPI, a TPU slice.

    These tell only that there are others. Where they do and nothing says how to find them, going on alone would give as
    many runs in one folder.

    Raises:
        ValueError: A variable that should be a number is none.
    """
    slurm = "SLURM_PROCID" in environment and number(environment, "SLURM_NTASKS") > 1
    slice_ = "," in environment.get("TPU_WORKER_HOSTNAMES", "") or "MEGASCALE_COORDINATOR_ADDRESS" in environment
    mpi = number(environment, "OMPI_COMM_WORLD_SIZE") > 1
    return slurm or slice_ or mpi
