"""A table gives the right texts, or one sentence that says what it is and what to do; no column is lost or joined."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from instructor_jax.commands.table_options import InputOptions
from instructor_jax.commands.text_blocks import TextRow, text_blocks
from instructor_jax.commands.text_files import read_texts
from instructor_jax.io.tables import delimited as delimited_tables
from instructor_jax.io.tables import text_lines
from instructor_jax.io.tables.tables import open_table

from ..commands.conftest import fails, fake, run  # noqa: F401 - fixtures


def rows(path: Path, **options) -> list[TextRow]:
    chosen = InputOptions(**options)
    with chosen.open(path) as table:
        return list(read_texts(table, chosen))


def texts(tmp_path: Path, name: str, data: bytes | str, **options) -> list[str]:
    (tmp_path / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return [row.text for row in rows(tmp_path / name, **options)]


SPLIT = [
    ("a.csv", "text;lang\nHallo Welt;de\nHi;en\n", ["Hallo Welt", "Hi"]),
    ("a.csv", 'lang;text\nde;"Hallo; Welt"\nen;Hi, there\n', ["Hallo; Welt", "Hi, there"]),
    ("a.csv", "text;price;lang\nHallo;1,5;de\nHi;2,5;en\n", ["Hallo", "Hi"]),
    ("a.csv", "id\ttext\n1\tone\n2\ttwo\n", ["one", "two"]),
    ("a.csv", "id|text\n1|one\n2|two\n", ["one", "two"]),
    ("a.tsv", "id,text\n1,one\n2,two\n", ["one", "two"]),
    ("a.tab", "id;text\n1;one\n2;two\n", ["one", "two"]),
    ("a.csv", "text\nHello; world\nand; so; on\n", ["Hello; world", "and; so; on"]),
    ("a.csv", "id,text\n1,a;b\n2,c;d\n", ["a;b", "c;d"]),
    ("a.csv", "id,text\n1,a|b\n2,c\n", ["a|b", "c"]),
    ("a.tsv", "text\nHello, world\nHi, there\n", ["Hello, world", "Hi, there"]),
    ("a.csv", "\ufeffid;text\r\n1;one\r\n", ["one"]),
    ("a.csv", 'text;lang\n"two\nlines";de\n', ["two\nlines"]),
    ("a.csv", "id,text\r1,a\r2,b\r", ["a", "b"]),
    ("a.csv", 'id,text\r1,"a\rb"\r', ["a\rb"]),
    ("a.csv", "id,text\n\n1,a\n\n2,b\n", ["a", "b"]),
    ("a.csv", "id,text\n1,a\x00b\n", ["a\x00b"]),
    ("a.txt", "a\rb\rc", ["a", "b", "c"]),
    ("a.txt", "a\r\nb\rc\n\nd", ["a", "b", "c", "", "d"]),
    ("a.txt", "\ufeffa\x0cb\u2028c\x85d\n", ["a\x0cb\u2028c\x85d"]),
    ("a.jsonl", '{"text": "a"}\r{"text": "b"}\r', ["a", "b"]),
    ("a.jsonl", '\ufeff{"text": "a"}\n\n  \n{"text": "b"}', ["a", "b"]),
]


@pytest.mark.parametrize(("name", "data", "expected"), SPLIT)
def test_delimiters_and_line_ends_are_found(name, data, expected, tmp_path):
    assert texts(tmp_path, name, data) == expected


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("delimiter", ["semicolon", ";", "SEMICOLON"])
def test_a_delimiter_can_be_given(delimiter, name, tmp_path):
    data = b"text;lang\nHallo Welt;de\nalone;x;\n"
    plain = b"text;lang\nHallo Welt;de\n"
    packed = gzip.compress(plain) if name.endswith(".gz") else plain
    assert texts(tmp_path, name, packed, delimiter=delimiter) == ["Hallo Welt"]
    with pytest.raises(ValueError, match="has 3 fields, must have 2"):
        texts(tmp_path, "b.csv", data, delimiter=delimiter)


AMBIGUOUS = [
    ("text;lang\nHallo Welt;de\nHi\n", {}),
    ("text;lang\n", {}),
    ("id,a;b\n1,x;y\n2,z;w\n", {}),
    ("a|b;c\n1|2;3\n", {}),
    ("Hallo Welt;de\nHi;en\n", {"header": False}),
    ("Hallo Welt\tde\n", {"header": False}),
]


@pytest.mark.parametrize(("data", "options"), AMBIGUOUS)
def test_what_may_be_meant_in_two_ways_is_asked(data, options, tmp_path):
    with pytest.raises(ValueError, match=r"are its fields separated by comma or by .*--delimiter comma or --delimiter"):
        texts(tmp_path, "a.csv", data, **options)


@pytest.mark.parametrize("delimiter", ["", ";;", "\n", '"', "\r", "\0", "tabulator"])
def test_what_cannot_separate_fields_is_refused(delimiter, tmp_path):
    with pytest.raises(ValueError, match="must be one character, or comma"):
        texts(tmp_path, "a.csv", "a,b\n", delimiter=delimiter)


def test_a_delimiter_is_for_delimited_files_alone(tmp_path):
    with pytest.raises(ValueError, match=r"is for \.csv and \.tsv, not for txt"):
        texts(tmp_path, "a.txt", "a\n", delimiter=",")


OTHER_KINDS = [
    ("a.csv", "id,text\n1,é\n".encode("utf-16"), "is in UTF-16; convert it: iconv -f UTF-16 -t UTF-8"),
    ("a.txt", "text text".encode("utf-16-le"), "is in UTF-16"),
    ("a.txt", "text text".encode("utf-16-be"), "is in UTF-16"),
    ("a.jsonl", '{"text": "a"}'.encode("utf-32"), "is in UTF-32"),
    ("a.txt.gz", gzip.compress("text".encode("utf-16")), "once unpacked, is in UTF-16"),
    ("a.csv", gzip.compress(b"id,text\n1,a\n"), r"is compressed by gzip; its name must end in \.gz"),
    ("a.txt.gz", b"plain text\n", r"if it is plain text, give it a name without \.gz"),
    ("a.txt.gz", b"", "holds no|damaged gzip|^$"),
    ("a.csv", b"PK\x03\x04\x14\x00", "is a ZIP archive or a spreadsheet"),
    ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1", "is an old spreadsheet"),
    ("a.csv", b"PAR1\x15\x04", "is a Parquet file; give --format parquet"),
    ("a.txt", b"%PDF-1.7\n", "is a PDF"),
    ("a.csv", b"BZh91AY", "is compressed by bzip2"),
    ("a.csv", b"\xfd7zXZ\x00\x00", "is compressed by xz"),
    ("a.csv", b"\x28\xb5\x2f\xfd\x04", "is compressed by zstd"),
    ("a.csv", b"SQLite format 3\x00", "is an SQLite database"),
    ("a.csv", b"\x93NUMPY\x01\x00", "is a NumPy array"),
    ("a.txt", b"\x00" * 100, "holds zero bytes and no text"),
    ("a.csv", b"id,text\n1,\xe9t\xe9\n", r"line 2: byte 3 is not UTF-8 \(0xe9\).*iconv -f WINDOWS-1252"),
    ("a.txt", b"\xc3\xa4\n\xed\xa0\x80\n", "line 2: byte 1 is not UTF-8"),
    ("a.csv", b"", "holds no record"),
    ("a.jsonl", b"", "holds no JSON object"),
    ("a.csv", b"a,a\n1,2\n", "two columns have one name: a, a"),
    ("a.jsonl", b'{"text": ["a"]}\n', "must hold text, got .* of type list"),
    ("a.jsonl", b'{"text": 5}\n', "must hold text, got '5' of type int"),
    ("a.jsonl", b'{"text": null}\n', "must hold text, got nothing"),
    ("a.jsonl", b'{"text": "a"}\n{"other": "b"}\n', "line 2: has no 'text'"),
    ("a.jsonl", b'{"text": "a", "id": 1e400}\n', "larger than a float"),
    ("a.jsonl", b'{"text": %s}\n' % (b"9" * 4000), "must hold text, got '9"),
    ("a.jsonl", b'{"text": %s}\n' % (b"9" * 9000), "line 1 is not valid JSON"),
    ("a.jsonl", b'{"text": NaN}\n', "must hold text, got 'nan' of type float"),
    ("a.jsonl", b"[" * 100_000 + b"\n", "nests deeper than"),
    ("a.jsonl", b'{"a":' * 100_000 + b"\n", "nests deeper than|not valid JSON"),
    ("a.jsonl", b'"text"\n', "must be a JSON object, got 'text'"),
    ("a.parquet", b"", "not a parquet file"),
    ("a.parquet", b"PAR1\x00\xff\xff\xff\x7fPAR1", "its footer would have"),
    ("a.parquet", b"PAR1" + b"\x15\xff" * 40 + b"\x50\x00\x00\x00PAR1", "not a parquet file"),
    ("a.parquet", b"PAR1xxxxPARE", "is encrypted"),
]


def test_numbers_that_json_does_not_have_are_taken_in_columns_that_nobody_reads(tmp_path):
    assert texts(tmp_path, "a.jsonl", b'{"text": "a", "score": NaN}\n') == ["a"]


@pytest.mark.parametrize(("name", "data", "says"), OTHER_KINDS)
def test_what_is_no_such_table_is_told_with_the_cure(name, data, says, tmp_path):
    if data == b"" and name == "a.txt.gz":
        assert texts(tmp_path, name, data) == []  # gzip takes an empty file for an empty text
        return
    with pytest.raises(ValueError, match=f"(?s){says}"):
        texts(tmp_path, name, data)


@pytest.mark.parametrize("digits", [400, 4000, 5000])
@pytest.mark.parametrize("sign", ["", "-"])
def test_a_huge_number_as_id_is_no_overflow(sign, digits, tmp_path):
    (tmp_path / "a.jsonl").write_text(f'{{"id": {sign}{"9" * digits}, "text": "a"}}\n')
    if digits > 4300:  # what Python turns into a number
        with pytest.raises(ValueError, match="not valid JSON"):
            rows(tmp_path / "a.jsonl")
    else:
        assert rows(tmp_path / "a.jsonl") == [TextRow("a", None, sign + "9" * digits)]


BEIR = '{"_id": "d1", "title": "T", "text": "x"}\n{"_id": "d2", "title": "", "text": " y "}\n'
BEIR += '{"_id": "d3", "text": "z"}\n'


def test_titles_of_a_beir_corpus_are_joined_as_beir_joins_them(tmp_path):
    assert texts(tmp_path, "corpus.jsonl", BEIR) == ["T x", "y", "z"]
    assert texts(tmp_path, "corpus.jsonl", BEIR, title=False) == ["x", " y ", "z"]
    assert texts(tmp_path, "c.csv", "_id,title,text\n1,T,x\n") == ["T x"]


def test_other_titles_are_joined_only_when_asked(tmp_path):
    data = '{"id": "1", "title": "T", "text": "x"}\n'
    assert texts(tmp_path, "a.jsonl", data) == ["x"]
    assert texts(tmp_path, "a.jsonl", data, title_column="title") == ["T x"]
    assert texts(tmp_path, "c.jsonl", BEIR, text_column="text") == ["x", " y ", "z"]
    with pytest.raises(ValueError, match="exclude each other"):
        texts(tmp_path, "a.jsonl", data, title_column="title", title=False)
    with pytest.raises(ValueError, match="is the column of the texts"):
        texts(tmp_path, "a.jsonl", data, title_column="text")
    with pytest.raises(ValueError, match="must hold text, got '5' of type int"):
        texts(tmp_path, "a.jsonl", '{"_id": "1", "title": 5, "text": "x"}\n')


def test_the_report_and_the_summary_say_what_became_of_titles(tmp_path, monkeypatch, run, fails, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    Path("corpus.jsonl").write_text(BEIR)
    command = ["encode", "corpus.jsonl", "-o", "v.npy", "-m", "fake"]
    run(*command)
    assert "text         title + text, joined by a blank (--no-title leaves the titles out)" in capsys.readouterr().out
    summary = json.loads(Path("v.npy.json").read_text())
    assert summary["options"]["title_column"] == "title"
    assert "title_column: 'title' there, None now" in fails(*command, "--no-title")
    run(*command, "--no-title", "--overwrite")
    assert "title is not read (--title-column title joins it)" in capsys.readouterr().out
    # A summary of a version that knew neither titles nor delimiters still tells that the output is complete.
    summary = json.loads(Path("v.npy.json").read_text())
    for key in ("title_column", "delimiter"):
        del summary["options"][key]
    Path("v.npy.json").write_text(json.dumps(summary))
    run(*command, "--no-title")
    assert "complete already" in capsys.readouterr().out


@pytest.fixture
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> int:
    """Bounds that a test can reach."""
    for module in (text_lines, delimited_tables):
        monkeypatch.setattr(module, "LINE_BYTES", 100_000)
    return 100_000


ENDLESS = {
    "one line": ("a.txt", lambda n: "a" * (n + 1)),
    "one line of other characters": ("a.txt", lambda n: "日" * (n + 1)),
    "a line after others": ("a.txt", lambda n: "a\n" * 10 + "b" * (n + 1)),
    "one object": ("a.jsonl", lambda n: '{"text": "' + "a" * n + '"}'),
    "a field": ("a.csv", lambda n: "id,text\n1," + "a" * (n + 1)),
    "a quote that is never closed": ("a.csv", lambda n: 'id,text\n1,"' + "line\n" * (n // 4)),
    "fields of many lines": ("a.csv", lambda n: "id,text\n1" + ',"\n"' * (n // 3)),
    "a header": ("a.csv", lambda n: "a," * n),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ENDLESS)
def test_endless_records_are_refused_with_their_line(kind, packed, small_bounds, tmp_path):
    name, make = ENDLESS[kind]
    data = make(small_bounds).encode()
    with pytest.raises(ValueError, match=r"line \d+.*100,000|100,000 characters"):
        texts(tmp_path, f"{name}.gz" if packed else name, gzip.compress(data, 1) if packed else data)


def test_too_many_columns_are_no_table(tmp_path):
    header = ",".join(f"c{k}" for k in range(20_000))
    with pytest.raises(ValueError, match="has 20,000 columns, more than 16,384"):
        texts(tmp_path, "a.csv", f"{header}\n")
    with pytest.raises(ValueError, match="columns, more than 16,384"):
        texts(tmp_path, "a.csv", f"{header}\n", header=False)


def test_parts_of_long_texts_are_several_blocks():
    given = [TextRow("x" * 10, "i" * 5, "n")] * 14
    blocks = list(text_blocks(given, 8, characters=40))
    assert [len(block.texts) for block in blocks] == [3, 3, 2, 3, 3]
    assert [block.first_row for block in blocks] == [0, 3, 6, 8, 11]
    assert [block.index for block in blocks] == [0, 0, 0, 1, 1]
    assert [block.ends_part for block in blocks] == [False, False, True, False, True]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["encode", "a.txt", "-o", "v.npy", "--part-size", "0"], "part size=0 must be at least 1"),
        (["encode", "a.txt", "-o", "v.npy", "--part-size", "-1"], "part size=-1 must be at least 1"),
        (["encode", "a.txt", "-o", "v.npy", "--part-size", str(10**12)], "at most 1,048,576"),
        (["encode", "a.txt", "-o", "v.npy", "--batch-size", "0"], "--batch-size 0 must be at least 1"),
        (["encode", "a.txt", "-o", "v.npy", "--batch-size", str(10**12)], "--batch-size 1000000000000 must be"),
        (["encode", "a.txt", "-o", "v.npy", "--truncate-dim", "-3"], "--truncate-dim -3 must be at least 1"),
        (["encode", "a.txt", "-o", "v.npy", "--batch-size", "9" * 5000], "--batch-size"),
        (["search", "a.txt", "-q", "a", "--top-k", "0"], "--top-k 0 must be at least 1"),
        (["search", "a.txt", "-q", "a", "--top-k", str(10**12)], "--top-k 1000000000000 must be"),
        (["search", "a.txt", "a.txt", "--top-k", str(3 * 10**6)], "are more than 4,194,304 hits"),
        (["search", "a.txt", "-q", "a", "--batch-size", "-1"], "--batch-size -1 must be"),
    ],
)
def test_absurd_counts_are_refused(command, says, tmp_path, monkeypatch, fails):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("a\nb\n")
    assert says in fails(*command, "-m", "fake")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt"]


class TestParquet:
    """Files and folders of Parquet."""

    @pytest.fixture(autouse=True)
    def _arrow(self, tmp_path):
        self.arrow = pytest.importorskip("pyarrow")
        self.parquet = pytest.importorskip("pyarrow.parquet")
        self.folder = tmp_path

    def write(self, name: str, columns, **options) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        table = columns if isinstance(columns, self.arrow.Table) else self.arrow.table(columns)
        self.parquet.write_table(table, path, **options)
        return path

    def test_two_columns_of_one_name(self):
        table = self.arrow.Table.from_arrays([self.arrow.array(["a"]), self.arrow.array(["b"])], names=["text", "text"])
        with pytest.raises(ValueError, match="two columns have one name"):
            rows(self.write("a.parquet", table))

    @pytest.mark.parametrize("name", ["data", "data.parquet"])
    def test_a_folder_of_spark_is_read_by_name(self, name):
        for number, text in ((2, "c"), (0, "a"), (1, "b")):
            self.write(f"{name}/part-0000{number}-x.snappy.parquet", {"text": [text], "id": [number]})
        for other in ("_SUCCESS", "._SUCCESS.crc", ".part-00000-x.snappy.parquet.crc", "_metadata"):
            (self.folder / name / other).write_bytes(b"")
        assert [(row.text, row.id) for row in rows(self.folder / name)] == [("a", "0"), ("b", "1"), ("c", "2")]
        with open_table(self.folder / name) as table:
            assert [number for number, _ in table.records(["text"])] == [1, 2, 3]
            assert table.fraction_read() == 1.0

    def test_partitions_other_files_other_columns_and_empty_folders_are_refused(self):
        (self.folder / "nested").mkdir()
        self.write("nested/lang=en/part-0.parquet", {"text": ["a"]})
        with pytest.raises(ValueError, match="holds the folder lang=en; partitions are not read"):
            rows(self.folder / "nested")
        self.write("mixed/part-0.parquet", {"text": ["a"]})
        self.write("mixed/part-1.parquet", {"text": ["a"], "more": ["b"]})
        with pytest.raises(ValueError, match="part-1.parquet: has the columns text, more"):
            rows(self.folder / "mixed")
        (self.folder / "mixed" / "part-1.parquet").rename(self.folder / "mixed" / "000001_0")
        with pytest.raises(ValueError, match=r"holds 000001_0, which is no \.parquet"):
            rows(self.folder / "mixed")
        (self.folder / "empty").mkdir()
        with pytest.raises(ValueError, match=r"folder without \.parquet files"):
            rows(self.folder / "empty")
        with pytest.raises(ValueError, match="is a folder; give a file"):
            rows(self.folder / "empty", format="csv")

    @pytest.mark.parametrize(
        ("values", "says"),
        [
            ([5], "got '5' of type int"),
            ([["a"]], "of type list"),
            ([{"a": "b"}], "of type dict"),
            ([b"a"], "of type bytes"),
            ([None], "got nothing"),
        ],
    )
    def test_other_types_are_no_text(self, values, says):
        with pytest.raises(ValueError, match=says):
            rows(self.write("a.parquet", {"text": values}))

    def test_bytes_that_are_no_utf8_are_told(self):
        data = self.arrow.array([b"\xff"], self.arrow.binary()).view(self.arrow.string())
        with pytest.raises(ValueError, match="damaged parquet data"):
            rows(self.write("a.parquet", {"text": data}))

    @pytest.mark.parametrize("kind", ["string", "large_string", "dictionary"])
    def test_all_kinds_of_strings_are_texts(self, kind):
        plain = self.arrow.array(["a", "b", "a"])
        data = plain.dictionary_encode() if kind == "dictionary" else plain.cast(getattr(self.arrow, kind)())
        assert [row.text for row in rows(self.write("a.parquet", {"text": data}))] == ["a", "b", "a"]

    def test_a_text_too_long_and_a_long_text_repeated(self, monkeypatch):
        from instructor_jax.io.tables import parquet as parquet_tables

        monkeypatch.setattr(parquet_tables, "LINE_BYTES", 1_000)
        with pytest.raises(ValueError, match="has a text of 2,000 bytes, more than 1,000"):
            rows(self.write("a.parquet", {"text": ["a", "b" * 2_000]}))
        monkeypatch.setattr(parquet_tables, "_BYTES", 10_000)
        path = self.write("a.parquet", {"text": ["b" * 900] * 50})
        with open_table(path) as table:
            taken = []
            original = table._values  # type: ignore[attr-defined]
            monkeypatch.setattr(table, "_values", lambda b, c: taken.append(len(b)) or original(b, c))
            assert len(list(table.records(["text"]))) == 50
        assert max(taken) <= 11  # not the 50 that the small file unpacks to

    @pytest.mark.parametrize("cut", [1, 8, 30, 60])
    def test_cut_files_are_told(self, cut):
        path = self.write("a.parquet", {"text": ["a", "b"]})
        path.write_bytes(path.read_bytes()[:-cut])
        with pytest.raises(ValueError, match="not a parquet file"):
            rows(path)

    def test_every_damaged_byte_is_told_or_harmless(self):
        path = self.write("a.parquet", {"text": ["abc", "def"]})
        whole = path.read_bytes()
        for at in range(4, len(whole), 7):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
            try:
                assert len(rows(path)) <= 2
            except ValueError as error:
                assert "a.parquet" in str(error)  # noqa: PT017 - most bytes matter, some do not


VECTORS = {
    "empty": b"",
    "an archive": b"PK\x03\x04rest",
    "garbage": b"garbage that is no array",
    "a cut magic": b"\x93NUM",
    "a wrong version": b"\x93NUMPY\x09\x00\x10\x00" + b" " * 16,
    "a cut header": b"\x93NUMPY\x01\x00v\x00{'descr'",
    "a header of nonsense": b"\x93NUMPY\x01\x00\x10\x00" + b"((((((((((((((((",
    "a header of code": b"\x93NUMPY\x01\x00\x20\x00" + b"__import__('os').getcwd()".ljust(32),
}


@pytest.mark.parametrize("kind", VECTORS)
def test_corpus_vectors_that_are_no_array(kind, tmp_path, fails):  # noqa: F811
    (tmp_path / "t.txt").write_text("one\ntwo\n")
    (tmp_path / "v.npy").write_bytes(VECTORS[kind])
    says = fails("search", tmp_path / "t.txt", "-q", "one", "-m", "fake", "--corpus-vectors", tmp_path / "v.npy")
    assert "v.npy" in says


def array(kind: str) -> np.ndarray:
    good = np.ones((2, 24), np.float32)
    bad = good.copy()
    bad[1, 3] = np.nan if kind == "nan" else np.inf
    return {
        "one axis": good[0],
        "three axes": good[None],
        "float64": good.astype(np.float64),
        "big endian": good.astype(">f4"),
        "objects": np.array([None, 1], dtype=object),
        "structured": np.zeros(2, dtype=[("a", "f4")]),
        "nan": bad,
        "inf": bad,
        "too few rows": good[:1],
        "too many rows": np.ones((3, 24), np.float32),
        "no rows": good[:0],
        "narrow": good[:, :7].copy(),
        "no columns": good[:, :0],
    }[kind]


ODD = [
    *("one axis", "three axes", "float64", "big endian", "objects", "structured", "nan", "inf"),
    *("too few rows", "too many rows", "no rows", "narrow", "no columns"),
]


@pytest.mark.parametrize("kind", ODD)
def test_corpus_vectors_of_another_kind(kind, tmp_path, fails):  # noqa: F811
    (tmp_path / "t.txt").write_text("one\ntwo\n")
    np.save(tmp_path / "v.npy", array(kind), allow_pickle=True)
    says = fails("search", tmp_path / "t.txt", "-q", "one", "-m", "fake", "--corpus-vectors", tmp_path / "v.npy")
    assert "holds no rows" not in says
    assert "v.npy" in says or "dimensions" in says
    if kind in ("nan", "inf"):
        assert "row 2: its vector is not finite" in says


@pytest.mark.parametrize("change", [-4, 4])
def test_corpus_vectors_shorter_or_longer_than_they_say(change, tmp_path, fails):  # noqa: F811
    (tmp_path / "t.txt").write_text("one\ntwo\n")
    np.save(tmp_path / "v.npy", np.ones((2, 24), np.float32))
    data = (tmp_path / "v.npy").read_bytes()
    (tmp_path / "v.npy").write_bytes(data[:change] if change < 0 else data + b"\0" * change)
    says = fails("search", tmp_path / "t.txt", "-q", "one", "-m", "fake", "--corpus-vectors", tmp_path / "v.npy")
    assert "but its header says (2, 24) of float32" in says


def test_corpus_vectors_in_columns_are_the_same_vectors(tmp_path, run, fake, capsys):  # noqa: F811
    (tmp_path / "t.txt").write_text("one\ntwo\n")
    vectors = np.stack([fake.vector("fake", "", text) for text in ("one", "two")])
    found = []
    for order in ("C", "F"):
        np.save(tmp_path / "v.npy", np.asarray(vectors, order=order))
        run("search", tmp_path / "t.txt", "-q", "one", "-m", "fake", "--json", "--corpus-vectors", tmp_path / "v.npy")
        found.append(json.loads(capsys.readouterr().out)["results"])
    assert found[0] == found[1]
    assert found[0][0]["hits"][0]["text"] == "one"
