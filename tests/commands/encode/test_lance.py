"""Vectors as a Lance dataset: what Lance and LanceDB read is what the other outputs hold, whoever made the parts."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from instructor_jax.commands.encode.vector_files import vector_format

lance = pytest.importorskip("lance", reason="needs the extra lance")


def rows(count: int) -> str:
    return "".join(f'{{"text": "text {k} {"word " * (k % 7)}", "id": {k}}}\n' for k in range(count))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text(rows(23))
    return tmp_path


def command(output: str, *more: object, part_size: int = 4) -> tuple:
    return ("encode", "in.jsonl", "-o", output, "-m", "fake", "--part-size", part_size, *more)


def read(uri: str) -> tuple[list, np.ndarray]:
    table = lance.dataset(uri).to_table()
    return table["id"].to_pylist(), np.stack(table["embedding"].combine_chunks().to_numpy(zero_copy_only=False))


def data(dataset: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (dataset / "data").iterdir()}


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "ubinary"])
def test_a_dataset_is_what_a_plain_file_is(precision, folder, run, capsys):
    options = ("--precision", precision, "--truncate-dim", 16)
    run(*command("plain.npy", *options))
    run(*command("plain.lance", *options))
    for shard in ("1/2", "0/2"):
        run(*command("shards.lance", "--shard", shard, *options))
    run(*command("shards.lance", *options))
    ids, vectors = read("plain.lance")
    expected = np.load("plain.npy")
    assert vectors.dtype == expected.dtype
    np.testing.assert_array_equal(vectors, expected)
    assert [str(name) for name in ids] == (folder / "plain.ids.txt").read_text().split()
    assert data(folder / "shards.lance") == data(folder / "plain.lance")
    fragments = lance.dataset("shards.lance").get_fragments()
    assert [fragment.count_rows() for fragment in fragments] == [4, 4, 4, 4, 4, 3]
    summary = json.loads((folder / "plain.lance.json").read_text())
    assert (summary["rows"], summary["options"]["precision"]) == (23, precision)
    assert sorted(path.name for path in folder.iterdir() if "lance" in path.name) == [
        "plain.lance",
        "plain.lance.json",
        "shards.lance",
        "shards.lance.json",
    ]
    capsys.readouterr()
    run(*command("plain.lance", *options))
    assert "complete already" in capsys.readouterr().out


def test_bits_and_rows_without_ids(folder, run):
    (folder / "a.txt").write_text("a\nb\nc\n")
    kind = vector_format(Path("v.lance"))
    bits = np.arange(12, dtype=np.uint8).reshape(4, 3)
    kind.write(folder / "part-000000.lance", bits[:3], None, 0)
    kind.write(folder / "part-000001.lance", bits[3:], None, 3)
    sizes = [(folder / f"part-00000{k}.lance").stat().st_size for k in range(2)]
    (folder / "v.lance" / "data").mkdir(parents=True)
    for k in range(2):
        (folder / f"part-00000{k}.lance").rename(folder / "v.lance" / "data" / f"part-00000{k}.lance")
    assert kind.commit is not None
    files = [(f"part-00000{k}.lance", 3 - 2 * k, sizes[k]) for k in range(2)]
    kind.commit(folder / "v.lance", files, folder / "v.lance" / "data" / "part-000000.lance")
    ids, vectors = read("v.lance")
    assert ids == [0, 1, 2, 3]
    np.testing.assert_array_equal(vectors, bits)


@pytest.mark.slow
def test_lancedb_opens_and_searches_it(folder, run):
    lancedb = pytest.importorskip("lancedb")
    run(*command("v.lance"))
    table = lancedb.connect(str(folder)).open_table("v")
    assert table.count_rows() == 23
    _, vectors = read("v.lance")
    found = table.search(vectors[7], vector_column_name="embedding").limit(2).to_list()
    assert str(found[0]["id"]) == "7"
    assert found[0]["_distance"] == 0


def test_only_what_we_made_is_replaced(folder, run, fails):
    run(*command("v.lance"))
    assert "made with other options" in fails(*command("v.lance", part_size=5))
    run(*command("v.lance", "--overwrite", part_size=5))
    assert len(data(folder / "v.lance")) == 5
    table = lance.dataset("v.lance").to_table()
    lance.write_dataset(table, "v.lance", mode="append")  # now it has another version, which is the user's
    assert "not known to be made by this command" in fails(*command("v.lance", "--overwrite"))
    assert lance.dataset("v.lance").count_rows() == 46
    lance.write_dataset(table, "mine.lance")
    for more in ((), ("--overwrite",)):
        assert "mine.lance exists" in fails(*command("mine.lance", *more))
    assert lance.dataset("mine.lance").count_rows() == 23


@pytest.mark.slow
def test_interrupted_while_it_is_made_it_goes_on(folder, run, monkeypatch):
    import os

    run(*command("plain.lance"))
    replace = os.replace
    for last in range(40):
        left = [last]

        def counted(source, target, left=left):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", counted)
            try:
                run(*command(f"{last}.lance"))
            except SystemExit:
                pass
            else:
                break
        run(*command(f"{last}.lance"))
        assert data(folder / f"{last}.lance") == data(folder / "plain.lance")
        assert lance.dataset(f"{last}.lance").to_table().equals(lance.dataset("plain.lance").to_table())
    assert last > 12
    assert not [path.name for path in folder.iterdir() if "parts" in path.name or "coming" in path.name]


def test_a_dataset_in_a_store_is_that_of_this_machine(folder, run, fails):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.store.clear()
    run(*command("plain.lance"))
    run(*command("memory://bucket/v.lance", "--shard", "1/2"))
    run(*command("memory://bucket/v.lance"))
    memory.get("/bucket/v.lance", "copy.lance", recursive=True)
    assert data(folder / "copy.lance") == data(folder / "plain.lance")
    assert lance.dataset("copy.lance").to_table().equals(lance.dataset("plain.lance").to_table())
    assert memory.cat_file("/bucket/v.lance.json") == (folder / "plain.lance.json").read_bytes()
    assert memory.find("/bucket/v.lance.parts") == []
    run(*command("memory://bucket/v.lance", "--overwrite", part_size=9))
    memory.get("/bucket/v.lance", "again.lance", recursive=True)
    assert lance.dataset("again.lance").count_rows() == 23
    assert len(memory.find("/bucket/v.lance/data")) == 3
    memory.pipe_file("/bucket/v.lance/_versions/2.manifest", b"theirs")
    assert "not known to be made by this command" in fails(*command("memory://bucket/v.lance", "--overwrite"))
    memory.store.clear()


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lance", None)
    with pytest.raises(ImportError, match=r"pip install 'instructor-jax\[lance\]'"):
        vector_format(Path("v.lance"))
