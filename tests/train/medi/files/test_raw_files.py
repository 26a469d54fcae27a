"""Opening files: evaluation data refused, row numbers in errors, every format plain and gzipped."""

import pytest

from instructor_jax.train.medi.files import archive_files, raw_files


@pytest.mark.parametrize("place", ["eval_sts/train.jsonl", "eval_sts/deeper/train.jsonl.gz"])
def test_evaluation_folders_are_refused(make_folder, place):
    folder = make_folder({place: "{}\n"})
    with pytest.raises(ValueError, match="evaluation folder 'eval_sts'"):
        list(raw_files.json_lines(folder / place))


def test_evaluation_folders_are_refused_through_links_and_dots(make_folder):
    folder = make_folder({"eval_sts/a.txt": "x\n", "train/b.txt": "y\n"})
    (folder / "train" / "link.txt").symlink_to(folder / "eval_sts" / "a.txt")
    for path in (folder / "train" / "link.txt", folder / "train" / ".." / "eval_sts" / "a.txt"):
        with pytest.raises(ValueError, match="held out"):
            list(raw_files.lines(path))


def test_a_folder_is_refused_by_its_own_name(tmp_path):
    (tmp_path / "eval_x").mkdir()
    with pytest.raises(ValueError, match="eval_x"):
        raw_files.refuse_evaluation(tmp_path / "eval_x")


def test_a_file_may_be_called_eval(make_folder):
    folder = make_folder({"eval_notes.txt": "fine\n"})
    assert list(raw_files.lines(folder / "eval_notes.txt")) == [(1, "fine")]


def test_find_takes_the_plain_or_the_gzipped_file(make_folder):
    folder = make_folder({"a.txt": "", "b.txt.gz": ""})
    assert raw_files.find(folder, "a.txt").name == "a.txt"
    assert raw_files.find(folder, "b.txt").name == "b.txt.gz"
    with pytest.raises(FileNotFoundError, match=r"c\.txt"):
        raw_files.find(folder, "c.txt")


def test_only_newline_ends_a_line(make_folder):
    folder = make_folder({"latin.txt": b"one\x85still one\r\ntwo"})
    assert list(raw_files.lines(folder / "latin.txt", "latin-1")) == [(1, "one\x85still one"), (2, "two")]


def test_wrong_encoding_names_file_and_line(make_folder):
    folder = make_folder({"a.txt": b"fine\ncaf\xe9\n"})
    with pytest.raises(ValueError, match=r"a\.txt, row 2: not utf-8"):
        list(raw_files.lines(folder / "a.txt"))


def test_aligned_lines_must_be_equally_many(make_folder):
    folder = make_folder({"a": "1\n2\n", "b": "x\ny\n", "short": "x\n", "long": "x\ny\nz\n"})
    assert list(raw_files.aligned_lines([folder / "a", folder / "b"])) == [(1, ("1", "x")), (2, ("2", "y"))]
    with pytest.raises(ValueError, match="short, row 2: the file ends before"):
        list(raw_files.aligned_lines([folder / "a", folder / "short"]))
    with pytest.raises(ValueError, match="long, row 3: the file goes on"):
        list(raw_files.aligned_lines([folder / "a", folder / "long"]))


def test_json_lines_name_the_bad_line(make_folder):
    folder = make_folder({"a.jsonl.gz": '{"x": 1}\n\n[2]\n{"x":\n'})
    rows = raw_files.json_lines(folder / "a.jsonl.gz")
    assert [next(rows), next(rows)] == [(1, {"x": 1}), (3, [2])]
    with pytest.raises(ValueError, match=r"a\.jsonl\.gz, row 4 is not valid JSON"):
        next(rows)


def test_json_document_checks_its_type(make_folder):
    folder = make_folder({"a.json": "[1]", "b.json": "{"})
    assert raw_files.json_document(folder / "a.json", list) == [1]
    with pytest.raises(ValueError, match="must hold a JSON dict"):
        raw_files.json_document(folder / "a.json", dict)
    with pytest.raises(ValueError, match=r"b\.json is not valid JSON"):
        raw_files.json_document(folder / "b.json", dict)


def test_csv_rows_keep_quotes_and_newlines(make_folder):
    folder = make_folder({"a.csv": '\ufeffid,text\n1,"a, ""b""\nc"\n'})
    assert list(raw_files.csv_rows(folder / "a.csv", ["text"])) == [(1, {"id": "1", "text": 'a, "b"\nc'})]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id,other\n1,2\n", r"row 0 \(header\): needs the columns \['text'\]"),
        ("id,text\n1,2\n3\n", "row 2: 1 cells under 2 columns"),
        ('id,text\n1,"open\n', "row 1: not CSV"),
    ],
)
def test_csv_errors_name_the_record(make_folder, text, problem):
    folder = make_folder({"a.csv": text})
    with pytest.raises(ValueError, match=problem):
        list(raw_files.csv_rows(folder / "a.csv", ["text"]))


def test_tsv_rows_do_not_know_quotes(make_folder):
    folder = make_folder({"a.tsv": 'h1\th2\n"x\ty"\n'})
    assert list(raw_files.tsv_rows(folder / "a.tsv", 2, header=True)) == [(2, ['"x', 'y"'])]
    with pytest.raises(ValueError, match="row 1: 2 tab-separated cells where 3"):
        list(raw_files.tsv_rows(folder / "a.tsv", 3))


def test_excel_rows_read_named_columns_of_the_first_sheet(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for cells in (["File", "CHQ", "Summary", None], ["1.txt", "long", "short", None], [7, None, "x", None]):
        book.active.append(cells)
    book.save(tmp_path / "a.xlsx")
    rows = list(archive_files.excel_rows(tmp_path / "a.xlsx", ["Summary", "CHQ"]))
    assert rows == [(2, {"Summary": "short", "CHQ": "long"}), (3, {"Summary": "x", "CHQ": ""})]
    with pytest.raises(ValueError, match=r"needs the columns \['Label'\]"):
        list(archive_files.excel_rows(tmp_path / "a.xlsx", ["Label"]))


def test_tar_texts_keep_the_archive_order(make_folder):
    folder = make_folder({"a.tar.gz": {"z/b.md": "two\r\nlines", "z/a.txt": "no", "a.md": b"\xff"}})
    texts = archive_files.tar_texts(raw_files.find(folder, "a.tar"), ".md")
    assert next(texts) == ("z/b.md", "two\nlines")
    with pytest.raises(ValueError, match=r"a\.md: byte 0 is not utf-8"):
        next(texts)


def test_field_says_what_is_missing_or_wrong(tmp_path):
    path = tmp_path / "a.json"
    assert raw_files.field({"x": "y"}, "x", str, path, 3) == "y"
    with pytest.raises(ValueError, match=r"row 3: needs the field 'z'; found \['x'\]"):
        raw_files.field({"x": "y"}, "z", str, path, 3)
    with pytest.raises(ValueError, match="row 3: 'x' must be int, not str"):
        raw_files.field({"x": "y"}, "x", int, path, 3)
    with pytest.raises(ValueError, match="row 3: 'x' must hold texts only; found 1"):
        raw_files.texts_field({"x": ["a", 1]}, "x", path, 3)
