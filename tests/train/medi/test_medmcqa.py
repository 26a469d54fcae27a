"""MedMCQA: the right option is the positive, the others are negatives; option numbers are never guessed."""

import json

import pytest

from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.medmcqa import read_medmcqa

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


def _read(make_folder, *records, **arguments):
    folder = make_folder({"train.json": "\n".join(json.dumps(record) for record in records)})
    return list(read_medmcqa(folder / "train.json", "medmcqa", "Q: ", "D: ", **arguments))


def test_right_option_and_the_others(make_folder):
    assert _read(make_folder, RECORD) == [
        Example(
            Side("Q: ", "Which vitamin prevents scurvy?"),
            Side("D: ", "C"),
            (Side("D: ", "A"), Side("D: ", "B12"), Side("D: ", "D")),
            "medmcqa",
            "x1",
        )
    ]


def test_counting_from_zero_and_explanations(make_folder):
    (row,) = _read(make_folder, {**RECORD, "cop": 0, "opa": 12}, first_option=0)
    assert row.positive.text == "12"
    (row,) = _read(make_folder, RECORD, target="explanation")
    assert (row.positive.text, row.negatives) == ("Scurvy is a lack of ascorbic acid.", ())


@pytest.mark.parametrize(
    ("number", "hint"), [(0, "pass first_option=0"), (5, r"must be one of 1\.\.4"), (-1, "must be")]
)
def test_a_number_out_of_range_is_an_error(make_folder, number, hint):
    with pytest.raises(ValueError, match=rf"row 2: cop={number} .*{hint}"):
        _read(make_folder, RECORD, {**RECORD, "cop": number})


def test_the_test_file_has_no_answers(make_folder):
    with pytest.raises(ValueError, match="row 1: needs the field 'cop'"):
        _read(make_folder, {name: RECORD[name] for name in ("id", "question", "opa", "opb", "opc", "opd")})
