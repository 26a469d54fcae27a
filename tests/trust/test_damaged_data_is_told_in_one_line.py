"""Hostile, damaged and clumsy files of training data: one line with file and row, exit code 2, nothing half written."""

import bz2
import gzip
import io
import json
import tarfile
import zipfile

import pytest

from instructor_jax.cli import main
from instructor_jax.io.tables import gzip_files
from instructor_jax.train.data.contamination import read_evaluation_texts
from instructor_jax.train.medi.files import archive_files, raw_files
from instructor_jax.train.medi.published import read_published
from instructor_jax.train.medi.rows import read_pairs

GOOD = '{"query": "what is it", "positive": "it is that"}\n'
DEEP = "[" * 100_000


def fails(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("instructor-jax: error: ")
    return lines[0]


def pair(**changes: object) -> str:
    return json.dumps({"query": "what is it", "positive": "it is that", **changes})


ROWS = {
    "deeply nested": (DEEP, "nests deeper than 64"),
    "nested beyond the bound": ('{"a": ' + "[" * 70 + "]" * 70 + "}", "nests deeper than 64"),
    "not an object": ("[1, 2]", "must be a JSON object"),
    "a number alone": ("3", "must be a JSON object"),
    "no JSON": ("query: x", "not valid JSON"),
    "cut short": ('{"query": "a", "posi', "not valid JSON"),
    "a key twice": ('{"query": "a", "query": "b", "positive": "c"}', "has the key 'query' twice"),
    "NaN": ('{"query": "a", "positive": "b", "score": NaN}', "holds NaN"),
    "Infinity": ('{"query": "a", "positive": "b", "score": -Infinity}', "holds -Infinity"),
    "a float that is none": ('{"query": "a", "positive": "b", "score": 1e999}', "larger than a float"),
    "a number of 5,000 digits": ('{"query": "a", "positive": "b", "score": ' + "9" * 5000 + "}", "digits"),
    "a score of 10^400": ('{"query": "a", "positive": "b", "score": 1' + "0" * 400 + "}", "'score' must be a number"),
    "a weight of 10^400": (
        '{"query": "a", "positive": "b", "weight": 1' + "0" * 400 + "}",
        "'weight' must be a number",
    ),
    "a true score": (pair(score=True), "'score' must be a number"),
    "a score of words": (pair(score="high"), "'score' must be a number"),
    "a score with underscores": (pair(score="1_0"), "'score' must be a number"),
    "a score out of range": (pair(score=7), "must be in [0, 1]"),
    "a weight of zero": (pair(weight=0), "must be positive"),
    "a list as a label": (pair(label=["a"]), "'label' must be a text or a number"),
    "an object as an id": (pair(id={"a": 1}), "'id' must be a text or a number"),
    "a number as a text": (pair(query=3), "'query' must be a text"),
    "no positive": ('{"query": "a"}', "needs the field 'positive'"),
    "null as a positive": (pair(positive=None), "'positive' must be a text"),
    "an object among negatives": (pair(negatives=[{"a": 1}]), "'negatives' must be a text"),
    "a number as instruction": (pair(query_instruction=5), "must be a text"),
    "half a surrogate pair": ('{"query": "a\\ud800", "positive": "b"}', "no character"),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_cannot_be_is_told_with_file_and_row(name, capsys, tmp_path) -> None:
    row, problem = ROWS[name]
    path = tmp_path / "faq.jsonl"
    path.write_text(GOOD + row + "\n", encoding="utf-8")
    line = fails(capsys, "medi", "import", str(path), "--to", str(tmp_path / "mix"))
    assert problem in line
    assert f"{path}, row 2" in line
    assert not (tmp_path / "mix").exists()
    assert len(line) < 1500


GZIP = gzip.compress(GOOD.encode() * 300)
FILES = {
    "cut .gz": ("a.jsonl.gz", GZIP[:-30], "damaged or cut short"),
    "cut in its header": ("a.jsonl.gz", GZIP[:6], "damaged or cut short"),
    "garbage .gz": ("a.jsonl.gz", b"no gzip at all" * 9, "damaged or cut short"),
    "changed .gz": ("a.jsonl.gz", GZIP[:40] + b"\x00\xff\x00" + GZIP[43:], "damaged or cut short"),
    "rubbish behind .gz": ("a.jsonl.gz", GZIP + b"rubbish", "damaged or cut short"),
    "cut .csv.gz": ("a.csv.gz", gzip.compress(b"query,positive\n" + b"aa bb,cc dd\n" * 900)[:-20], "damaged or cut"),
    "empty": ("a.jsonl", b"", "gives no row"),
    "empty .gz": ("a.jsonl.gz", b"", "gives no row"),
    "blank lines only": ("a.jsonl", b"\n \n\n", "gives no row"),
    "empty .csv": ("a.csv", b"", "gives no row"),
    "a header only": ("a.csv", b"query,positive\n", "gives no row"),
    "rows that say nothing": ("a.jsonl", b'{"query": "same", "positive": "same"}\n', "gives no row"),
    "UTF-16": ("a.jsonl", GOOD.encode("utf-16"), "not utf-8"),
    "Latin-1": ("a.jsonl", '{"query": "caf\xe9", "positive": "b"}\n'.encode("latin-1"), "not utf-8"),
    "Latin-1 .csv": ("a.csv", "query,positive\ncaf\xe9,b\n".encode("latin-1"), "not CSV in UTF-8"),
    "a column twice": ("a.csv", b"query,query,positive\na,b,c\n", "has the column 'query' twice"),
    "semicolons": ("a.csv", b"query;positive\na;b\n", "needs the field 'query'"),
    "an open quotation mark": ("a.csv", b'query,positive\n"a,b\n', "not CSV"),
    "ragged rows": ("a.csv", b"query,positive\na,b,c\n", "3 cells under 2 columns"),
    "no Parquet": ("a.parquet", b"PAR1 and then nothing PAR1", "no Parquet file"),
    "empty Parquet": ("a.parquet", b"", "no Parquet file"),
    "another kind of file": ("a.docx", b"PK", "must end in one of"),
    "published, no list": ("a.json", b'{"a": 1}', "begin with '['"),
    "published, cut short": ("a.json", b'[{"query": ["a", "b"], "pos": ["a", "c"], "neg": ["a"', "cut short"),
    "published, deep": ("a.json", b'[{"query": ' + b"[" * 100_000, "nests deeper"),
    "published, wrong types": ("a.json", b'[{"query": 1, "pos": 2, "neg": 3, "task_id": 4}]', "must be list"),
    "published, a true task": (
        "a.json",
        b'[{"query": ["a", "b"], "pos": ["a", "c"], "neg": ["a", "d"], "task_id": true}]',
        "'task_id' must be int",
    ),
    "published, damaged .gz": ("a.json.gz", gzip.compress(b"[" + b" " * 9999)[:-9], "damaged or cut short"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_is_told(name, capsys, tmp_path) -> None:
    file, content, problem = FILES[name]
    if file.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / file
    path.write_bytes(content)
    line = fails(capsys, "medi", "import", str(path), "--to", str(tmp_path / "mix"))
    assert problem in line
    assert str(path) in line
    assert not (tmp_path / "mix").exists()


def test_two_parquet_columns_of_one_name_are_refused(capsys, tmp_path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table([["a"], ["b"], ["c"]], names=["query", "positive", "query"])
    parquet.write_table(table, tmp_path / "a.parquet")
    line = fails(capsys, "medi", "import", str(tmp_path / "a.parquet"), "--to", str(tmp_path / "mix"))
    assert "has the column 'query' twice" in line


@pytest.mark.parametrize("compressed", [False, True])
def test_a_line_without_end_is_refused_before_it_fills_the_memory(compressed, monkeypatch, tmp_path) -> None:
    for module in (gzip_files, raw_files):
        monkeypatch.setattr(module, "LINE_BYTES", 1 << 20)
    content = b"x" * (5 << 20)
    path = tmp_path / f"a.jsonl{'.gz' if compressed else ''}"
    path.write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(ValueError, match=r"line 1: has more than 1 MiB"):
        list(read_pairs(path, "a"))
    with pytest.raises(ValueError, match=r"line 1: has more than 1 MiB"):
        list(read_evaluation_texts([path]))


def test_a_csv_line_without_end_is_refused(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(raw_files, "LINE_BYTES", 1 << 16)
    (tmp_path / "a.csv").write_bytes(b"x" * (1 << 20))
    with pytest.raises(ValueError, match="line 1: has more than"):
        list(read_pairs(tmp_path / "a.csv", "a"))


def test_a_file_that_grows_beyond_bounds_is_refused(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(raw_files, "DOCUMENT_BYTES", 1 << 20)
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(b'["' + b"x" * (4 << 20) + b'"]'))
    with pytest.raises(ValueError, match=r"holds more than 1 MiB"):
        raw_files.json_document(path, list)


def test_a_published_file_of_blanks_ends(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("instructor_jax.train.medi.published.LONGEST_RECORD", 1 << 20)
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b"[" + b" " * (8 << 20)))
    with pytest.raises(ValueError, match="white space"):
        list(read_published(tmp_path / "a.json.gz"))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.jsonl", DEEP, "nests deeper"),
        ("a.jsonl", '{"text": 1}', "must be a text"),
        ("a.jsonl", '["text"]', "must be a JSON object"),
        ("a.jsonl", '{"text": "a", "text": "b"}', "twice"),
        ("a.txt", b"caf\xe9", "not UTF-8"),
        ("a.txt.gz", GZIP[:-9], "damaged or cut short"),
        ("a.csv", "text\n", "must end in .txt or .jsonl"),
    ],
)
def test_evaluation_texts_that_cannot_be_are_told(name, content, problem, tmp_path) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=problem) as told:
        list(read_evaluation_texts([path]))
    assert str(path) in str(told.value)


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><pairs>&b;</pairs>"""
FILE_ENTITY = b"""<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>"""


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (LAUGHS, "DOCTYPE"),
        (FILE_ENTITY, "DOCTYPE"),
        (LAUGHS.decode().encode("utf-16"), "DOCTYPE"),
        (b"<a>" * 5000 + b"</a>" * 5000, "nests deeper"),
        (b"<a><b></a>", "not XML"),
        (b"", "not XML"),
        (b"\x00\x01\x02", "not XML"),
    ],
)
def test_xml_that_could_do_harm_is_refused(raw, problem, tmp_path) -> None:
    with pytest.raises(ValueError, match=problem):
        archive_files.xml_document(raw, tmp_path / "a.xml")


def workbook(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"no zip", "no Excel workbook"),
        (b"", "no Excel workbook"),
        (workbook(xl__workbook_xml=LAUGHS), "DOCTYPE"),
        (workbook(xl__sharedStrings_xml=b"\0" * (70 << 20)), "would unpack to"),
        (workbook(xl__workbook_xml=b"<a/>"), "no Excel workbook"),
    ],
)
def test_workbooks_that_could_do_harm_are_refused(content, problem, tmp_path) -> None:
    pytest.importorskip("openpyxl")
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(ValueError, match=problem):
        list(archive_files.excel_rows(tmp_path / "a.xlsx", ["x"]))


def archive(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info


def test_an_archive_writes_nothing_and_follows_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    content = archive(
        member("../../out.md", size=3),
        member("/etc/out.md", size=2),
        member("link.md", tarfile.SYMTYPE, link="/etc/passwd"),
        member("hard.md", tarfile.LNKTYPE, link="../../out.md"),
        member("device.md", tarfile.CHRTYPE),
        member("pipe.md", tarfile.FIFOTYPE),
    )
    (tmp_path / "a.tar").write_bytes(content)
    found = list(archive_files.tar_files(tmp_path / "a.tar", ".md"))
    assert [(name, len(raw)) for name, raw in found] == [("../../out.md", 3), ("/etc/out.md", 2)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar"]
    assert not (tmp_path.parent.parent / "out.md").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tar", b"no archive" * 100),
        ("a.tar", archive(member("a.md", size=5000))[:700]),
        ("a.tar.gz", gzip.compress(archive(member("a.md", size=5000)))[:-9]),
        ("a.tar", bz2.compress(archive(member("a.md", size=50)))),
    ],
)
def test_a_damaged_archive_is_told(name, content, tmp_path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"no whole tar archive|damaged or cut short"):
        list(archive_files.tar_files(tmp_path / name, ".md"))


def test_a_member_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(archive_files, "DOCUMENT_BYTES", 1000)
    (tmp_path / "a.tar").write_bytes(archive(member("a.md", size=2000)))
    with pytest.raises(ValueError, match="too many to be read"):
        list(archive_files.tar_files(tmp_path / "a.tar", ".md"))


def test_what_is_only_odd_is_read(tmp_path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode() + b"\r\n" + pair(negatives=["[[[["], score=0.5).encode())
    first, second = read_pairs(path, "a")
    assert first.query.text == "what is it"
    assert (second.negatives[0].text, second.score) == ("[[[[", 0.5)
    csv = tmp_path / "b.csv"
    csv.write_text('query,positive,negatives\na,b,"[""c"", ""d""]"\ne,f,[not a list\n')
    assert [[side.text for side in row.negatives] for row in read_pairs(csv, "b")] == [["c", "d"], ["[not a list"]]
