"""Inputs and outputs in a store: the bytes of a run on this machine, by one process or shares, whatever is killed."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from instructor_jax.commands.encode.job import Job
from instructor_jax.commands.encode.stores.output import StoredOutput
from instructor_jax.commands.encode.vector_files import vector_format

URL = "memory://bucket/out"
SUFFIXES = [".npy", ".jsonl", ".parquet"]


def rows(count: int) -> str:
    return "".join(f'{{"text": "text {k} {"word " * (k % 7)}", "id": {k}}}\n' for k in range(count))


@pytest.fixture
def folder(tmp_path: Path, memory, monkeypatch) -> Path:
    """A working folder with an input, which lies in the store, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "in.jsonl").write_text(rows(23))
    memory.pipe_file("/bucket/in.jsonl", rows(23).encode())
    return tmp_path


def command(output: str, *more: object, given: str = "memory://bucket/in.jsonl", part_size: int = 4) -> tuple:
    return ("encode", given, "-o", output, "-m", "fake", "--part-size", part_size, *more)


def contents(memory, below: str) -> dict[str, bytes]:
    paths = memory.find(f"/bucket/{below}")
    return {path.removeprefix(f"/bucket/{below}"): memory.cat_file(path) for path in paths}


def names(memory, below: str) -> list[str]:
    return sorted(path.removeprefix(f"/bucket/{below}") for path in memory.find(f"/bucket/{below}"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_in_a_store_has_the_bytes_of_one_here(suffix, folder, memory, run, capsys):
    run(*command(f"plain{suffix}", given="in.jsonl"))
    run(*command(f"{URL}/v{suffix}"))
    for shard in ("1/2", "1/2", "0/2"):
        run(*command(f"{URL}/shards{suffix}", "--shard", shard))
    said = capsys.readouterr().out
    assert "parts        3 of 6 are made; others are still to come" in said
    assert "made         0 rows" in said  # nothing is made again
    assert "6 of 6 are made; the same command without --shard joins them" in said
    run(*command(f"{URL}/shards{suffix}"))
    plain = (folder / f"plain{suffix}").read_bytes()
    assert memory.cat_file(f"/bucket/out/v{suffix}") == memory.cat_file(f"/bucket/out/shards{suffix}") == plain
    if suffix == ".npy":
        ids = (folder / "plain.ids.txt").read_bytes()
        assert memory.cat_file("/bucket/out/v.ids.txt") == memory.cat_file("/bucket/out/shards.ids.txt") == ids
    summary = (folder / f"plain{suffix}.json").read_bytes().replace(b"plain.ids", b"v.ids")
    assert memory.cat_file(f"/bucket/out/v{suffix}.json") == summary
    assert not [name for name in names(memory, "out/") if ".parts" in name]
    run(*command(f"{URL}/v{suffix}"))
    run(*command(f"{URL}/v{suffix}", "--shard", "0/2"))
    assert capsys.readouterr().out.count("complete already") == 2
    assert sorted(path.name for path in folder.iterdir() if suffix in path.name) == [
        *(["in.jsonl"] if suffix == ".jsonl" else []),
        f"plain{suffix}",
        f"plain{suffix}.json",
    ]


def test_a_folder_of_parts_in_a_store(folder, memory, run, fails, capsys):
    run(*command("plain", "--precision", "int8", given="in.jsonl"))
    run(*command(f"{URL}/", "--precision", "int8", "--shard", "0/2"))
    assert names(memory, "out/") == []  # no part is taken for the output before all are there
    run(*command(f"{URL}/", "--precision", "int8"))
    assert names(memory, "out/") == sorted(path.name for path in (folder / "plain").iterdir())
    for path in (folder / "plain").iterdir():
        assert memory.cat_file(f"/bucket/out/{path.name}") == path.read_bytes()
    table = pyarrow.parquet.read_table(io.BytesIO(memory.cat_file("/bucket/out/part-000005.parquet")))
    assert table["id"].to_pylist() == [20, 21, 22] or table["id"].to_pylist() == ["20", "21", "22"]
    assert str(table.schema.field("embedding").type) == "fixed_size_list<element: int8>[24]"
    assert "made with other options (part_size: 4 there, 5 now" in fails(
        *command(URL, "--precision", "int8", part_size=5)
    )
    run(*command(URL, "--precision", "int8", "--overwrite", part_size=9))
    assert names(memory, "out") == ["/_manifest.json", *(f"/part-00000{k}.parquet" for k in range(3))]
    memory.pipe_file("/bucket/out/mine.txt", b"x")
    told = fails(*command(URL, "--precision", "int8", "--overwrite", part_size=4))
    assert f"{URL}/mine.txt exists and is not known to be made by this command" in told
    assert len(names(memory, "out")) == 5


def test_inputs_are_files_folders_and_patterns_of_a_store(folder, memory, run, fails):
    lines = rows(23).splitlines(keepends=True)
    for number, cut in enumerate((slice(0, 5), slice(5, 6), slice(6, 23))):
        memory.pipe_file(f"/bucket/more/{number}.jsonl", "".join(lines[cut]).encode())
    memory.pipe_file("/bucket/more/_SUCCESS", b"")
    table = pyarrow.table({"text": [json.loads(line)["text"] for line in lines], "id": list(range(23))})
    pyarrow.parquet.write_table(table, "in.parquet", row_group_size=6)
    memory.put_file("in.parquet", "/bucket/tables/in.parquet")
    run(*command("plain.npy", given="in.jsonl"))
    plain = np.load("plain.npy")
    for name, given in (
        ("folder", "memory://bucket/more"),
        ("pattern", "memory://bucket/more/*.jsonl"),
        ("parquet", "memory://bucket/tables/*"),
    ):
        run(*command(f"{name}.npy", "--shard", "1/2", given=given))
        run(*command(f"{name}.npy", given=given))
        np.testing.assert_array_equal(np.load(f"{name}.npy"), plain)
    assert "no file fits the pattern" in fails(*command("v.npy", given="memory://bucket/more/*.csv"))
    assert "there is no file, and no folder with files" in fails(*command("v.npy", given="memory://bucket/none"))
    told = fails(*command("memory://bucket/more", given="memory://bucket/more"))
    assert "would be written over the input memory://bucket/more/0.jsonl" in told
    memory.pipe_file("/bucket/more/notes.md", b"x")
    assert "notes.md: unknown suffix" in fails(*command("v.npy", given="memory://bucket/more"))
    assert "holds the folder" in fails(*command("v.npy", given="memory://bucket"))


def test_a_compressed_file_and_a_data_set_of_a_store(folder, memory, run):
    import gzip

    texts = [json.loads(line)["text"] for line in rows(9).splitlines()]
    memory.pipe_file("/bucket/in.txt.gz", gzip.compress("".join(f"{text}\n" for text in texts).encode()))
    table, data = pyarrow.table({"text": texts}), io.BytesIO()
    with pyarrow.ipc.new_stream(data, table.schema) as stream:  # as `save_to_disk` of the library `datasets` writes it
        stream.write_table(table)
    memory.pipe_file("/bucket/set/data-00000-of-00001.arrow", data.getvalue())
    memory.pipe_file("/bucket/set/state.json", b'{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}')
    run(*command("gzip.npy", given="memory://bucket/in.txt.gz"))
    run(*command("set.npy", given="memory://bucket/set"))
    np.testing.assert_array_equal(np.load("gzip.npy"), np.load("set.npy"))
    assert len(np.load("set.npy")) == 9


@pytest.mark.slow
@pytest.mark.parametrize("output", ["v.npy", "v"])
def test_interrupted_at_any_put_it_goes_on(output, folder, memory, run, fake, monkeypatch, capsys):
    """Each put and each copy in turn is the last one of a run; the next run gives the bytes of one that was whole."""
    run(*command(f"{URL}/whole/{output}", part_size=9))
    whole = contents(memory, "out/whole/")
    put, copy = type(memory).put_file, type(memory).cp_file
    for last in range(60):
        left = [last]

        def counted(change, left=left):
            def method(self, *arguments, **options):
                if not left[0]:
                    raise KeyboardInterrupt
                left[0] -= 1
                return change(self, *arguments, **options)

            return method

        with monkeypatch.context() as patch:
            patch.setattr(type(memory), "put_file", counted(put))
            patch.setattr(type(memory), "cp_file", counted(copy))
            with contextlib.suppress(SystemExit):
                run(*command(f"{URL}/{last}/{output}", part_size=9))
                break
        made = len(fake.loaded)
        run(*command(f"{URL}/{last}/{output}", part_size=9))
        assert contents(memory, f"out/{last}/") == whole
        assert len(fake.loaded) - made <= 1
    assert last > 8


def test_other_options_and_inputs_are_refused(folder, memory, run, fails):
    run(*command(f"{URL}/v.npy", "--shard", "0/2"))
    told = fails(*command(f"{URL}/v.npy", "--shard", "1/2", part_size=3))
    assert f"{URL}/v.npy.parts holds an unfinished run with other options (part_size: 4 there, 3 now)" in told
    memory.pipe_file("/bucket/in.jsonl", rows(23).replace("text 5", "TEXT 5").encode())
    run(*command(f"{URL}/v.npy", "--shard", "1/2"))
    assert "rows 5 to 8 of the input are not those of the unfinished run" in fails(*command(f"{URL}/v.npy"))
    state = StoredOutput(f"{URL}/v.npy", vector_format(Path("v.npy"))).state
    state.write("options-0123456789abcdef.json", b"{}")
    assert "was begun by two runs with other options" in fails(*command(f"{URL}/v.npy"))


def test_a_part_that_was_cut_is_told(folder, memory, run, fails):
    run(*command(f"{URL}/v.npy", "--shard", "0/2"))
    memory.pipe_file("/bucket/out/v.npy.parts/part-000001.npy", b"short")
    told = fails(*command(f"{URL}/v.npy"))
    assert "damaged unfinished run (part-000001.npy does not have the" in told
    assert f"delete the folder {URL}/v.npy.parts to start over" in told


def test_files_of_strangers_stay(folder, memory, run, fails):
    for name in ("v.npy", "w.npy.json", "x.ids.txt", "y.npy.parts/mine", "z/part-000000.parquet"):
        memory.pipe_file(f"/bucket/out/{name}", b"mine")
    for output in ("v.npy", "w.npy", "x.npy", "y.npy", "z"):
        assert "not known to be made by this command" in fails(*command(f"{URL}/{output}"))
    assert set(map(memory.cat_file, memory.find("/bucket/out"))) == {b"mine"}
    for output in ("v.npy", "w.npy", "x.npy"):
        run(*command(f"{URL}/{output}", "--overwrite"))
    for output in ("y.npy", "z"):
        assert "not known to be made by this command" in fails(*command(f"{URL}/{output}", "--overwrite"))
    assert memory.cat_file("/bucket/out/v.npy") == memory.cat_file("/bucket/out/w.npy")


def test_what_a_late_process_left_is_no_unfinished_run(folder, memory, run, capsys):
    run(*command(f"{URL}/v.npy"))
    memory.pipe_file("/bucket/out/v.npy.parts/part-000001.npy", b"late")
    run(*command(f"{URL}/v.npy"))
    assert "complete already" in capsys.readouterr().out
    assert names(memory, "out/") == ["v.ids.txt", "v.npy", "v.npy.json"]


def test_a_job_with_a_store_reaches_other_processes(folder, monkeypatch):
    import pickle

    from instructor_jax.commands.encode.input_files import input_files
    from instructor_jax.commands.encode.options import EngineOptions, VectorOptions
    from instructor_jax.commands.table_options import InputOptions
    from instructor_jax.model_options import ModelOptions

    files = tuple(input_files(["memory://bucket/in.jsonl", "in.jsonl"]))
    job = Job(files, None, InputOptions(), EngineOptions(output=f"{URL}/"), ModelOptions(), VectorOptions())
    there = pickle.loads(pickle.dumps(job.absolute()))
    assert [str(file) for file in there.files] == ["memory://bucket/in.jsonl", str(folder / "in.jsonl")]
    assert there.target.output == f"{URL}/"
    with there.opened() as opened:
        assert sum(1 for _ in opened.table.records(["text"])) == 46
