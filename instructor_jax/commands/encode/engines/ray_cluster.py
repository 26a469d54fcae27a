"""The Ray cluster of a job: connected to or started, and asked whether it can hold the workers before they are started.

A pool that does not fit waits for ever, with a warning in a log at most.
"""

import contextlib
import logging
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

from instructor_jax.commands.encode.options import EngineOptions
from instructor_jax.processor import usable_cpus

_PASSED_ON = ("JAX_", "XLA_", "INSTRUCTOR_JAX_", "HF_")  # variables that workers need, too
_FOR_RAY = 1.0  # CPUs of the cluster that Ray Data itself may need


@contextlib.contextmanager
def connected(options: EngineOptions) -> Iterator[list[dict[str, float]]]:
    """A connection to a cluster, closed after the block; gives the resources of each of its machines.

    Args:
        options: the cluster's address; without, one is started on this machine. It is told of as many CPUs as the
            workers and Ray itself need: they are a matter of counting, and the workers keep to the real ones.

    Raises:
        ValueError: it cannot be reached.
        ImportError: the extra `ray` is absent.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError("--engine ray needs Ray: pip install 'instructor-jax[ray]'") from error
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # 30 s are not enough on a loaded machine
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machine unasked
    began = not ray.is_initialized()
    if began:
        address, declared = options.address, {}
        if address is None:
            wanted = options.workers or max(int((os.cpu_count() or 1) / options.cpus_per_worker), 1)
            declared = {"num_cpus": math.ceil(wanted * options.cpus_per_worker + _FOR_RAY), "include_dashboard": False}
        try:
            ray.init(address=address, logging_level=logging.ERROR, **declared)
        except (ConnectionError, RuntimeError, OSError) as error:
            raise ValueError(f"--address {address}: no Ray cluster is reached there: {error}") from error
    try:
        yield [node["Resources"] for node in ray.nodes() if node["Alive"]]
    finally:
        if began:
            ray.shutdown()


def workers_that_fit(nodes: list[dict[str, float]], options: EngineOptions, wanted: int | None) -> int:
    """How many workers are started: those asked for, otherwise all that the cluster holds, at least one."""
    return wanted or max(_room(nodes, options), 1)


def require_room(nodes: list[dict[str, float]], options: EngineOptions, workers: int) -> None:
    """Refuses workers that the cluster cannot hold.

    Args:
        nodes: resources of each machine.
        options: what a worker needs.
        workers: how many there are to be.

    Raises:
        ValueError: they do not fit, and would be waited for without end.
    """
    room = _room(nodes, options)
    if workers <= room:
        return
    needs = {"CPU": options.cpus_per_worker, "GPU": options.gpus_per_worker, "TPU": float(options.tpus_per_worker)}
    asked = ", ".join(f"{amount:g} {kind}" for kind, amount in needs.items() if amount)
    has = ", ".join(f"{sum(node.get(kind, 0.0) for node in nodes):g} {kind}" for kind in needs if needs[kind])
    raise ValueError(
        f"the Ray cluster has {has} on {len(nodes)} machines, which hold {room} workers of {asked}, and {workers} are "
        f"asked for (Ray itself needs {_FOR_RAY:g} CPU more); they would wait for ever. Give fewer --workers, less for "
        "each of them (--cpus-per-worker 0.5), or start Ray with more: ray start --head --num-cpus N"
    )


def worker_environment(options: EngineOptions, environment: Mapping[str, str]) -> dict[str, str]:
    """Variables of a worker: those of this process that JAX and this package read, the cache of programs among them.

    On CPUs, XLA cuts its sums by its number of threads, so that the last bits of a vector depend on it. It reads that
    number from NPROC (`DefaultThreadPoolSize` in xla/pjrt/utils.cc), and workers bound to few CPUs are given that of
    this process: the bytes of a part are then those of a run without an engine.
    """
    passed = {name: value for name, value in environment.items() if name.startswith(_PASSED_ON)}
    passed["NPROC"] = environment.get("NPROC") or str(usable_cpus())
    if 0 < options.gpus_per_worker < 1:  # several on one GPU: none may take all of its memory
        passed.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    return passed


def _room(nodes: list[dict[str, float]], options: EngineOptions) -> int:
    """How many workers fit, each on one machine, when Ray itself is left what it needs."""
    needs: dict[str, Any] = {"CPU": options.cpus_per_worker}
    needs |= {"GPU": options.gpus_per_worker} if options.gpus_per_worker else {}
    needs |= {"TPU": options.tpus_per_worker} if options.tpus_per_worker else {}
    fits = [min(int((node.get(kind, 0.0) + 1e-9) / amount) for kind, amount in needs.items()) for node in nodes]
    cpus = sum(node.get("CPU", 0.0) for node in nodes)
    return max(min(sum(fits), int((cpus - _FOR_RAY + 1e-9) / options.cpus_per_worker)), 0)
