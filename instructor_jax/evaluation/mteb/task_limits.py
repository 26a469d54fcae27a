"""`limit`: any mteb task cut down to a size that a CPU can take, in the same way for every model.

Which rows stay depends on the seed and the numbers of rows only, never on a library's random numbers, so two models (or
two machines) are compared on the same texts. A score under a limit compares models; it is not the task's score.
"""

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from instructor_jax.evaluation.drawn_order import drawn_order

if TYPE_CHECKING:
    from datasets import Dataset
    from mteb.abstasks import AbsTask

# A corpus without distractors would make retrieval trivial.
_DOCUMENTS_PER_EXAMPLE = 10
# Sets of fewer texts cluster well by chance; so a limit leaves few sets of some size rather than many tiny ones.
_TEXTS_PER_CLUSTER_SET = 256


def limit(task: "AbsTask", examples: int, seed: int = 42) -> "AbsTask":
    """Returns the same task object, whose `load_data` from now on also cuts the data:

    - STS, pairs, summaries: at most `examples` rows of each split.
    - classification: at most `examples` test rows; of the training rows, for each class at least as many as mteb fits a
      classifier on, else its share of `examples`.
    - clustering: at most `examples` texts in all, in the first sets; a set has at least 256 where it can.
    - retrieval: at most `examples` queries; their relevant documents, filled up to ten times `examples` with others.
    - reranking: at most `examples` queries, as long as they have no more than ten times `examples` candidates.

    Cutting twice to one size is cutting once.

    Args:
        task: a task of mteb, from its hub or local; of an aggregate, every part is cut.
        examples: at least 2.
        seed: random seed for the draw.

    Raises:
        ValueError: `examples` is too small, or the data are already loaded.
    """
    if examples < 2:
        raise ValueError(f"examples={examples} must be at least 2; a score needs two.")
    if task.data_loaded:
        raise ValueError(f"{task.metadata.name} already has its data; limit it before they are loaded.")
    if task.is_aggregate:
        for part in task.tasks:  # type: ignore[attr-defined]
            limit(part, examples, seed)
        return task
    load_all = task.load_data

    def load_data(num_proc: int | None = None, **kwargs: Any) -> None:
        if not task.data_loaded:
            load_all(num_proc=num_proc, **kwargs)
            _cut(task, examples, seed)

    task.load_data = load_data  # type: ignore[method-assign]
    return task


def _cut(task: "AbsTask", examples: int, seed: int) -> None:
    from datasets import DatasetDict
    from mteb.abstasks import AbsTaskRetrieval

    if isinstance(task, AbsTaskRetrieval):
        task.convert_v1_dataset_format_to_v2(num_proc=None)
        task.dataset = {
            subset: {split: _cut_judged(data, examples, seed) for split, data in splits.items()}
            for subset, splits in task.dataset.items()
        }
        return
    assert task.dataset is not None  # load_data has just run
    whole = isinstance(task.dataset, DatasetDict)
    subsets: Any = {"": task.dataset} if whole else task.dataset
    cut: Any = {
        subset: DatasetDict({split: _cut_split(task, split, rows, examples, seed) for split, rows in splits.items()})
        for subset, splits in subsets.items()
    }
    task.dataset = cut[""] if whole else cut


def _cut_split(task: "AbsTask", split: str, rows: "Dataset", examples: int, seed: int) -> "Dataset":
    from datasets import Dataset
    from mteb.abstasks import AbsTaskClassification, AbsTaskClustering, AbsTaskClusteringLegacy

    if isinstance(task, AbsTaskClusteringLegacy) and len(rows) and isinstance(rows[0][task.label_column_name], list):
        return _cut_sets(rows, examples, seed)
    if isinstance(task, AbsTaskClassification) and split == task.train_split and split not in task.eval_splits:
        return _cut_classes(rows, task.label_column_name, task.samples_per_label, examples, seed)
    if isinstance(task, AbsTaskClustering):
        task.max_fraction_of_documents_to_embed = None  # it is of all texts; the limit stands in its place
    if len(rows) == 1 and all(isinstance(value, list) for value in rows[0].values()):
        rows = Dataset.from_dict(rows[0])  # pairs as mteb once stored them: one row of lists
    return rows.select(_drawn(len(rows), examples, seed))


def _drawn(count: int, examples: int, seed: int) -> list[int]:
    """Returns at most `examples` of the rows, in their order."""
    return sorted(drawn_order(count, seed)[:examples])


def _cut_sets(rows: "Dataset", examples: int, seed: int) -> "Dataset":
    from datasets import Dataset

    sets = min(len(rows), max(examples // _TEXTS_PER_CLUSTER_SET, 1))

    def cut(row: dict[str, list[Any]]) -> dict[str, list[Any]]:
        kept = _drawn(len(next(iter(row.values()))), examples // sets, seed)
        return {column: [values[number] for number in kept] for column, values in row.items()}

    return Dataset.from_list([cut(rows[number]) for number in range(sets)])


def _cut_classes(rows: "Dataset", label_column: str, samples: int, examples: int, seed: int) -> "Dataset":
    by_label: dict[Any, list[int]] = defaultdict(list)
    labels = list(rows[label_column])
    for row in drawn_order(len(rows), seed):
        by_label[labels[row]].append(row)
    most = max(samples, math.ceil(examples / len(by_label)))
    return rows.select(sorted(row for members in by_label.values() for row in members[:most]))


def _cut_judged(data: Any, examples: int, seed: int) -> Any:
    """Queries and documents of one split; every relevant document of a query that stays, stays."""
    relevant = {query: grades for query, grades in data["relevant_docs"].items() if any(g > 0 for g in grades.values())}
    places = {query: place for place, query in enumerate(data["queries"]["id"]) if query in relevant}
    drawn = [list(places)[number] for number in drawn_order(len(places), seed)[:examples]]
    most, ranked = _DOCUMENTS_PER_EXAMPLE * examples, data["top_ranked"]
    documents = list(data["corpus"]["id"])
    if ranked is None:
        queries = set(drawn)
        kept = {document for query in drawn for document, grade in relevant[query].items() if grade > 0}
        others = (documents[number] for number in drawn_order(len(documents), seed))
        for document in others:
            if len(kept) >= most:
                break
            kept.add(document)
    else:
        queries, kept = set(), set()
        for query in drawn:
            if queries and len(kept.union(ranked[query])) > most:
                break
            queries.add(query)
            kept.update(ranked[query])
    return {
        "corpus": data["corpus"].select([place for place, document in enumerate(documents) if document in kept]),
        "queries": data["queries"].select([place for query, place in places.items() if query in queries]),
        "relevant_docs": {
            query: {document: grade for document, grade in relevant[query].items() if document in kept}
            for query in relevant
            if query in queries
        },
        "top_ranked": ranked and {query: ranked[query] for query in queries},
    }
