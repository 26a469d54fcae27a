"""Opening files, plain or gzipped; every defect is named with its place."""

import gzip

import pytest

from instructor_jax.evaluation.local.files import aligned_lines, json_value, locate, member, rows, text_lines


def test_a_file_is_found_plain_or_gzipped(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b'x,y\n1,"2, 3"\n'))
    assert list(rows(locate(tmp_path, "a.csv"), ("y",))) == [(2, ("2",))]
    assert list(rows(locate(tmp_path, "b.csv"), ("y", "x"))) == [(2, ("2, 3", "1"))]
    with pytest.raises(ValueError, match=r"neither c\.csv nor c\.csv\.gz"):
        locate(tmp_path, "c.csv")


def test_a_line_ends_at_newline_only_and_latin_1_is_read_as_said(tmp_path):
    (tmp_path / "a.txt").write_bytes("één\x85 regel\r\ntwee\n\n".encode("latin-1"))
    assert text_lines(tmp_path / "a.txt", "latin-1") == ["één\x85 regel", "twee", ""]
    with pytest.raises(ValueError, match="byte 0 is not utf-8"):
        text_lines(tmp_path / "a.txt")


def test_defects_are_named(tmp_path):
    (tmp_path / "a.txt").write_text("1\n2\n")
    (tmp_path / "b.txt").write_text("1\n")
    (tmp_path / "c.json").write_text('{"a":\n oops}')
    (tmp_path / "d.csv").write_text("x,y\n1\n")
    (tmp_path / "e.jsonl").write_text('{"x": 3}\n')
    (tmp_path / "f.json.gz").write_bytes(gzip.compress(b"[]")[:-4])
    with pytest.raises(ValueError, match=r"a\.txt has 2 lines and b\.txt 1"):
        aligned_lines(tmp_path, "a.txt", "b.txt")
    with pytest.raises(ValueError, match=r"c\.json is not valid JSON: .* at line 2, column 2"):
        json_value(tmp_path / "c.json", dict)
    with pytest.raises(ValueError, match=r"d\.csv, line 2: has 1 fields"):
        list(rows(tmp_path / "d.csv", ("x",)))
    with pytest.raises(ValueError, match=r"needs the columns \['z'\]"):
        list(rows(tmp_path / "d.csv", ("x", "z")))
    with pytest.raises(ValueError, match=r"line 1: 'x' must be a text; got 3"):
        list(rows(tmp_path / "e.jsonl", ("x",)))
    with pytest.raises(ValueError, match="gzip data are damaged"):
        json_value(tmp_path / "f.json.gz", list)


def test_members_of_json_values_are_checked(tmp_path):
    (tmp_path / "a.json").write_text('\ufeff{"a": "text"}', encoding="utf-8")
    value = json_value(tmp_path / "a.json", dict)
    assert member(value, "a", str, "here") == "text"
    with pytest.raises(ValueError, match="here: needs 'a' of type int; got .*'a': 'str'"):
        member(value, "a", int, "here")
    with pytest.raises(ValueError, match="must hold a JSON list, not a dict"):
        json_value(tmp_path / "a.json", list)
