"""Every kind of table gives the same records, and a bad one says where it is bad."""

import csv
import gzip
import io
import json
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructor_jax.io.tables.tables import open_table

# Texts that break naive readers: quotes, separators, line ends of all kinds, other scripts, a byte-order mark inside.
TEXTS = [
    'a "quoted" text',
    "a, b\tc",
    "two\nlines",
    "car\rriage",
    "ünïcödé 日本 🙂",
    "",
    "form\x0cfeed\u2028",
    " \ufeff ",
]


def read(path: Path, columns: list[str], **options) -> list[tuple]:
    with open_table(path, **options) as table:
        return [values for _, values in table.records(columns)]


def write_csv(path: Path, texts: list[str], delimiter: str) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["id", "text"])
        writer.writerows(enumerate(texts))


def write(path: Path, texts: list[str]) -> None:
    """The same table in the format of the suffix, gzip-compressed for .gz."""
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    if plain.suffix == ".jsonl":
        plain.write_text("".join(json.dumps({"id": str(k), "text": text}) + "\n" for k, text in enumerate(texts)))
    elif plain.suffix == ".parquet":
        table = pyarrow.table({"id": [str(k) for k in range(len(texts))], "text": texts})
        pyarrow.parquet.write_table(table, plain, row_group_size=3)
    else:
        write_csv(plain, texts, "\t" if plain.suffix == ".tsv" else ",")
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(plain.read_bytes()))


@pytest.mark.parametrize("name", ["t.jsonl", "t.csv", "t.tsv", "t.parquet", "t.jsonl.gz", "t.csv.gz", "t.tsv.gz"])
def test_every_format_gives_back_what_was_written(name, tmp_path):
    write(tmp_path / name, TEXTS)
    assert read(tmp_path / name, ["text", "id"]) == [(text, str(k)) for k, text in enumerate(TEXTS)]
    with open_table(tmp_path / name) as table:
        assert table.columns == ("id", "text")


@given(
    texts=st.lists(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8), min_size=1)
)
def test_any_text_survives_csv(texts, tmp_path_factory):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    write_csv(path, texts, ",")
    assert read(path, ["text"]) == [(text,) for text in texts]


@pytest.mark.parametrize("suffix", [".txt", ".txt.gz"])
def test_lines_of_plain_text_are_rows_and_empty_ones_too(suffix, tmp_path):
    data = "\ufefffirst\r\n\nform\x0cfeed\u2028same\n  blanks \nno newline at the end".encode()
    path = tmp_path / f"t{suffix}"
    path.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
    expected = ["first", "", "form\x0cfeed\u2028same", "  blanks ", "no newline at the end"]
    assert read(path, ["text"]) == [(text,) for text in expected]


def test_a_newline_at_the_end_makes_no_row(tmp_path):
    (tmp_path / "t.txt").write_text("a\nb\n")
    assert len(read(tmp_path / "t.txt", ["text"])) == 2


def test_without_header_columns_are_numbered(tmp_path):
    (tmp_path / "t.tsv").write_text("1\tone\n2\ttwo\n")
    assert read(tmp_path / "t.tsv", ["2"], header=False) == [("one",), ("two",)]


def test_without_quotes_quotation_marks_are_characters(tmp_path):
    (tmp_path / "t.tsv").write_text('id\ttext\n1\t"open\n2\tx\n')
    assert read(tmp_path / "t.tsv", ["text"], quotes=False) == [('"open',), ("x",)]


def test_long_fields_are_read(tmp_path):
    write_csv(tmp_path / "t.csv", ["x" * 1_000_000], ",")  # Python's own limit is 131,072
    assert len(read(tmp_path / "t.csv", ["text"])[0][0]) == 1_000_000


def test_standard_input_is_plain_text_or_what_format_says(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\n")))
    assert read(Path("-"), ["text"]) == [("a",), ("b",)]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"t": "a"}\n')))
    assert read(Path("/dev/stdin"), ["t"], format="jsonl") == [("a",)]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("t.txt", b"fine\n\xe9t\xe9\n", r"t\.txt, line 2: byte 1 is not UTF-8"),
        ("t.jsonl", b'{"text": "a"}\n{"text": \n', r"t\.jsonl, line 2 is not valid JSON"),
        ("t.jsonl", b'{"text": "a"}\n\n["b"]\n', r"line 3: must be a JSON object"),
        ("t.jsonl", b'{"text": "a"}\n{"txt": "b"}\n', r"line 2: has no 'text'; its keys: txt"),
        ("t.jsonl", b'{"text": "a"}\n{"text": "\\ud800"}\n', r"line 2 .*no character"),
        ("t.jsonl", b"\n", "holds no JSON object"),
        ("t.csv", b"", "holds no record"),
        ("t.csv", b"text,text\n", "two columns have one name"),
        ("t.csv", b'id,text\n1,"a\nb"\n2,c,d\n', r"line 4: has 3 fields, must have 2"),
        ("t.csv", b'id,text\n1,a\n2,"never closed\n3,b\n', r"line 3: .*--no-quotes"),
        ("t.tsv", b'id\ttext\n1\t"to be" or not\n', r"line 2: .*--no-quotes"),
        ("t.txt.gz", b"not compressed", "damaged gzip"),
        ("t.txt.gz", gzip.compress(b"a\n" * 100_000, mtime=0)[:-200], "damaged gzip"),
        ("t.parquet", b"PAR1 nothing", "not a parquet file"),
        ("t.xml", b"<a/>", r"unknown suffix '\.xml'.*--format"),
    ],
)
def test_bad_files_say_where_and_why(name, data, says, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=f"(?s).*{says}"):
        read(tmp_path / name, ["text"])


def test_an_absent_file_is_an_os_error(tmp_path):
    for name in ("t.txt", "t.parquet"):
        with pytest.raises(FileNotFoundError):
            open_table(tmp_path / name)


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'instructor-jax\[tables\]'"):
        open_table(tmp_path / "t.parquet")


@pytest.mark.slow
def test_the_fraction_read_grows_to_one(tmp_path):
    for name in ("t.csv", "t.csv.gz", "t.parquet"):
        write(tmp_path / name, [f"text {k}" for k in range(20_000)])
        with open_table(tmp_path / name) as table:
            seen = [table.fraction_read() or 0.0 for number, _ in table.records(["text"]) if number % 5_000 == 0]
            assert seen == sorted(seen)
            assert table.fraction_read() == 1.0
