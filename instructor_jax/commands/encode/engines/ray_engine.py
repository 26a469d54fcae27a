"""Parts made by the workers of a Ray cluster: Ray Data's pool of actors over the numbers of the parts.

A worker opens the input itself, writes its part among the others and gives back a record; no vectors travel. The parts
are the checkpoint: what a lost worker was making is made again by another one, with the same bytes, and a job that is
started again makes only what is missing. The cluster needs a file system that all of its machines see under one path.
"""

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

from instructor_jax.commands.console import say
from instructor_jax.commands.encode.engines.ray_cluster import (
    connected,
    require_room,
    worker_environment,
    workers_that_fit,
)
from instructor_jax.commands.encode.job import Job, OpenedJob
from instructor_jax.commands.encode.options import EngineOptions
from instructor_jax.commands.encode.part_claims import wait_until_left
from instructor_jax.commands.encode.share import PartReader, make_part
from instructor_jax.progress import progress

_IN_FLIGHT = 2  # parts that wait at a worker, so that none is idle


class PartMaker:
    """A worker: makes the parts whose numbers it is given.

    Args:
        job: what is encoded, by names; never a model.
        cpus: CPUs that it keeps to.
    """

    def __init__(self, job: Job, cpus: float) -> None:
        from instructor_jax.commands.encode.engines.worker_cpus import keep_to_cpus

        self._slot = keep_to_cpus(cpus)  # before JAX is imported, which counts CPUs when it starts its threads
        self._context = job.opened()
        opened = self._context.__enter__()
        self._store_context = opened.store(shared=True)
        self._store = self._store_context.__enter__()
        self._reader = PartReader(opened, opened.index(self._store))
        self._encoder = opened.encoder(self._store)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Makes parts; what went wrong with the input or the model is given back as words."""
        parts, rows, errors = [int(part) for part in batch["part"]], [], []
        for part in parts:
            try:
                made = self._store.holds(part) or make_part(part, self._reader, self._encoder, self._store)
                rows.append(self._store.rows_of(part) if made else 0)
                errors.append("")
            except (ValueError, OSError) as error:
                rows.append(0)
                errors.append(str(error) or type(error).__name__)
        return {"part": parts, "rows": rows, "error": errors}


def encode_parts(opened: OpenedJob) -> None:
    """Makes every part that is missing, and leaves the joining to the caller.

    Raises:
        ValueError: the cluster cannot hold the workers, or a row cannot be read or encoded.
        ImportError: the extra `ray` is absent.
    """
    job = opened.job.absolute()
    with opened.store(shared=True) as store:
        index = opened.index(store)
        missing = store.missing(len(index.places))
        there = index.rows - _rows_of(missing, index.rows, job.target.part_size)
        if not missing:
            return
        with connected(job.target) as cluster:
            workers = min(workers_that_fit(cluster, job.target, job.target.workers), len(missing))
            require_room(cluster, job.target, workers)
            say(f"engine       ray, {workers} workers, {len(missing):,} of {len(index.places):,} parts to make")
            started = time.perf_counter()
            made = _run(job, missing, workers, there, index.rows)
            seconds = time.perf_counter() - started
    if isinstance(store.place, Path):
        wait_until_left(store.place)  # the workers were told to end, and are ending
    say(f"made         {made:,} rows in {seconds:,.1f} s, {made / seconds:,.0f} rows/s, start of the workers included")


def _run(job: Job, parts: list[int], workers: int, there: int, rows: int) -> int:
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    options = job.target
    records = ray.data.from_items([{"part": part} for part in parts], override_num_blocks=len(parts)).map_batches(
        PartMaker,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=_IN_FLIGHT),
        fn_constructor_args=(dataclasses.replace(job), options.cpus_per_worker),
        runtime_env={"env_vars": worker_environment(options, os.environ)},
        **resources_of(options),
    )
    made = 0
    with progress("encode", rows, "row") as bar:
        bar.initial = there
        bar.update(there)
        for record in records.iter_rows():
            if record["error"]:
                raise ValueError(str(record["error"]))
            made += int(record["rows"])
            bar.update(int(record["rows"]))
    return made


def resources_of(options: EngineOptions) -> dict[str, Any]:
    """What Ray reserves for a worker."""
    reserved: dict[str, Any] = {"num_cpus": options.cpus_per_worker}
    if options.gpus_per_worker:
        reserved["num_gpus"] = options.gpus_per_worker
    if options.tpus_per_worker:
        reserved["resources"] = {"TPU": options.tpus_per_worker}
    return reserved


def _rows_of(parts: list[int], rows: int, size: int) -> int:
    return sum(min((part + 1) * size, rows) - part * size for part in parts)
