"""mteb task objects whose data come from local files: mteb's own classes and scores, no network.

mteb unloads a task's data after each evaluation, and so loading is a method, not a step: every `load_data` reads the
files again. The tasks of one name in mteb's registry stay as they are; these are instances of subclasses of their own.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instructor_jax.evaluation.data_files import files_digest
from instructor_jax.evaluation.local.records import (
    ClusterSets,
    JudgedDocuments,
    LabelledPairs,
    LabelledTexts,
    Record,
    ScoredPairs,
    TrainTest,
)
from instructor_jax.evaluation.local.source import LocalSource
from instructor_jax.evaluation.local.sources import SOURCES
from instructor_jax.evaluation.mteb.task_limits import limit as limit  # one place to get tasks and to cut them

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask

# What mteb's own tasks of each kind report first, but for pairs: there mteb takes the best of several similarities,
# which no user can choose without labels; the published scores are those of cosine similarity.
_MAIN_SCORES = {
    "STS": "cosine_spearman",
    "PairClassification": "cosine_ap",
    "Classification": "accuracy",
    "Clustering": "v_measure",
    "Retrieval": "ndcg_at_10",
    "Reranking": "map_at_1000",
}


def local_tasks(data: Path, names: Sequence[str] = ()) -> "dict[str, AbsTask]":
    """Returns the tasks whose files are there, by name, in the order of `SOURCES`; nothing is read yet.

    `task.metadata.revision` is a hash of the files, so that a score can be tied to its data.

    Args:
        data: holds one folder for each source.
        names: only these; all by default. Those without files are left out: see `missing_tasks`.

    Raises:
        ValueError: a name is unknown; with those that are close to it.
        ImportError: mteb is absent.
    """
    known = [source.task for source in SOURCES]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3) or known
            raise ValueError(f"there is no local task {name!r}; did you mean {', '.join(close)}?")
    absent = missing_tasks(data)
    wanted = [source for source in SOURCES if (not names or source.task in names) and source.task not in absent]
    return {source.task: _task(source, data / source.folder) for source in wanted}


def missing_tasks(data: Path) -> dict[str, str]:
    """Returns the tasks of `SOURCES` that cannot run on a data folder, by name, with the reason."""
    return {
        source.task: f"its folder {data / source.folder} is absent"
        for source in SOURCES
        if not (data / source.folder).is_dir()
    }


def _task(source: LocalSource, folder: Path) -> "AbsTask":
    try:
        import mteb
    except ImportError as error:
        raise ImportError("local tasks need mteb: pip install 'instructor-jax[eval]'") from error
    revision = files_digest(sorted(path for path in folder.rglob("*") if path.is_file()))
    dataset = {"path": f"local/{source.folder}", "revision": revision}
    if source.is_mteb:
        base = type(mteb.get_task(source.task))
        attributes: dict[str, Any] = {"metadata": base.metadata.model_copy(update={"dataset": dataset})}
    else:
        base = _base_class(source.kind)
        attributes = {"metadata": _metadata(source, dataset)}
        if source.kind == "Classification":
            attributes["samples_per_label"] = source.samples_per_label

    def load_data(self: "AbsTask", num_proc: int | None = None, **kwargs: Any) -> None:
        """Reads the files; mteb calls it before an evaluation, and again after it has unloaded the data."""
        if not self.data_loaded:
            self.dataset = _dataset(source.read(folder), source)
            self.data_loaded = True

    task = type(source.task, (base,), {**attributes, "load_data": load_data, "__doc__": source.note})()
    task.filter_eval_splits([source.split])
    if task.metadata.is_multilingual:
        task.filter_languages(None, hf_subsets=[source.subset])
    return task


def _base_class(kind: str) -> "type[AbsTask]":
    from mteb.abstasks import (
        AbsTaskClassification,
        AbsTaskClusteringLegacy,
        AbsTaskPairClassification,
        AbsTaskRetrieval,
        AbsTaskSTS,
    )

    return {
        "STS": AbsTaskSTS,
        "PairClassification": AbsTaskPairClassification,
        "Classification": AbsTaskClassification,
        "Clustering": AbsTaskClusteringLegacy,  # that of the published tasks: whole sets, not samples of one
        "Retrieval": AbsTaskRetrieval,
        "Reranking": AbsTaskRetrieval,
    }[kind]


def _metadata(source: LocalSource, dataset: dict[str, str]) -> Any:
    from mteb import TaskMetadata

    return TaskMetadata(
        name=source.task,
        description=source.note,
        dataset=dataset,  # type: ignore[arg-type]
        type=source.kind,
        category="t2c" if source.kind in ("Classification", "Clustering") else "t2t",
        eval_splits=[source.split],
        eval_langs=["eng-Latn"],
        main_score=_MAIN_SCORES[source.kind],
    )


def _dataset(record: Record, source: LocalSource) -> Any:
    """Returns a record in the shape that its mteb class reads: splits, within subsets where the task has those."""
    from datasets import Dataset, DatasetDict

    match record:
        case ScoredPairs(first, second, scores):
            splits = {source.split: {"sentence1": first, "sentence2": second, "score": scores}}
        case LabelledPairs(first, second, labels):
            splits = {source.split: {"sentence1": first, "sentence2": second, "labels": labels}}
        case TrainTest(train, test):
            numbers = {name: number for number, name in enumerate(sorted({*train.labels, *test.labels}))}
            splits = {"train": _numbered(train, numbers), source.split: _numbered(test, numbers)}
        case ClusterSets(sets):
            columns = {"sentences": [part.texts for part in sets], "labels": [part.labels for part in sets]}
            splits = {source.split: columns}
        case JudgedDocuments():
            return {source.subset: {source.split: _judged(record)}}
    whole = DatasetDict({split: Dataset.from_dict(columns) for split, columns in splits.items()})
    return whole if source.subset == "default" else {source.subset: whole}


def _numbered(rows: LabelledTexts, numbers: dict[str, int]) -> dict[str, Any]:
    """Class names as numbers in their alphabetical order: average precision needs 0 and 1."""
    return {"text": rows.texts, "label": [numbers[label] for label in rows.labels]}


def _judged(record: JudgedDocuments) -> Any:
    from datasets import Dataset

    corpus = [{"id": key, "title": document.title, "text": document.text} for key, document in record.corpus.items()]
    return {
        "corpus": Dataset.from_list(corpus),
        "queries": Dataset.from_list([{"id": key, "text": text} for key, text in record.queries.items()]),
        "relevant_docs": {query: dict(grades) for query, grades in record.relevant.items()},
        "top_ranked": {query: list(documents) for query, documents in record.candidates.items()}
        if record.candidates is not None
        else None,
    }
