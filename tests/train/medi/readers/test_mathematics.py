"""Word problems with their solutions."""

import json

import pytest

from instructor_jax.train.medi.files.records import Instance, Row
from instructor_jax.train.medi.readers import mathematics


def test_gsm8k(make_folder):
    record = {"question": "How many?", "answer": "Half of 48 is 48/2 = <<48/2=24>>24.\n#### 24"}
    folder = make_folder({"train.jsonl.gz": json.dumps(record) + '\n{"question": "q", "answer": "no mark"}\n'})
    rows = mathematics.gsm8k(folder)
    assert next(rows) == Row("How many?", "Half of 48 is 48/2 = 24.\nAnswer: 24", "1")
    with pytest.raises(ValueError, match="row 2: the answer lacks"):
        next(rows)


def test_svamp(make_folder):
    record = {
        "ID": "c1",
        "Body": "A pack costs 76",
        "Question": "How much?",
        "Equation": "( 76.0 - 25.0 )",
        "Type": "Common-Divison",
    }
    folder = make_folder({"SVAMP.json": json.dumps([record, {**record, "ID": "c2", "Body": "It costs 7."}])})
    assert list(mathematics.svamp_equation(folder)) == [
        Row("A pack costs 76. How much?", "( 76.0 - 25.0 )", "c1"),
        Row("It costs 7. How much?", "( 76.0 - 25.0 )", "c2"),
    ]
    first = next(mathematics.svamp_operation(folder))
    assert first == Instance("A pack costs 76. How much?", "Common-Division", "c1", "Common-Division")
