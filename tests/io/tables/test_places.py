"""Reading from a place on gives the records that reading from the start gives there, with their line numbers."""

import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructor_jax.io.tables.many_files import ManyTables
from instructor_jax.io.tables.places import Place
from instructor_jax.io.tables.tables import open_table

TEXTS = ["a", "", "ünï 日本", "  ", "x" * 300, 'quote "', "b, c", "\u00a0"] * 4
SHARED = settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


def places_of(table, step: int, first: int = 0) -> tuple[list[Place], int]:
    found, places = table.places(step, first), []
    while True:
        try:
            places.append(next(found))
        except StopIteration as end:
            return places, end.value


def check(path, step: int, first: int = 0, column: str | None = None, opened=open_table) -> int:
    """Compares every place of a table; returns the number of records."""
    with opened(path) as table:
        column = column or table.columns[0]
        records = list(table.records([column]))
        places, rows = places_of(table, step, first)
        assert rows == len(records)
        assert len(places) == len(range(first, rows, step))
        for number, place in enumerate(places):
            assert list(table.records([column], start=place)) == records[first + number * step :]
    return len(records)


@given(lines=st.lists(st.sampled_from(TEXTS)), end=st.sampled_from(["\n", "\r\n", "\r"]), step=st.integers(1, 5))
@SHARED
def test_lines_with_any_ends(tmp_path, lines, end, step):
    for name, packed in (("a.txt", False), ("a.txt.gz", True)):
        data = "\ufeff" * (step % 2) + end.join(lines)
        raw = data.encode()
        (tmp_path / name).write_bytes(gzip.compress(raw) if packed else raw)
        check(tmp_path / name, step, first=step % 3)


@given(lines=st.lists(st.sampled_from(["", " ", "\u00a0", "\x1c", *map(json.dumps, TEXTS)])), step=st.integers(1, 5))
@SHARED
def test_objects_between_blank_lines(tmp_path, lines, step):
    rows = [f'{{"text": {line}}}' if line.startswith('"') else line for line in lines]
    (tmp_path / "a.jsonl").write_text("\n".join(["", *rows, '{"text": "last"}']), encoding="utf-8")
    check(tmp_path / "a.jsonl", step)


@given(
    rows=st.lists(st.tuples(st.sampled_from([*TEXTS, "two\nlines", "two\r\nlines", '""']), st.text("ab", max_size=3))),
    step=st.integers(1, 5),
    mark=st.booleans(),
)
@SHARED
def test_records_of_several_lines(tmp_path, rows, step, mark):
    cells = [[cell.replace('"', '""') for cell in row] for row in rows]
    quoted = ["\n" * (k % 2) + ",".join(f'"{cell}"' for cell in row) for k, row in enumerate(cells)]
    text = "\ufeff" * mark + "\n".join(["text,other", *quoted, ""])
    (tmp_path / "a.csv").write_bytes(text.encode())
    check(tmp_path / "a.csv", step)
    check(tmp_path / "a.csv", step, opened=lambda path: open_table(path, header=False))


def test_rows_within_and_between_row_groups_and_files(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, rows in enumerate((5, 1, 12)):
        table = pyarrow.table({"text": [f"{number} {row}" for row in range(rows)]})
        pyarrow.parquet.write_table(table, folder / f"{number}.parquet", row_group_size=4)
    for step in range(1, 19):
        assert check(folder, step, first=step % 4) == 18


def test_a_share_reads_only_its_row_groups(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": [str(row) for row in range(40)]}), path, row_group_size=10)
    read = []
    batches = pyarrow.parquet.ParquetFile.iter_batches

    def recorded(self, *arguments, row_groups, **options):
        read.extend(row_groups)
        return batches(self, *arguments, row_groups=row_groups, **options)

    monkeypatch.setattr(pyarrow.parquet.ParquetFile, "iter_batches", recorded)
    with open_table(path) as table:
        assert next(iter(table.records(["text"], start=Place(25))))[1] == ("25",)
    assert set(read) == {2}


def test_several_files_are_one_table(tmp_path):
    paths = []
    for number, rows in enumerate((3, 0, 7, 1)):
        suffix = "jsonl.gz" if number == 2 else "txt"
        lines = [f"{number} {row}" for row in range(rows)]
        text = "".join(f"{line}\n" if suffix == "txt" else f'{{"text": "{line}"}}\n' for line in lines)
        path = tmp_path / f"{number}.{suffix}"
        path.write_bytes(gzip.compress(text.encode()) if suffix == "jsonl.gz" else text.encode())
        paths.append(path)
    for step in range(1, 12):
        assert check(paths, step, first=step % 3, opened=lambda files: ManyTables(files, open_table)) == 11


def test_files_of_other_columns_are_named(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text(f'{{"{name}": "x"}}\n')
    says = r"b.jsonl: has no column 'a', as .*a.jsonl has; its columns: b"
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    with ManyTables(paths, open_table) as table, pytest.raises(ValueError, match=says):
        list(table.records(["a"]))


def test_a_data_set_on_disk(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict({"text": [f"text {k}" for k in range(50)], "n": list(range(50))})
    rows.save_to_disk(tmp_path / "set", num_shards=3)
    for step in (1, 7, 49, 60):
        assert check(tmp_path / "set", step, column="text") == 50
    datasets.DatasetDict({"train": rows}).save_to_disk(tmp_path / "splits")
    with pytest.raises(ValueError, match="holds the splits train; give the folder of one of them"):
        open_table(tmp_path / "splits")
    assert check(tmp_path / "splits" / "train", 11) == 50
    rows.select([3, 1]).save_to_disk(tmp_path / "chosen")  # its rows are written out
    with open_table(tmp_path / "chosen") as table:
        assert [values for _, values in table.records(["n"])] == [(3,), (1,)]


def test_a_damaged_data_set_is_named(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "state.json").write_text('{"_data_files": [{"filename": "../a.arrow"}]}')
    with pytest.raises(ValueError, match="names no data files of this folder"):
        open_table(folder)
    (folder / "state.json").write_text('{"_data_files": [{"filename": "a.arrow"}]}')
    (folder / "a.arrow").write_bytes(b"no arrow at all")
    with pytest.raises(ValueError, match=r"a.arrow: not an Arrow stream, or damaged"):
        open_table(folder)
    (folder / "state.json").write_text('{"_data_files": [{"filename": "a.arrow"}], "_indices_files": [{}]}')
    with pytest.raises(ValueError, match="flatten_indices"):
        open_table(folder)


def test_standard_input_has_no_places(monkeypatch):
    import io
    import sys
    from pathlib import Path

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\n")))
    with open_table(Path("-")) as table, pytest.raises(ValueError, match="cannot be read in shares"):
        next(table.places(1))
