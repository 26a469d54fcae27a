"""Rows in memory as a mixture: what is taken, what is refused, and that a run goes on with the same rows only."""

import dataclasses
from typing import Any

import pytest

from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.data.token_cache import Mixture
from instructor_jax.train.medi.memory import from_memory
from instructor_jax.train.medi.rows import Columns

DICTS = [
    {"query": "a", "positive": "b", "negatives": ["c", "d"], "task": "second"},
    {"query": "e", "positive": "f", "score": 0.5, "weight": 2.0, "label": "x"},
    {"query": "g", "positive": "h", "negative_1": "i", "query_instruction": "Q: ", "task": "second"},
    {"query": ["own ", "j"], "positive": "k", "negatives": None},
]
EXAMPLES = [
    Example(Side("I: ", "e"), Side("I: ", "f"), (), "examples", "2", 0.5, "x", 2.0),
    Example(Side("own ", "j"), Side("I: ", "k"), (), "examples", "4"),
    Example(Side("I: ", "a"), Side("I: ", "b"), (Side("I: ", "c"), Side("I: ", "d")), "second", "1"),
    Example(Side("Q: ", "g"), Side("I: ", "h"), (Side("I: ", "i"),), "second", "3"),
]


class Dataset:
    """What a Hugging Face dataset looks like from outside; counts what is read of it."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows, self.reads = rows, 0
        self.column_names = list(dict.fromkeys(name for row in rows for name in row))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.reads += 1
        return {name: self._rows[index].get(name) for name in self.column_names}


class Stream:
    """Rows that come once, with a length."""

    def __init__(self, rows: list[Any], length: int | None = None) -> None:
        self._rows, self._length = iter(rows), len(rows) if length is None else length

    def __len__(self) -> int:
        return self._length

    def __iter__(self):
        return self._rows


def read(mixture: Mixture) -> list[Example]:
    return mixture.read(range(sum(len(mixture.rows(task)) for task in mixture.tasks)))


@pytest.mark.parametrize("kind", [list, tuple, Dataset, Stream])
def test_rows_become_examples_task_by_task(kind) -> None:
    mixture = from_memory(kind(DICTS), query_instruction="I: ")
    assert mixture.tasks == ("examples", "second")
    assert (mixture.rows("examples"), mixture.rows("second")) == (range(2), range(2, 4))
    assert read(mixture) == EXAMPLES
    assert mixture.read([3, 0]) == [EXAMPLES[3], EXAMPLES[0]]
    assert mixture.entry("second")["instructions"] == [["I: ", "I: ", 1], ["Q: ", "I: ", 1]]
    assert mixture.fingerprint == from_memory(EXAMPLES).fingerprint
    assert from_memory(mixture) is mixture


def test_a_data_set_is_read_again_and_not_kept() -> None:
    dataset = Dataset(DICTS)
    mixture = from_memory(dataset)
    before = dataset.reads
    assert before == 4
    mixture.read([1, 2])
    assert dataset.reads == 6


def test_columns_of_other_names() -> None:
    rows = Dataset([{"anchor": "a", "answer": "b", "wrong": "c"}])
    mixture = from_memory(rows, columns=Columns(query="anchor", positive="answer", negatives="wrong"), task="mine")
    assert mixture.read([0]) == [Example(Side("", "a"), Side("", "b"), (Side("", "c"),), "mine", "1")]


def test_a_real_data_set() -> None:
    datasets = pytest.importorskip("datasets")
    rows = [{"query": f"q{i}", "positive": f"p{i}", "negatives": [f"n{i}"]} for i in range(5)]
    found = read(from_memory(datasets.Dataset.from_list(rows)))
    assert found == read(from_memory(rows))
    with pytest.raises(ValueError, match=r"give one of its values, as in examples\['train'\]"):
        from_memory(datasets.DatasetDict({"train": datasets.Dataset.from_list(rows)}))


@pytest.mark.parametrize(
    "change",
    [
        {"query": Side("", "other")},
        {"positive": Side("other: ", "b")},
        {"negatives": ()},
        {"score": 0.25},
        {"label": "y"},
        {"weight": 1.5},
        {"task": "third"},
    ],
)
def test_the_fingerprint_tells_other_rows_apart(change) -> None:
    rows = [Example(Side("", "a"), Side("", "b"), (Side("", "c"),), "one", "1"), EXAMPLES[0]]
    other = [dataclasses.replace(rows[0], **change), rows[1]]
    assert from_memory(rows).fingerprint == from_memory(list(rows)).fingerprint
    assert from_memory(rows).fingerprint != from_memory(other).fingerprint
    assert from_memory([rows[0], rows[0]]).fingerprint != from_memory([rows[0]]).fingerprint


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "there is no row; give a list of Example"),
        ({"train": DICTS}, r"a mapping of 'train'; give one of its values, as in examples\['train'\]"),
        ("data/mine", "of type str; give a list"),
        (iter(DICTS), "has no length"),
        (3, "has no length"),
        (Stream(DICTS, 5), "4 rows came, but their length is 5"),
        ([*DICTS, {"query": "a"}], "examples, row 5: needs the field 'positive'"),
        ([{"query": 3, "positive": "b"}], "examples, row 1: 'query' must be a text"),
        ([{"query": "a", "positive": "b", "score": 2}], r"examples, row 1: score=2.0 .* must be in \[0, 1\]"),
        ([{"query": "a", "positive": "b", "task": 3}], "examples, row 1: 'task' must be a name, is 3"),
        ([{"query": " ", "positive": "b"}], "examples, row 1: a text is empty"),
        ([{"query": "a\ud800", "positive": "b"}], "examples, row 1: a text is not valid Unicode"),
        ([("a", "b")], "examples, row 1: is of type tuple; give a list"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_is_wrong_is_told_with_its_row(rows, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_memory(rows)
