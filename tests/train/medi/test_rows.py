"""A user's own files: every form of row in every format gives the same examples, and mistakes name file and row."""

import gzip
import json

import pytest

from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.files.records import Instance
from instructor_jax.train.medi.readers.source import read_source
from instructor_jax.train.medi.rows import Columns, labels_source, pairs_source, read_labelled, read_pairs

ROWS = [
    {"query": "q1", "positive": "p1", "negative": "n1", "score": 4.0, "id": "a"},
    {"query": "q2", "positive": "p2", "negatives": ["n2", "n3"], "label": "x", "weight": 2.5},
    {"query": "q3", "positive": "p3", "query_instruction": "own: ", "document_instruction": "docs: "},
]
EXPECTED = [
    Example(Side("Q: ", "q1"), Side("D: ", "p1"), (Side("D: ", "n1"),), "mine", "a", score=0.8),
    Example(
        Side("Q: ", "q2"), Side("D: ", "p2"), (Side("D: ", "n2"), Side("D: ", "n3")), "mine", "2", label="x", weight=2.5
    ),
    Example(Side("own: ", "q3"), Side("docs: ", "p3"), (), "mine", "3"),
]


def _write(folder, name, rows):
    path = folder / name
    if name.endswith(".parquet"):
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.Table.from_pylist(rows, _schema(pyarrow)), path)
    elif ".jsonl" in name:
        text = "\n".join(json.dumps(row) for row in rows)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    else:
        import csv

        with path.open("w", newline="") as file:
            columns = list(dict.fromkeys(name for row in rows for name in row))
            writer = csv.DictWriter(file, columns, delimiter="\t" if name.endswith(".tsv") else ",")
            writer.writeheader()
            writer.writerows({k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows)
    return path


def _schema(pyarrow):
    texts = ["query", "positive", "negative", "id", "label", "query_instruction", "document_instruction"]
    numbers = [("score", pyarrow.float64()), ("weight", pyarrow.float64())]
    return pyarrow.schema(
        [(n, pyarrow.string()) for n in texts] + numbers + [("negatives", pyarrow.list_(pyarrow.string()))]
    )


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv", "a.tsv", "a.parquet"])
def test_every_format_gives_the_same_examples(tmp_path, name):
    path = _write(tmp_path, name, ROWS)
    assert list(read_pairs(path, "mine", "Q: ", "D: ", score_range=(0.0, 5.0))) == EXPECTED


def test_without_a_document_instruction_both_sides_share_one(tmp_path):
    path = _write(tmp_path, "a.jsonl", ROWS[:1])
    (example,) = read_pairs(path, "mine", "Q: ", score_range=(0.0, 5.0))
    assert example.positive.instruction == "Q: "


def test_columns_can_have_other_names_and_texts_their_own_instruction(tmp_path):
    path = _write(tmp_path, "a.jsonl", [{"question": ["I: ", "q"], "answer": "a", "neg": [["J: ", "n"], "m"]}])
    columns = Columns(query="question", positive="answer", negatives="neg")
    (example,) = read_pairs(path, "mine", "Q: ", "D: ", columns)
    assert example.query == Side("I: ", "q")
    assert example.negatives == (Side("J: ", "n"), Side("D: ", "m"))


def test_numbered_negative_columns_of_a_table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("query,positive,negative_1,negative_2\nq,p,one,\nq2,p2,[not json,three\n")
    texts = [[side.text for side in example.negatives] for example in read_pairs(path, "mine")]
    assert texts == [["one"], ["[not json", "three"]]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([{"query": "q"}], r"row 1: needs the field 'positive'; found \['query'\]; name your columns"),
        ([ROWS[0] | {"score": 1}, {"query": "q", "positive": 3}], "row 2: 'positive' must be a text"),
        ([{"query": "q", "positive": "p", "score": 7}], r"row 1: score=7.0 .* must be in \[0, 1\]"),
        ([{"query": "q", "positive": "p", "score": "high"}], "row 1: 'score' must be a number, is 'high'"),
        ([{"query": "q", "positive": "p", "weight": 0}], "row 1: weight=0.0 .* must be positive"),
        ([{"query": "q", "positive": "p", "negatives": [1]}], "row 1: 'negatives' must be a text"),
        ([["q", "p"]], "row 1: must be a JSON object"),
    ],
)
def test_mistakes_name_file_and_row(tmp_path, rows, problem):
    path = _write(tmp_path, "mine.jsonl", rows)
    with pytest.raises(ValueError, match=rf"mine\.jsonl, {problem}"):
        list(read_pairs(path, "mine"))


def test_unknown_formats_and_empty_score_ranges_are_refused(tmp_path):
    with pytest.raises(ValueError, match="must end in one of"):
        list(read_pairs(tmp_path / "a.xml", "mine"))
    with pytest.raises(ValueError, match="lowest < highest"):
        list(read_pairs(tmp_path / "a.jsonl", "mine", score_range=(1.0, 1.0)))


def test_labelled_texts(tmp_path):
    path = _write(tmp_path, "a.jsonl", [{"text": "t", "label": 3}, {"text": "u", "label": "b", "id": 9}])
    assert list(read_labelled(path)) == [Instance("t", "3", "1", "3"), Instance("u", "b", "9", "b")]
    with pytest.raises(ValueError, match="row 1: needs the field 'class'"):
        list(read_labelled(path, Columns(label="class")))


def test_files_in_evaluation_folders_are_refused(tmp_path):
    (tmp_path / "eval_mine").mkdir()
    for name in ("a.jsonl", "a.parquet"):
        path = _write(tmp_path / "eval_mine", name, ROWS[2:])
        with pytest.raises(ValueError, match="evaluation folder"):
            list(read_pairs(path, "mine"))


def test_a_file_is_a_source_like_any_other(tmp_path):
    path = _write(tmp_path, "a.jsonl", [ROWS[0], {"query": "", "positive": "p"}])
    source = pairs_source(path, "mine", "Q: ", "D: ", score_range=(0.0, 5.0))
    assert (source.kind, source.mined) == ("asymmetric", False)
    assert list(read_source(source, path.parent)) == EXPECTED[:1]  # the row without a query is dropped
    labelled = labels_source(_write(tmp_path, "b.jsonl", [{"text": "t", "label": "x"}]), "labels", "Q: ")
    assert (labelled.kind, labelled.mined) == ("classification", True)
    assert list(read_source(labelled, tmp_path)) == [Instance("t", "x", "1", "x")]
