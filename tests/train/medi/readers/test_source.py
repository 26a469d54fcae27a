"""What `read_source` drops, keeps, counts and refuses."""

import logging

import pytest

from instructor_jax.text.instructions import Instruction
from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.files.records import Instance, Licence, Row
from instructor_jax.train.medi.readers.source import labelled_source, pair_source, read_source

QUERY, DOCUMENT = Instruction("Wikipedia", "question", "retrieval"), Instruction("", "paragraph")


def _pairs(rows, document: Instruction | None = DOCUMENT, folder="facts"):
    return pair_source("facts_task", folder, lambda path: iter(rows), QUERY, document, Licence("MIT", True))


def test_a_row_becomes_an_example_with_its_instructions(tmp_path):
    row = Row(" q ", "p\n", "7", ("n1", "N1 ", "", "p", " Q", "n2"), label="g", score=0.5)
    assert list(read_source(_pairs([row]), tmp_path)) == [
        Example(
            Side("Represent the Wikipedia question for retrieval: ", "q"),
            Side("Represent the paragraph: ", "p"),
            (Side("Represent the paragraph: ", "n1"), Side("Represent the paragraph: ", "n2")),
            "facts_task",
            "7",
            score=0.5,
            label="g",
        )
    ]


def test_at_most_four_negatives_stay_the_first_ones(tmp_path):
    rows = [Row("q", "p", "1", tuple("abcdef"))]
    (example,) = read_source(_pairs(rows), tmp_path)
    assert isinstance(example, Example)
    assert [side.text for side in example.negatives] == ["a", "b", "c", "d"]


def test_empty_copied_and_repeated_rows_are_dropped_and_counted(tmp_path, caplog):
    rows = [
        Row("q", "p", "1"),
        Row("q", " ", "2"),
        Row("same  text", "Same text", "3"),
        Row("q", "p ", "4", ("other negative",)),
        Row("p", "q", "5"),
    ]
    with caplog.at_level(logging.INFO):
        kept = [row.row_id for row in read_source(_pairs(rows), tmp_path)]
    assert kept == ["1", "5"]
    assert "2 rows kept, dropped {'empty': 1, 'positive repeats the query': 1, 'repeated': 1}" in caplog.text


def test_in_a_symmetric_task_the_swapped_pair_is_a_repetition(tmp_path):
    rows = [Row("q", "p", "1"), Row("p", "q", "2")]
    assert [row.row_id for row in read_source(_pairs(rows, document=None), tmp_path)] == ["1"]


def test_instances_are_cleaned_too(tmp_path):
    rows = [
        Instance(" a ", "x", "1", "x"),
        Instance("a", "x", "2", "x"),
        Instance("a", "y", "3", "y"),
        Instance("", "x", "4"),
    ]
    source = labelled_source("labels", "facts", lambda path: iter(rows), QUERY, Licence("MIT", True))
    assert source.mined
    assert source.kind == "classification"
    assert list(read_source(source, tmp_path)) == [Instance("a", "x", "1", "x"), Instance("a", "y", "3", "y")]


def test_a_row_id_may_occur_once(tmp_path):
    with pytest.raises(ValueError, match="row id '1' occurs twice in task 'facts_task'"):
        list(read_source(_pairs([Row("q", "p", "1"), Row("q2", "p2", "1")]), tmp_path))


def test_evaluation_folders_are_refused_before_reading(tmp_path):
    (tmp_path / "eval_facts").mkdir()
    with pytest.raises(ValueError, match="evaluation folder"):
        list(read_source(_pairs([Row("q", "p", "1")], folder="eval_facts"), tmp_path))
