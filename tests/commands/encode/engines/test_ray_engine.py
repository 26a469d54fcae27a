"""Parts made by a Ray cluster: the bytes of a plain run, even where a worker is killed; too many are refused."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from instructor_jax.commands.encode.engines.ray_cluster import require_room, worker_environment, workers_that_fit
from instructor_jax.commands.encode.engines.worker_cpus import keep_to_cpus
from instructor_jax.commands.encode.options import EngineOptions
from instructor_jax.processor import usable_cpus


def options(**more) -> EngineOptions:
    return EngineOptions(output=Path("v.npy"), engine="ray", **more)


def test_workers_that_do_not_fit_are_refused():
    nodes = [{"CPU": 2.0}]
    assert workers_that_fit(nodes, options(), None) == 1  # one CPU is left to Ray
    require_room(nodes, options(), 1)
    with pytest.raises(ValueError, match=r"has 2 CPU on 1 machines, which hold 1 workers of 1 CPU, and 2 are"):
        require_room(nodes, options(), 2)
    require_room(nodes, options(cpus_per_worker=0.5), 2)


def test_a_worker_needs_all_on_one_machine():
    nodes = [{"CPU": 8.0, "GPU": 1.0}, {"CPU": 8.0, "GPU": 1.0}, {"CPU": 64.0}]
    assert workers_that_fit(nodes, options(gpus_per_worker=1.0), None) == 2
    with pytest.raises(ValueError, match="has 80 CPU, 2 GPU on 3 machines, which hold 0 workers of 1 CPU, 2 GPU"):
        require_room(nodes, options(gpus_per_worker=2.0), 1)
    assert workers_that_fit(nodes, options(gpus_per_worker=0.5), None) == 4
    assert workers_that_fit([{"CPU": 16.0, "TPU": 4.0}] * 3, options(tpus_per_worker=4, cpus_per_worker=2.0), None) == 3


def test_workers_are_told_what_jax_reads():
    environment = {"JAX_PLATFORMS": "cpu", "INSTRUCTOR_JAX_CACHE": "/x", "HOME": "/root", "AWS_SECRET": "x"}
    threads = {"NPROC": str(usable_cpus())}  # XLA's sums are cut by it, so that the bits depend on it
    assert worker_environment(options(), environment) == {
        "JAX_PLATFORMS": "cpu",
        "INSTRUCTOR_JAX_CACHE": "/x",
        **threads,
    }
    assert worker_environment(options(), {"NPROC": "3"}) == {"NPROC": "3"}
    assert worker_environment(options(gpus_per_worker=0.5), {}) == {
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        **threads,
    }


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no processes to CPUs")
def test_workers_keep_to_cpus_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    allowed = os.sched_getaffinity(0)
    held = []
    try:
        for _ in range(len(allowed)):
            held.append(keep_to_cpus(0.5))
            assert len(os.sched_getaffinity(0)) == 1
            os.sched_setaffinity(0, allowed)  # as another process would begin
        assert len(set(held)) == len(allowed)
        assert None not in held
        assert keep_to_cpus(1.0) is None  # more workers than CPUs: this one uses all
        assert os.sched_getaffinity(0) == allowed
    finally:
        os.sched_setaffinity(0, allowed)
        for descriptor in held:
            if descriptor is not None:
                os.close(descriptor)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"workers": 0}, "--workers 0 must be at least 1"),
        ({"cpus_per_worker": 0.0}, "--cpus-per-worker 0.0 must be at least 0.01"),
        ({"gpus_per_worker": -1.0}, "--gpus-per-worker -1.0 must be at least 0"),
        ({"shard": "0/2"}, "shares the parts out itself; leave --shard away"),
    ],
)
def test_options_that_cannot_be_meant(more, says):
    with pytest.raises(ValueError, match=says):
        options(**more).check()


def test_options_of_another_engine():
    with pytest.raises(ValueError, match="are for --engine ray; add it"):
        EngineOptions(output=Path("v.npy"), workers=2).check()


@pytest.mark.slow
def test_a_killed_worker_is_made_up_for(tiny_folder, tmp_path):
    pytest.importorskip("ray")
    (tmp_path / "in.txt").write_text("".join(f"text {k} {'word ' * (k % 7)}\n" for k in range(960)))
    words = [sys.executable, "-m", "instructor_jax", "encode", "in.txt", "-m", str(tiny_folder), "--part-size", "32"]
    subprocess.run([*words, "-o", "plain.npy"], check=True, cwd=tmp_path, capture_output=True)
    process = subprocess.Popen(
        [*words, "-o", "ray.npy", "--engine", "ray", "--workers", "2"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    parts = tmp_path / "ray.npy.parts"
    while process.poll() is None and len(list(parts.glob("part-*.json"))) < 3:
        time.sleep(0.005)
    lock = (parts / "lock").stat().st_ino if parts.exists() else None
    workers = [pid for pid in _pids() if pid != process.pid and lock is not None and _has_open(pid, lock)]
    assert workers, process.communicate()[0]
    os.kill(workers[0], signal.SIGKILL)
    said = process.communicate()[0]
    assert process.returncode == 0, said
    assert "30 of 30 parts to make" in said
    assert (tmp_path / "ray.npy").read_bytes() == (tmp_path / "plain.npy").read_bytes()


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _has_open(pid: int, inode: int) -> bool:
    try:
        return any(path.stat().st_ino == inode for path in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
