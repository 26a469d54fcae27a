"""The published MEDI file is read record by record, whatever the chunks, and damage is named by record."""

import gzip
import json
import tracemalloc

import pytest

from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.published import json_list_records, read_published

QUESTION = "Represent the Wikipedia question for retrieving relevant documents;"
DOCUMENT = "Represent the Wikipedia document for retrieval;"
RECORD = {"query": [QUESTION, "who?"], "pos": [DOCUMENT, "he"], "neg": [DOCUMENT, "she"], "task_id": 7}


def _write(path, text):
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["medi-data.json", "medi-data.json.gz"])
def test_a_record_keeps_its_published_instructions(tmp_path, name):
    path = _write(tmp_path / name, json.dumps([RECORD, {**RECORD, "task_id": 12}]))
    expected = Example(Side(QUESTION, "who?"), Side(DOCUMENT, "he"), (Side(DOCUMENT, "she"),), "medi_007", "1")
    first, second = read_published(path)
    assert first == expected
    assert (second.task, second.row_id) == ("medi_012", "2")


def test_the_suffix_can_be_changed(tmp_path):
    path = _write(tmp_path / "a.json", json.dumps([{**RECORD, "query": ["Represent the x; Input: ", "who?"]}, RECORD]))
    old, new = read_published(path, instruction_suffix=": ")
    assert new.query.instruction == "Represent the Wikipedia question for retrieving relevant documents: "
    assert old.query.instruction == "Represent the x; Input: "


def test_several_negatives_are_read(tmp_path):
    path = _write(tmp_path / "a.json", json.dumps([{**RECORD, "neg": [["i", "a"], ["i", "b"]]}]))
    (example,) = read_published(path)
    assert example.negatives == (Side("i", "a"), Side("i", "b"))


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 50, 10_000])
def test_chunks_do_not_matter(tmp_path, chunk):
    records = [{"text": 'brackets ] } , and "quotes" \\ é \n', "n": n, "list": [1, {"x": None}]} for n in range(20)]
    spaced = json.dumps(records, indent=1)
    path = _write(tmp_path / "a.json", spaced)
    assert list(json_list_records(path, chunk)) == list(enumerate(records, start=1))


def test_an_empty_list_has_no_records(tmp_path):
    assert list(json_list_records(_write(tmp_path / "a.json", " [ ]\n"))) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1}', "row 1: the file must be one JSON list"),
        ("", "row 1: the file must be one JSON list"),
        ('[{"a": 1}, 3]', "row 2: expected a JSON object, found '3'"),
        ('[{"a": 1} {"a": 2}]', "row 1: expected ',' or ']', found '{'"),
        ('[{"a": 1},]', "row 2: a comma before the end"),
        ('[{"a": 1}, {"a": tru}]', "row 2: not JSON|row 2: the file ends"),
        ('[{"a": 1}, {"a" 2, "b": "long enough to be seen as an error"}]', "row 2: not JSON: Expecting ':'"),
        ('[{"a": 1}, {"b": "cut', "row 2: the file ends inside this record"),
        ('[{"a": 1}, {"b": 2}', "row 2: the file ends inside its list"),
        ('[{"a": 1}] []', r"row 1: the list ends, but the file goes on"),
    ],
)
def test_damage_is_named_by_record(tmp_path, text, problem):
    with pytest.raises(ValueError, match=problem):
        list(json_list_records(_write(tmp_path / "a.json", text)))


def test_an_error_is_found_where_it_is_without_reading_the_rest(tmp_path, monkeypatch):
    text = '[{"a" 1}' + ', {"b": 2}' * 10_000 + "]"
    path = _write(tmp_path / "a.json", text)
    with pytest.raises(ValueError, match="row 1: not JSON"):
        list(json_list_records(path, chunk=100))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"query": "who?"}, "row 1: 'query' must be list, not str"),
        ({"pos": ["only one"]}, r"row 1: 'pos' must be \[instruction, text\]"),
        ({"neg": [["i", 3]]}, r"row 1: 'neg' must be \[instruction, text\]"),
        ({"task_id": "7"}, "row 1: 'task_id' must be int"),
    ],
)
def test_a_record_of_another_form_is_refused(tmp_path, change, problem):
    with pytest.raises(ValueError, match=problem):
        list(read_published(_write(tmp_path / "a.json", json.dumps([{**RECORD, **change}]))))


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "a.json"
    with path.open("w") as file:  # 10 MB
        file.write("[" + ",".join([json.dumps({**RECORD, "pos": ["i", "x" * 10_000]})] * 1000) + "]")
    tracemalloc.start()
    count = sum(1 for _ in json_list_records(path, chunk=1 << 16))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 1000
    assert peak < 1_000_000  # a few chunks of 64 Ki characters and one record; the file is ten times as large
