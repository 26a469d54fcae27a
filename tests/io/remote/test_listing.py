"""Tables of a store: the records of the same table on this machine, from any place on, without a copy here."""

import gzip
import pickle
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from instructor_jax.io.remote.listing import has_file, stored_files
from instructor_jax.io.remote.stored_file import StoredFile
from instructor_jax.io.tables.tables import open_table

TEXTS = [f"text {k} ünï {'word ' * (k % 5)}" for k in range(40)]


def write_tables(folder: Path) -> list[Path]:
    """Writes one table of each kind."""
    table = pyarrow.table({"text": TEXTS, "id": list(range(len(TEXTS)))})
    pyarrow.parquet.write_table(table, folder / "a.parquet", row_group_size=7)
    lines = "".join(f"{text}\n" for text in TEXTS)
    (folder / "a.txt").write_text(lines, encoding="utf-8")
    (folder / "a.txt.gz").write_bytes(gzip.compress(lines.encode()))
    (folder / "a.jsonl").write_text("".join(f'{{"text": "{text}"}}\n' for text in TEXTS), encoding="utf-8")
    (folder / "a.csv").write_text("text,id\n" + "".join(f"{t},{k}\n" for k, t in enumerate(TEXTS)), encoding="utf-8")
    return sorted(folder.iterdir())


def test_records_and_places_are_those_of_files_here(memory, tmp_path: Path, cache: Path) -> None:
    for path in write_tables(tmp_path):
        memory.put_file(str(path), f"/bucket/{path.name}")
        (stored,) = stored_files(f"memory://bucket/{path.name}")
        assert (stored.name, stored.suffix, stored.suffixes) == (path.name, path.suffix, path.suffixes)
        assert stored.size == path.stat().st_size
        with open_table(path) as here, open_table(pickle.loads(pickle.dumps(stored))) as there:
            assert there.columns == here.columns
            places = list(here.places(6, 2))
            assert list(there.places(6, 2)) == places
            for place in (None, places[-1], places[2]):
                found = list(there.records(["text"], start=place))
                assert found == list(here.records(["text"], start=place))
                assert found[0][1][0] == TEXTS[place.row if place else 0]
            assert 0.9 < (there.fraction_read() or 0) <= 1
    assert not cache.exists()  # nothing is copied to this machine


def test_only_the_wanted_row_groups_are_read(memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pyarrow.table({"text": [f"{k:07d}" * 10_000 for k in range(256)]})
    pyarrow.parquet.write_table(
        table, tmp_path / "a.parquet", row_group_size=4, compression="none", use_dictionary=False
    )
    memory.put_file(str(tmp_path / "a.parquet"), "/bucket/a.parquet")
    (stored,) = stored_files("memory://bucket/a.parquet")
    read, count = type(memory.store["/bucket/a.parquet"]).read, [0]

    def counted(self, size=-1):
        content = read(self, size)
        count[0] += len(content)
        return content

    with open_table(stored) as opened:
        place = list(opened.places(252))[-1]
        monkeypatch.setattr(type(memory.store["/bucket/a.parquet"]), "read", counted)
        assert len(list(opened.records(["text"], start=place))) == 4
    assert 4 * 70_000 < count[0] < stored.size / 4  # 18 MB, of which a block before and behind is read, too


def test_names_are_in_order_and_hidden_ones_are_left_out(memory) -> None:
    for name in ("b/2.txt", "b/10.txt", "b/_SUCCESS", "b/.x.crc", "a.txt"):
        memory.pipe_file(f"/bucket/{name}", b"x")
    assert [file.name for file in stored_files("memory://bucket/b")] == ["10.txt", "2.txt"]
    assert [str(file) for file in stored_files("memory://bucket/*/1*")] == ["memory://bucket/b/10.txt"]
    assert has_file("memory://bucket/b/", ["x", "2.txt"])
    assert not has_file("memory://bucket/b", ["x"])
    with pytest.raises(ValueError, match="holds the folder 'b'"):
        stored_files("memory://bucket")


def test_a_file_that_is_gone_is_told_with_its_url() -> None:
    gone = StoredFile("memory://bucket/gone.txt", 3, "")
    with pytest.raises(OSError, match="memory://bucket/gone.txt' cannot be read or written"):
        gone.open()
    with pytest.raises(ValueError, match="can only be read"):
        gone.open("w")
