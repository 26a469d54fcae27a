"""MTEB's tasks, and local ones of its classes, as jobs: subsample, load, adjust to the protocol, evaluate, record."""

import copy
import dataclasses
import difflib
import logging
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from instructor_jax.evaluation.embedder import Embedder
from instructor_jax.evaluation.protocol import Protocol
from instructor_jax.evaluation.scores import Job, TaskScore, missing
from instructor_jax.evaluation.task_instructions import InstructionTable
from instructor_jax.io.printable import shown

logger: logging.Logger = logging.getLogger(__name__)

MTEB, LOCAL = "mteb", "local"
BENCHMARK = "MTEB(eng, v1)"  # MTEB's name for the paper's 56 tasks
PART = "Part"  # kind of CQADupstack's forums, which count together as one task
_BATCH = 1024  # texts in one batch of MTEB's loader; the encoder cuts its own batches by tokens


@dataclasses.dataclass(frozen=True)
class MtebOptions:
    """How MTEB's tasks are run.

    Attributes:
        table: Table of instructions.
        protocol: Switches of the protocol.
        output: Folder for MTEB's results and the corpus vectors.
        limit: Largest number of examples of a task; None for all.
        seed: Random seed for the choice of those examples.
        keep_vectors: Whether corpus vectors stay on disk.
        experiment: Name under which MTEB files the results; see `MtebEncoder`.
    """

    table: InstructionTable
    protocol: Protocol
    output: Path
    limit: int | None = None
    seed: int = 0
    keep_vectors: bool = True
    experiment: dict[str, Any] | None = None


def benchmark_tasks(benchmark: str = BENCHMARK) -> dict[str, Any]:
    """Returns a benchmark's tasks by name, as MTEB defines them (the paper's: English; MSMARCO's development split).

    Args:
        benchmark: MTEB's name for it, or one of its aliases; the paper's 56 tasks by default.

    Raises:
        ValueError: MTEB has no such benchmark.
        ImportError: mteb is absent.
    """
    try:
        import mteb
    except ImportError as error:
        raise ImportError("MTEB's tasks need mteb: pip install 'instructor-jax[eval]'") from error
    try:
        return {task.metadata.name: task for task in mteb.get_benchmark(benchmark).tasks}
    except KeyError:
        known = [found.name for found in mteb.get_benchmarks()]
        close = difflib.get_close_matches(benchmark, known, n=3, cutoff=0.4)
        meant = f"did you mean {', '.join(map(repr, close))}?" if close else f"it has {', '.join(known)}."
        raise ValueError(f"--benchmark {shown(benchmark)} is neither ours nor one of MTEB's; {meant}") from None


def hub_jobs(task: Any, options: MtebOptions, benchmark: str = MTEB) -> list[Job]:
    """Returns the job of a task with data from the hub or its cache; for CQADupstack thirteen, the last the mean."""
    if not task.is_aggregate:
        return [mteb_job(task, options, benchmark)]
    parts = [mteb_job(part, options, benchmark, kind=PART) for part in task.metadata.tasks]
    return [*parts, _mean_job(task, parts, options, benchmark)]


def mteb_job(task: Any, options: MtebOptions, benchmark: str, *, kind: str | None = None, note: str = "") -> Job:
    """Returns the job of one task of one of MTEB's classes.

    Args:
        task: an `AbsTask` that can load its data.
        options: how to run it.
        benchmark: `MTEB` where the result is that task's, `LOCAL` where the task is of our own making.
        kind: the group it counts in; MTEB's type of the task by default.
        note: what a reader of the report should know.
    """
    name, group = task.metadata.name, kind or task.metadata.type
    settings = {**_settings(options, task), "instructions": _instructions(options, name)}
    if benchmark not in (MTEB, LOCAL):  # where splits and subsets are the benchmark's, not the paper's
        settings["extent"] = extent(task)

    def run(embedder: Embedder) -> TaskScore:
        # MTEB may give the same object to every caller: what is set on it here must not reach the next one.
        own = copy.copy(task)
        reason = _load(own, options)
        if reason:
            return missing(benchmark, name, group, _metric(own, options.protocol), reason)
        try:
            return _evaluate(own, embedder, options, benchmark, group, note)
        finally:
            own.unload_data()

    return Job(benchmark, name, group, run, settings)


