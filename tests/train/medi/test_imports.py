import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.builder import BuildSettings
from instructor_jax.train.medi.imports import as_record, import_files, mine_file
from instructor_jax.train.medi.mining.scorers import TfidfScorer
from instructor_jax.train.medi.reading import Reading
from instructor_jax.train.medi.rows import read_pairs
from instructor_jax.train.medi.storage.store import MediStore

NONE = BuildSettings(negatives=0)
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


def write_lines(path, rows):
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_published_file_is_stored_by_task(tmp_path):
    records = [
        {"query": ["Q;", f"q{i}"], "pos": ["D;", f"p{i}"], "neg": ["D;", f"n{i}"], "task_id": i % 3} for i in range(10)
    ]
    file = tmp_path / "medi-data.json.gz"
    file.write_bytes(gzip.compress(json.dumps(records).encode()))
    reports = import_files([file], tmp_path / "medi", TfidfScorer(), NONE, Reading())
    store = MediStore(tmp_path / "medi")
    assert sum(report.rows for report in reports) == len(store) == 10
    assert store.tasks == ("medi_000", "medi_001", "medi_002")
    assert [one.query for one in store.read(store.rows("medi_001"))] == [Side("Q;", f"q{i}") for i in (1, 4, 7)]
    assert store.read([0])[0].negatives == (Side("D;", "n0"),)


def test_own_files_are_tasks_of_their_names(tmp_path):
    pairs = write_lines(tmp_path / "faq.jsonl", [{"query": f"q{i}", "positive": f"p{i}", "score": i} for i in range(5)])
    sets = write_lines(tmp_path / "sets.jsonl", [{"set": [f"a{i}", f"b{i}", f"c{i}"]} for i in range(3)])
    reading = Reading(query_instruction="Q: ", document_instruction="D: ", score_range=(0.0, 4.0), licence="CC0")
    import_files([pairs], tmp_path / "one", TfidfScorer(), NONE, reading)
    store = MediStore(tmp_path / "one")
    assert store.tasks == ("faq",)
    assert store.entry("faq")["about"]["licence"] == "CC0"
    assert [one.score for one in store.stream()] == [0, 0.25, 0.5, 0.75, 1]
    assert store.read([0])[0].positive == Side("D: ", "p0")
    import_files([sets], tmp_path / "two", TfidfScorer(), NONE, Reading("sentence-transformers", "S: "))
    assert [one.positive.text for one in MediStore(tmp_path / "two").stream()] == ["b0", "c0", "b1", "c1", "b2", "c2"]


def test_labelled_file_is_mined(tmp_path):
    rows = [{"text": f"play song {i}", "label": "music"} for i in range(4)]
    rows += [{"text": f"weather in town {i}", "label": "weather"} for i in range(4)]
    file = write_lines(tmp_path / "intents.jsonl", rows)
    import_files([file], tmp_path / "out", TfidfScorer(), BuildSettings(negatives=1), Reading("labelled"))
    for one in MediStore(tmp_path / "out").stream():
        assert one.query.text.split()[0] == one.positive.text.split()[0] != one.negatives[0].text.split()[0]


def test_files_of_one_name_are_refused(tmp_path):
    (tmp_path / "a").mkdir()
    files = [
        write_lines(folder / "x.jsonl", [{"query": "q", "positive": "p"}]) for folder in (tmp_path, tmp_path / "a")
    ]
    with pytest.raises(ValueError, match="several files give the task 'x'"):
        import_files(files, tmp_path / "out", TfidfScorer(), NONE, Reading())


def test_evaluation_data_is_refused(tmp_path):
    (tmp_path / "eval_x").mkdir()
    file = write_lines(tmp_path / "eval_x" / "x.jsonl", [{"query": "q", "positive": "p"}])
    with pytest.raises(ValueError, match="evaluation folder 'eval_x'"):
        import_files([file], tmp_path / "out", TfidfScorer(), NONE, Reading())
    with pytest.raises(ValueError, match="evaluation folder 'eval_x'"):
        mine_file(file, tmp_path / "out.jsonl", TfidfScorer(), BuildSettings(), Reading())


def test_mined_file_is_read_again(tmp_path):
    pairs = [
        {"id": f"r{i}", "query": f"what is {i} times {i}?", "positive": f"{i} times {i} is {i * i}"} for i in range(9)
    ]
    file = write_lines(tmp_path / "sums.jsonl", pairs)
    reading = Reading(query_instruction="Q: ", document_instruction="D: ")
    counts = mine_file(file, tmp_path / "mined.jsonl", TfidfScorer(), BuildSettings(negatives=3, margin=None), reading)
    assert counts == {"rows": 9, "examples": 9}
    rows = list(read_pairs(tmp_path / "mined.jsonl", "sums"))
    assert [(one.row_id, one.query.text, one.positive.text) for one in rows] == [tuple(row.values()) for row in pairs]
    for one in rows:
        assert len({side.text for side in one.negatives} - {one.positive.text}) == 3
        assert {side.instruction for side in one.negatives} == {"D: "}
    with pytest.raises(FileExistsError, match="--replace"):
        mine_file(file, tmp_path / "mined.jsonl", TfidfScorer(), BuildSettings(), reading)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(
    texts=st.tuples(TEXT, TEXT, TEXT, TEXT, TEXT),
    instructions=st.tuples(*[st.sampled_from(["", "A: ", "B: "])] * 3),
    score=st.none() | st.floats(0, 1),
    label=st.none() | TEXT,
    weight=st.floats(0.1, 10),
)
def test_records_are_read_as_the_examples_they_were(tmp_path, texts, instructions, score, label, weight):
    sides = [Side(instruction, text) for instruction, text in zip(instructions, texts, strict=False)]
    example = Example(
        sides[0], sides[1], (sides[2], Side(sides[1].instruction, texts[4])), "t", texts[3], score, label, weight
    )
    (tmp_path / "rows.jsonl").write_text(json.dumps(as_record(example)))
    assert list(read_pairs(tmp_path / "rows.jsonl", "t")) == [example]
