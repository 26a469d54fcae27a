import os
import subprocess
import sys

import pytest

from instructor_jax.train.cluster.detection import in_cluster
from instructor_jax.train.run.distributed import Processes, find

from ..programs import finish, free_port


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, False),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, True),
        ({"SLURM_NTASKS": "4"}, False),  # an allocation without srun: one process only
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, False),
        ({"TPU_WORKER_HOSTNAMES": "t1k-0,t1k-1"}, True),
        ({"MEGASCALE_COORDINATOR_ADDRESS": "slice0"}, True),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, True),
    ],
)
def test_schedulers_are_recognised(environment: dict[str, str], expected: bool) -> None:
    assert in_cluster(environment) is expected


def test_flags_come_together() -> None:
    Processes("host:1", 2, 1)
    with pytest.raises(ValueError, match="together, or none"):
        Processes("host:1", 2)
    with pytest.raises(ValueError, match=r"--process=2 must be in \[0, --processes=2\)"):
        Processes("host:1", 2, 2)


def test_one_process_may_stand_alone(monkeypatch) -> None:
    """A scheduler's variables would start several; the flag overrides them."""
    monkeypatch.setenv("SLURM_NTASKS", "4")
    monkeypatch.setenv("SLURM_PROCID", "1")
    assert find(Processes(count=1)) is None
    with pytest.raises(ValueError, match="not how they find each other"):
        find(Processes())


_LATE = """
import sys, time, jax
from instructor_jax.train.run.distributed import Processes, join
join(Processes(sys.argv[1], 2, int(sys.argv[2])))
from instructor_jax.train.run.config_check import require_same_facts
jax.devices()
time.sleep(40 * (1 - int(sys.argv[2])))
require_same_facts({"step": 1})
require_same_facts({"step": 2})
"""


@pytest.mark.slow
def test_who_is_ready_waits_for_who_is_not() -> None:
    """The first is 40 s late, where a collective on CPUs gives up on it after 30; they meet twice."""
    address = f"localhost:{free_port()}"
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", _LATE, address, str(index)],
            env={**os.environ, "JAX_PLATFORMS": "cpu"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for index in range(2)
    ]  # fmt: skip
    finish(*programs, seconds=120)
