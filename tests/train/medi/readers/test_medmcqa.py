"""MedMCQA: the right option is the positive, the others are negatives; option numbers are never guessed."""

import json

import pytest

from instructor_jax.train.medi.files.records import Row
from instructor_jax.train.medi.readers.medicine import medmcqa_answer, medmcqa_explanation
from instructor_jax.train.medi.readers.source import read_source
from instructor_jax.train.medi.source_list import SOURCES

RECORD = {
    "id": "x1",
    "question": "Which  vitamin prevents scurvy?",
    "opa": "A",
    "opb": "B12",
    "opc": "C",
    "opd": "D",
    "cop": 3,
    "exp": "Scurvy is a lack of ascorbic acid.",
}
OTHER = {
    **RECORD,
    "id": "x2",
    "question": "How many lobes?",
    "opa": 2,
    "opb": 3,
    "cop": 1,
    "exp": None,
}


@pytest.fixture
def folder_of(make_folder):
    """Makes a folder with these records in train.json and one more in dev.json."""

    def make(*records):
        train = "\n".join(json.dumps(record) for record in records)
        return make_folder({"train.json": train, "dev.json": json.dumps(OTHER)})

    return make


def test_right_option_and_the_others(folder_of):
    assert list(medmcqa_answer(folder_of(RECORD))) == [
        Row("Which vitamin prevents scurvy?", "C", "x1", ("A", "B12", "D")),
        Row("How many lobes?", "2", "x2", ("3", "C", "D")),
    ]


def test_explanations(folder_of):
    first, second = medmcqa_explanation(folder_of(RECORD))
    assert first == Row("Which vitamin prevents scurvy?", "Scurvy is a lack of ascorbic acid.", "x1")
    assert second.positive == ""


@pytest.mark.parametrize(("number", "hint"), [(0, "some copies count from 0"), (5, r"one of 1\.\.4"), (-1, "must be")])
def test_a_number_out_of_range_is_an_error(folder_of, number, hint):
    with pytest.raises(ValueError, match=rf"train\.json, row 2: cop={number} .*{hint}"):
        list(medmcqa_answer(folder_of(RECORD, {**RECORD, "cop": number})))


def test_a_file_without_answers_is_an_error(folder_of):
    with pytest.raises(ValueError, match="row 1: needs the field 'cop'"):
        list(medmcqa_answer(folder_of({name: RECORD[name] for name in ("id", "question", "opa", "opb", "opc", "opd")})))


def test_the_registry_reaches_it(folder_of, tmp_path):
    folder_of(RECORD).rename(tmp_path / "medmcqa")
    read = {source.name: list(read_source(source, tmp_path)) for source in SOURCES if source.folder == "medmcqa"}
    assert {name: len(rows) for name, rows in read.items()} == {"medmcqa_answer": 2, "medmcqa_explanation": 1}
    assert str(read["medmcqa_answer"][0].query.instruction).startswith("Represent the medicine question")
