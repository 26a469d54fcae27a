import gzip
import json
from pathlib import Path

import pytest

from instructor_jax import progress
from instructor_jax.train.medi.files import row_estimate
from instructor_jax.train.medi.files.row_estimate import estimated_rows
from instructor_jax.train.medi.imports import source_of
from instructor_jax.train.medi.readers.source import read_source
from instructor_jax.train.medi.reading import Reading


def rows(count: int) -> str:
    return "".join(json.dumps({"query": f"what is {i:05}", "positive": f"it is {i:05}"}) + "\n" for i in range(count))


@pytest.mark.parametrize("compressed", [False, True])
def test_the_beginning_tells_about_how_many_rows_there_are(tmp_path: Path, monkeypatch, compressed: bool) -> None:
    monkeypatch.setattr(row_estimate, "BEGINNING", 10_000)
    path = tmp_path / ("a.jsonl.gz" if compressed else "a.jsonl")
    content = rows(20_000).encode()
    path.write_bytes(gzip.compress(content) if compressed else content)
    estimate = estimated_rows(path)
    assert estimate is not None
    # a compressed file is read in blocks of its own size, here the whole of it: only "some, and not too many" is known
    assert (0 < estimate <= 20_000) if compressed else estimate == pytest.approx(20_000, rel=0.01)


def test_small_files_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("query,positive\na,b\nc,d\n")
    assert estimated_rows(tmp_path / "a.csv") == 3  # the header is a line too: an estimate
    record = {"query": ["i", "a"], "pos": ["i", "b"], "neg": ["i", "c"], "task_id": 1}
    (tmp_path / "medi-data.json").write_text(json.dumps([record] * 7))
    assert estimated_rows(tmp_path / "medi-data.json") == 7


def test_the_rows_of_parquet_are_known(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    parquet.write_table(pyarrow.table({"query": ["a"] * 5, "positive": ["b"] * 5}), tmp_path / "a.parquet")
    assert estimated_rows(tmp_path / "a.parquet") == 5


def test_nothing_is_told_of_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(b"no gzip")
    (tmp_path / "a.parquet").write_bytes(b"no table")
    (tmp_path / "empty.jsonl").write_bytes(b"")
    (tmp_path / "eval_x").mkdir()
    (tmp_path / "eval_x" / "a.jsonl").write_text(rows(1))
    for name in ("a.jsonl.gz", "a.parquet", "empty.jsonl", "absent.csv"):
        assert estimated_rows(tmp_path / name) is None
    with pytest.raises(ValueError, match="never read for training"):
        estimated_rows(tmp_path / "eval_x" / "a.jsonl")


def test_an_import_tells_how_far_it_is(tmp_path: Path, monkeypatch, capsys) -> None:
    path = tmp_path / "faq.jsonl"
    path.write_text(rows(4))
    monkeypatch.setattr(progress, "FIRST", 0.0)
    found = list(row_estimate.counted(read_source(source_of(path, Reading()), tmp_path), path))
    assert len(found) == 4
    log = capsys.readouterr().err
    assert log.startswith("faq.jsonl:  25% 1/4 [00:00<")
    assert "row/s" in log.splitlines()[-1]
