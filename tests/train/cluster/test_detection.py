"""Each of JAX's detectors, on what it reads: variables, the metadata server, the interface of Kubernetes."""

import inspect
import os
import socket
import sys
import types

import pytest
from jax._src import clusters
from jax._src.clusters import cloud_tpu_cluster, k8s_cluster

from instructor_jax.train.cluster.detection import KINDS, found_by_jax
from instructor_jax.train.cluster.member import local_devices
from instructor_jax.train.run.distributed import Processes, find

from .metadata_server import attributes, metadata_server

_READ = ("SLURM_", "OMPI_", "TPU_", "MEGASCALE_", "KUBERNETES_", "JOB_", "JAX_COORD", "JAX_LOCAL", "RANK", "WORLD_SIZE")
SLURM = {
    "SLURM_JOB_ID": "17",
    "SLURM_STEP_NODELIST": "node[003-004,7]",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
}
OPEN_MPI = {
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911",
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_RANK": "0",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "1",
}
GKE = {"TPU_WORKER_HOSTNAMES": "localhost,t1k-1", "TPU_WORKER_ID": "1", "JAX_COORDINATOR_PORT": "9000"}


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch) -> None:
    """The machine of the tests may be a node of one."""
    for name in [name for name in os.environ if name.startswith(_READ)]:
        monkeypatch.delenv(name)


