"""From what a user asks for (benchmarks, task names, a data folder) to jobs; nothing asked for is ever dropped.

A task of MTEB whose data lie in the data folder runs from there, any other from the hub or its cache.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path

from instructor_jax.evaluation.mteb.jobs import (
    LOCAL,
    MTEB,
    MtebOptions,
    benchmark_tasks,
    hub_jobs,
    mteb_job,
)
from instructor_jax.evaluation.mteb.named_benchmarks import named_jobs
from instructor_jax.evaluation.scores import Job, TaskScore, missing

# What `--benchmark` may be, beside the names that MTEB gives its own benchmarks.
OWN = ("mteb", "local", "billboard", "prompt-retrieval", "all")


def select_jobs(
    benchmark: str,
    names: Sequence[str],
    options: MtebOptions,
    data: Path | None,
    language_model: str | None = None,
) -> list[Job]:
    """Returns the jobs of a benchmark, in a stable order.

    Args:
        benchmark: which; "all" is the paper's 70 tasks and the local ones. Other names are those of MTEB's benchmarks.
        names: only these tasks; empty for all. CQADupstackRetrieval brings its twelve forums.
        options: how MTEB's tasks run.
        data: folder of local data; only "mteb" and MTEB's benchmarks can do without.
        language_model: folder or hub name of the language model for Prompt Retrieval.

    Raises:
        ValueError: an unknown name, or no data folder where one is needed.
        ImportError: mteb is absent and needed.
    """
    chosen = ("mteb", "local", "billboard", "prompt-retrieval") if benchmark == "all" else (benchmark,)
    if data is None and benchmark in OWN and benchmark != "mteb":
        raise ValueError(f"--benchmark {benchmark} reads local files; name their folder with --data.")
    if data is not None and not data.is_dir():
        raise ValueError(f"--data {data} is not a folder.")
    jobs: dict[str, list[Job]] = {}  # by task; an aggregate's parts go with it
    if benchmark not in OWN:
        jobs |= _with_local_data(named_jobs(benchmark, options), options, data)
    if "mteb" in chosen:
        jobs |= _mteb(options, data)
    if data is not None:
        if "local" in chosen:
            jobs |= {task: group for task, group in _local(options, data).items() if task not in jobs}
        jobs |= _others(chosen, options, data, language_model)
    return _named(jobs, names) if names else [job for group in jobs.values() for job in group]


def _mteb(options: MtebOptions, data: Path | None) -> dict[str, list[Job]]:
    jobs = {name: hub_jobs(task, options) for name, task in benchmark_tasks().items()}
    return _with_local_data(jobs, options, data)


def _with_local_data(jobs: dict[str, list[Job]], options: MtebOptions, data: Path | None) -> dict[str, list[Job]]:
    """Returns the jobs; those that are the paper's read the data folder where it has their data."""
    local = {} if data is None else _present(options, data)
    return {name: local.get(name, own) if own[-1].benchmark == MTEB else own for name, own in jobs.items()}


def _local(options: MtebOptions, data: Path) -> dict[str, list[Job]]:
    from instructor_jax.evaluation.local.tasks import missing_tasks

    present, absent = _present(options, data), missing_tasks(data)
    return present | {name: [_absent(name, absent[name])] for name in absent}


def _present(options: MtebOptions, data: Path) -> dict[str, list[Job]]:
    """Returns the jobs of each local task whose data are there."""
    from instructor_jax.evaluation.local.sources import SOURCES
    from instructor_jax.evaluation.local.tasks import local_tasks, missing_tasks

    absent = missing_tasks(data)
    sources = {source.task: source for source in SOURCES if source.task not in absent}
    tasks = local_tasks(data, list(sources))
    paper = benchmark_tasks()
    return {
        name: [mteb_job(tasks[name], options, MTEB if name in paper else LOCAL, note=source.note)]
        for name, source in sources.items()
    }


def _absent(name: str, reason: str) -> Job:
    from instructor_jax.evaluation.local.sources import SOURCES

    kind = next(source.kind for source in SOURCES if source.task == name)

    def run(embedder: object) -> TaskScore:
        return missing(LOCAL, name, kind, "", reason)

    return Job(LOCAL, name, kind, run)


def _others(
    chosen: Sequence[str], options: MtebOptions, data: Path, language_model: str | None
) -> dict[str, list[Job]]:
    jobs: list[Job] = []
    if "billboard" in chosen:
        from instructor_jax.evaluation import billboard

        jobs += billboard.jobs(data, options.table)
    if "prompt-retrieval" in chosen:
        from instructor_jax.evaluation.prompt_retrieval import jobs as prompt_retrieval

        jobs += prompt_retrieval.jobs(data, options.table, language_model=language_model, limit=options.limit)
    return {job.task: [job] for job in jobs}


def _named(jobs: dict[str, list[Job]], names: Sequence[str]) -> list[Job]:
    known = [*jobs, *(job.task for group in jobs.values() for job in group)]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            meant = f"did you mean {', '.join(dict.fromkeys(close))}?" if close else "see --list"
            raise ValueError(f"unknown task {name!r} in this benchmark; {meant}")
    return [job for task, group in jobs.items() for job in group if task in names or job.task in names]
