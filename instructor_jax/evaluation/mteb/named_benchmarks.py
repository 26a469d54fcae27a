"""MTEB's own benchmarks by their names: the jobs of their tasks, and the instruction that each task is read under."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from instructor_jax.evaluation.embedder import Embedder
from instructor_jax.evaluation.mteb.described import Described, is_known_kind, with_described
from instructor_jax.evaluation.mteb.jobs import MTEB, MtebOptions, benchmark_tasks, extent, hub_jobs
from instructor_jax.evaluation.scores import Job, TaskScore, missing
from instructor_jax.evaluation.task_instructions import InstructionTable
from instructor_jax.io.printable import one_line


def named_jobs(benchmark: str, options: MtebOptions) -> dict[str, list[Job]]:
    """Returns the jobs of one of MTEB's benchmarks by task.

    A task that is one of the paper's, on the same splits and subsets, is that one: it is not run twice. Tasks on other
    things than texts do not run, and say so.

    Args:
        benchmark: MTEB's name for it, or one of its aliases.
        options: how its tasks run; the table knows them all.

    Raises:
        ValueError: MTEB has no such benchmark, or the table lacks one of its tasks.
        ImportError: mteb is absent.
    """
    paper = {name: extent(task) for name, task in benchmark_tasks().items()}
    label = re.sub(r"[^\w.(),-]+", "_", benchmark)
    jobs = {}
    for name, task in benchmark_tasks(benchmark).items():
        if is_known_kind(task.metadata):
            jobs[name] = hub_jobs(task, options, MTEB if paper.get(name) == extent(task) else label)
        else:
            jobs[name] = [_unfit_job(task, label)]
    return jobs


def known_instructions(
    benchmark: str, names: Sequence[str], table: InstructionTable
) -> tuple[InstructionTable, dict[str, Described]]:
    """Returns the table with the instructions of a benchmark's tasks, and where those of each task come from.

    Args:
        benchmark: MTEB's name for it, or one of its aliases.
        names: only these of its tasks; empty for all.
        table: the known instructions, which stay.

    Raises:
        ValueError: MTEB has no such benchmark.
        ImportError: mteb is absent.
    """
    tasks = [task for name, task in benchmark_tasks(benchmark).items() if not names or name in names]
    parts = [part for task in tasks if task.is_aggregate for part in task.metadata.tasks]
    return with_described(table, [*tasks, *parts])


def instruction_lines(table: InstructionTable, found: Mapping[str, Described]) -> Iterator[str]:
    """Yields a line a task: its instructions as they will be read, and where they come from.

    Args:
        table: the instructions of the run.
        found: what `known_instructions` found; where the run has others, they come from the run's own source.
    """
    for name, one in found.items():
        query, document = table.of(name, "query"), table.of(name, "document")
        own = (query, document) == (one.instructions.query, one.instructions.document)
        sides = repr(query) if query == document else f"queries {query!r}, documents {document!r}"
        yield f"{one_line(name, 80):<40} {sides} ({one.origin if own else one_line(table.source, 80)})"


def _unfit_job(task: Any, benchmark: str) -> Job:
    metadata = task.metadata
    reason = f"{metadata.type} on {', '.join(sorted(metadata.modalities))} is no task of a text encoder"

    def run(embedder: Embedder) -> TaskScore:
        return missing(benchmark, metadata.name, metadata.type, metadata.main_score, reason)

    return Job(benchmark, metadata.name, metadata.type, run)