def _evaluate(task: Any, embedder: Embedder, options: MtebOptions, benchmark: str, kind: str, note: str) -> TaskScore:
    import mteb

    from instructor_jax.evaluation.mteb.encoder import MtebEncoder
    from instructor_jax.evaluation.mteb.results import figure, refuse_other_results, save_result

    _adjust(task, options.protocol)
    vectors = options.output / "vectors" if options.keep_vectors else None
    encoder = MtebEncoder(embedder, options.table, options.protocol, vectors, options.experiment)
    refuse_other_results(task.metadata.name, encoder.mteb_model_meta, options.output / "mteb")  # before hours of work
    encode_kwargs: Any = {"batch_size": _BATCH, "show_progress_bar": False}
    with warnings.catch_warnings():
        # Told to users of MTEB and scikit-learn, not to ours: superseded tasks, classes that no text was assigned to.
        warnings.filterwarnings("ignore", module=r"(mteb|sklearn)\b")
        # MTEB's own cache stays out of it: we know what is finished, and write its files so that they are whole.
        outcome = mteb.evaluate(
            encoder,
            task,
            cache=None,
            co2_tracker=False,
            overwrite_strategy="always",
            encode_kwargs=encode_kwargs,
            show_progress_bar=False,
        )
    if not outcome.task_results:
        raise ValueError(f"{task.metadata.name}: MTEB gave no result ({outcome.exceptions}).")
    result, metric = outcome.task_results[0], _metric(task, options.protocol)
    path = save_result(result, encoder.mteb_model_meta, options.output / "mteb", encode_kwargs)
    details = {
        "data": _revision(task),
        "note": note,
        "limit": options.limit,
        "encoded": encoder.encoded.get(task.metadata.name, {}),
        "seconds": round(result.evaluation_time or 0.0, 3),
        "mteb_file": path.relative_to(options.output).as_posix(),
    }
    if benchmark not in (MTEB, LOCAL):
        details["paper_protocol"] = False  # a figure of this benchmark, on its splits and subsets
    if task.metadata.name in encoder.without_instruction:
        long, texts = encoder.without_instruction[task.metadata.name]
        details["texts_without_instruction"] = f"{long} of {texts}"
    return TaskScore(benchmark, task.metadata.name, kind, figure(result, metric), metric, details)


def _load(task: Any, options: MtebOptions) -> str:
    """Loads and subsamples; why that is impossible, or ''. Hubs, networks and files fail in many ways."""
    if options.limit is not None and not task.data_loaded:
        from instructor_jax.evaluation.mteb.task_limits import limit

        limit(task, options.limit, options.seed)
    try:
        if not task.data_loaded:
            task.load_data()
    except Exception as error:
        logger.debug("%s: %s", task.metadata.name, error, exc_info=True)
        lines = str(error).strip().splitlines()
        return f"its data cannot be loaded: {lines[0] if lines else type(error).__name__}"
    return ""


def _adjust(task: Any, protocol: Protocol) -> None:
    """Sets on the task what the protocol decides and MTEB keeps as an attribute."""
    if task.metadata.name == "SummEval":
        from instructor_jax.evaluation.mteb.summeval import evaluator

        task.evaluator = evaluator(task, protocol)
    if task.metadata.name == "ToxicConversationsClassification":
        task.samples_per_label = protocol.toxic_samples_per_label


def _metric(task: Any, protocol: Protocol) -> str:
    if task.metadata.type == "PairClassification" and protocol.cosine_pairs:
        return "cosine_ap"
    return task.metadata.main_score


def _mean_job(task: Any, parts: Sequence[Job], options: MtebOptions, benchmark: str) -> Job:
    """Returns the job that takes the mean of an aggregate's parts, from their files."""
    name, kind, metric = task.metadata.name, task.metadata.type, task.metadata.main_score
    settings = {**_settings(options, task), "parts": {part.task: dict(part.settings) for part in parts}}

    def run(embedder: Embedder) -> TaskScore:
        from instructor_jax.evaluation.mteb.encoder import model_meta
        from instructor_jax.evaluation.mteb.results import figure, load_result, save_result

        meta, folder = model_meta(embedder, options.experiment), options.output / "mteb"
        found = {part.task: load_result(part.task, meta, folder) for part in parts}
        absent = [part for part, result in found.items() if result is None]
        if absent:
            return missing(benchmark, name, kind, metric, f"{len(absent)} of its {len(parts)} parts did not run")
        result = task.combine_task_results(list(found.values()))
        path = save_result(result, meta, folder, {})
        details = {
            "data": settings["data"],
            "limit": options.limit,
            "parts": {part: figure(each, metric) for part, each in found.items()},
            "mteb_file": path.relative_to(options.output).as_posix(),
        }
        return TaskScore(benchmark, name, kind, figure(result, metric), metric, details)

    return Job(benchmark, name, kind, run, settings)


def extent(task: Any) -> tuple[list[str], list[str]]:
    """Returns the splits and the subsets of a task that are scored."""
    return sorted(task.eval_splits), sorted(task.hf_subsets or [])


def _settings(options: MtebOptions, task: Any) -> dict[str, Any]:
    return {"data": _revision(task), "mteb": version("mteb"), "limit": options.limit, "seed": options.seed}


def _instructions(options: MtebOptions, task: str) -> dict[str, str]:
    return {"query": options.table.of(task, "query"), "document": options.table.of(task, "document")}


def _revision(task: Any) -> str:
    """Returns which data: a repository at a commit, or a local folder with the hash of its files."""
    dataset = task.metadata.dataset
    return f"{dataset.get('path', '')}@{dataset.get('revision', '')}"
