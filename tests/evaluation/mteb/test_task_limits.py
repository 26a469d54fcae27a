"""Cutting tasks: no more than asked, nothing that a score needs is lost, and the same cut every time."""

from typing import Any

import pytest

from instructor_jax.evaluation.local.records import (
    ClusterSets,
    Document,
    JudgedDocuments,
    LabelledPairs,
    LabelledTexts,
    ScoredPairs,
    TrainTest,
)
from instructor_jax.evaluation.local.source import LocalSource
from instructor_jax.evaluation.mteb.task_limits import limit
from instructor_jax.text.instructions import Instruction

pytest.importorskip("mteb")
pytestmark = pytest.mark.torch

SENTENCE = Instruction("", "sentence")


@pytest.fixture
def task_of(tmp_path, monkeypatch):
    """Makes the mteb task of a record."""
    from instructor_jax.evaluation.local import tasks as local_tasks

    (tmp_path / "folder").mkdir()

    def make(kind, record) -> Any:
        source = LocalSource("MadeUpLocal", "folder", kind, (SENTENCE,), lambda folder: record, "")
        monkeypatch.setattr(local_tasks, "SOURCES", (source,))
        return local_tasks.local_tasks(tmp_path)["MadeUpLocal"]

    return make


def cut(task, examples, seed=42) -> Any:
    limit(task, examples, seed)
    task.load_data()
    return task.dataset


def numbered(count, classes=1):
    return LabelledTexts([f"text {n}" for n in range(count)], [str(n % classes) for n in range(count)])


def test_rows_are_drawn_the_same_each_time_and_kept_in_order(task_of):
    record = ScoredPairs([f"a{n}" for n in range(50)], [f"b{n}" for n in range(50)], [float(n % 6) for n in range(50)])
    first, again, other = (cut(task_of("STS", record), 10, seed)["test"] for seed in (1, 1, 2))
    rows = [int(text[1:]) for text in first["sentence1"]]
    assert len(rows) == 10
    assert rows == sorted(rows)
    assert rows != list(range(10))
    assert first["sentence2"][:] == [f"b{n}" for n in rows]
    assert first["score"][:] == [float(n % 6) for n in rows]
    assert again["sentence1"][:] == first["sentence1"][:] != other["sentence1"][:]


def test_a_small_task_stays_whole(task_of):
    record = LabelledPairs(["a", "b", "c"], ["d", "e", "f"], [0, 1, 0])
    assert cut(task_of("PairClassification", record), 3)["test"]["sentence1"][:] == ["a", "b", "c"]


def test_training_rows_stay_enough_for_the_classifier(task_of):
    record = TrainTest(numbered(300, classes=5), numbered(200, classes=5))
    dataset = cut(task_of("Classification", record), 20)
    assert len(dataset["test"]) == 20
    train = dataset["train"]["label"][:]
    assert [train.count(label) for label in range(5)] == [8] * 5  # mteb fits on 8; the share of 20 would be 4
    train = cut(task_of("Classification", record), 100)["train"]["label"][:]
    assert [train.count(label) for label in range(5)] == [20] * 5


def test_few_whole_cluster_sets_stay_rather_than_many_small_ones(task_of):
    record = ClusterSets([numbered(600, classes=4) for _ in range(5)])
    assert [len(texts) for texts in cut(task_of("Clustering", record), 100)["test"]["sentences"]] == [100]
    dataset = cut(task_of("Clustering", record), 900)["test"]
    assert [len(texts) for texts in dataset["sentences"]] == [300] * 3
    for texts, labels in zip(dataset["sentences"], dataset["labels"], strict=True):
        assert [str(int(text.removeprefix("text ")) % 4) for text in texts] == labels


def judged(candidates=None):
    """100 queries; query n has the relevant documents 2n and 2n + 1 of 3,000."""
    corpus = {f"d{n}": Document(f"document {n}") for n in range(3000)}
    queries = {f"q{n}": f"query {n}" for n in range(100)}
    relevant = {f"q{n}": {f"d{2 * n}": 1, f"d{2 * n + 1}": 2} for n in range(100)}
    return JudgedDocuments(corpus, queries, relevant, candidates)


def test_every_relevant_document_of_a_query_stays_among_distractors(task_of):
    data = cut(task_of("Retrieval", judged()), 10)["default"]["test"]
    documents, queries = set(data["corpus"]["id"]), list(data["queries"]["id"])
    assert (len(queries), len(documents), data["top_ranked"]) == (10, 100, None)
    assert list(data["relevant_docs"]) == queries
    for query, grades in data["relevant_docs"].items():
        assert grades == judged().relevant[query]
        assert documents.issuperset(grades)


def test_reranking_keeps_all_candidates_of_the_queries_it_keeps(task_of):
    candidates = {
        f"q{n}": [f"d{2 * n}", f"d{2 * n + 1}", *(f"d{1000 + 10 * n + k}" for k in range(10))] for n in range(100)
    }
    data = cut(task_of("Reranking", judged(candidates)), 5)["default"]["test"]
    queries = list(data["queries"]["id"])
    assert len(queries) == 4  # 4 queries have 48 candidates, 5 would have 60: more than ten times 5
    assert data["top_ranked"] == {query: candidates[query] for query in data["top_ranked"]}
    assert set(data["top_ranked"]) == set(queries)
    assert set(data["corpus"]["id"]) == {document for query in queries for document in candidates[query]}


def test_cutting_twice_is_cutting_once(task_of):
    once = cut(task_of("Retrieval", judged()), 10)["default"]["test"]
    twice = cut(limit(task_of("Retrieval", judged()), 10), 10)["default"]["test"]
    assert twice["corpus"]["id"][:] == once["corpus"]["id"][:]
    assert twice["relevant_docs"] == once["relevant_docs"]


def test_data_are_cut_again_after_they_were_unloaded(task_of):
    task = task_of("Retrieval", judged())
    before = cut(task, 10)["default"]["test"]["corpus"]["id"][:]
    task.unload_data()
    task.load_data()
    assert task.dataset["default"]["test"]["corpus"]["id"][:] == before


def test_every_part_of_an_aggregate_is_cut():
    import mteb

    task: Any = limit(mteb.get_task("CQADupstackRetrieval"), 10)
    assert all(part.load_data.__module__ == limit.__module__ for part in task.tasks)


def test_a_limit_must_leave_something_and_come_in_time(task_of):
    task = task_of("PairClassification", LabelledPairs(["a", "b"], ["c", "d"], [0, 1]))
    with pytest.raises(ValueError, match="examples=1 must be at least 2"):
        limit(task, 1)
    task.load_data()
    with pytest.raises(ValueError, match="before they are loaded"):
        limit(task, 10)