def set_all(monkeypatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_jax_still_has_what_is_asked() -> None:
    """Private names; this test names the one that moved in a new JAX."""
    ours = {kind for kind, _ in KINDS}
    own = {kind for kind in clusters.ClusterEnv._cluster_types if kind.__module__.startswith("jax._src.clusters.")}
    own -= {kind for kind in own if kind.opt_in_only_method or kind is cloud_tpu_cluster.BaseTpuCluster}
    assert {kind.__name__ for kind in own} == {kind.__name__ for kind in ours}, "JAX knows other clusters than we ask"
    for kind, title in KINDS:
        for name in ("is_env_present", "get_process_count", "get_process_id", "get_coordinator_address"):
            assert callable(getattr(kind, name, None)), f"{title}: {name} moved"
        wanted = inspect.signature(kind.get_coordinator_address).parameters
        assert set(wanted) == {"timeout_secs", "override_coordinator_port"}, f"{title}: takes {list(wanted)}"
    assert isinstance(vars(cloud_tpu_cluster)["running_in_cloud_tpu_vm"], bool)


def test_nothing_is_found_where_nothing_is() -> None:
    assert found_by_jax() is None
    assert find(Processes()) is None


def test_slurm(monkeypatch) -> None:
    set_all(monkeypatch, SLURM)
    found = find(Processes())
    assert found is not None
    assert (found.coordinator, found.count, found.index) == (f"node003:{65535 - 4096 + 1 + 17}", 4, 3)


def test_open_mpi(monkeypatch) -> None:
    set_all(monkeypatch, OPEN_MPI)
    found = find(Processes())
    assert found is not None
    assert (found.coordinator.partition(":")[0], found.count, found.index) == ("10.96.0.1", 2, 1)


def test_gke(monkeypatch) -> None:
    monkeypatch.setattr(cloud_tpu_cluster, "running_in_cloud_tpu_vm", True)
    with metadata_server(attributes(0, 1)) as address:  # asked about several slices
        set_all(monkeypatch, {**GKE, "GCE_METADATA_IP": address})
        found = find(Processes())
    assert found is not None
    assert (found.coordinator, found.count, found.index) == ("localhost:9000", 2, 1)


@pytest.mark.parametrize(("worker", "workers"), [(0, 4), (3, 4)])
def test_a_plain_tpu_vm_asks_the_metadata_server(monkeypatch, worker: int, workers: int) -> None:
    monkeypatch.setattr(cloud_tpu_cluster, "running_in_cloud_tpu_vm", True)
    with metadata_server(attributes(worker, workers)) as address:
        monkeypatch.setenv("GCE_METADATA_IP", address)
        found = find(Processes())
    assert found is not None
    assert (found.coordinator, found.count, found.index) == ("localhost:8482", workers, worker)


def test_two_slices_of_plain_tpu_vms(monkeypatch) -> None:
    monkeypatch.setattr(cloud_tpu_cluster, "running_in_cloud_tpu_vm", True)
    about = attributes(1, 2)
    about["tpu-env"] += "MEGASCALE_NUM_SLICES: '2'\nMEGASCALE_SLICE_ID: '1'\nMEGASCALE_COORDINATOR_ADDRESS: 'localhost'"
    with metadata_server(about) as address:
        monkeypatch.setenv("GCE_METADATA_IP", address)
        found = find(Processes())
    assert found is not None
    assert (found.coordinator, found.count, found.index) == ("localhost:8482", 4, 3)


def test_one_tpu_host_is_alone(monkeypatch) -> None:
    monkeypatch.setattr(cloud_tpu_cluster, "running_in_cloud_tpu_vm", True)
    with metadata_server(attributes(0, 1)) as address:
        monkeypatch.setenv("GCE_METADATA_IP", address)
        assert find(Processes()) is None


def test_a_metadata_server_that_is_not_there_is_told(monkeypatch) -> None:
    monkeypatch.setattr(cloud_tpu_cluster, "running_in_cloud_tpu_vm", True)
    with metadata_server({}) as address:
        pass
    monkeypatch.setenv("GCE_METADATA_IP", address)
    with pytest.raises(ValueError, match="metadata server of the TPU slice does not tell .*--processes 1"):
        find(Processes())
    assert find(Processes("host0:1234", 2, 1)) is not None  # flags override what would be asked
    assert find(Processes(count=1)) is None


def test_kubernetes(monkeypatch) -> None:
    named = types.SimpleNamespace
    labels = {"job-name": "train", "jobset.sigs.k8s.io/jobset-name": "pods"}
    pod = named(
        metadata=named(labels=labels, owner_references=[named(controller=True, kind="Job")], name="train-1"),
        spec=named(subdomain="pods"),
    )
    job = named(metadata=named(name="localhost", labels=labels), spec=named(parallelism=3))
    for name, value in {"_pod": pod, "_job": job, "_controller": pod.metadata.owner_references[0]}.items():
        monkeypatch.setattr(k8s_cluster.K8sCluster, name, classmethod(lambda _, value=value: value))
    api = types.ModuleType("kubernetes")
    api.config = named(load_incluster_config=lambda: None)  # type: ignore[attr-defined]
    exceptions = named(ApiException=RuntimeError)
    api.client = named(CoreV1Api=object, BatchV1Api=object, exceptions=exceptions)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kubernetes", api)
    monkeypatch.setattr(socket, "gethostbyname", lambda name: "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert find(Processes()) is None  # a pod that is of no indexed job
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "2")
    found = find(Processes())
    assert found is not None
    assert (found.coordinator, found.count, found.index) == ("localhost-0.pods:55527", 3, 2)


def test_kubernetes_without_its_package_is_told(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    set_all(monkeypatch, {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "2"})
    with pytest.raises(ValueError, match=r"pip install 'jax\[k8s\]'"):
        find(Processes())


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        (SLURM, [1]),  # four tasks on two nodes
        ({**SLURM, "SLURM_NTASKS": "2"}, None),  # a task a node takes all of its GPUs
        (OPEN_MPI, None),
        ({**OPEN_MPI, "OMPI_COMM_WORLD_LOCAL_SIZE": "2"}, [0]),
        ({"LOCAL_RANK": "3", "LOCAL_WORLD_SIZE": "8"}, [3]),
        ({"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}, None),
        ({"LOCAL_RANK": "3", "LOCAL_WORLD_SIZE": "8", "JAX_LOCAL_DEVICE_IDS": "1,2"}, None),  # JAX reads it itself
    ],
)
def test_which_gpus_a_process_takes(environment: dict[str, str], expected: list[int] | None) -> None:
    assert local_devices(environment) == expected
