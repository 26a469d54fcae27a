"""Shares of a job: any number of processes, killed and overlapping, leave the bytes of one plain run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from instructor_jax.commands.encode.engines.shards import Shard, shard_named

FAKE = Path(__file__).parents[2] / "fake_embedder.py"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text(rows(23))
    return tmp_path


def rows(count: int) -> str:
    return "".join(f'{{"text": "text {k} {"word " * (k % 7)}", "id": {k}}}\n' for k in range(count))


def command(output: str, *more: object, part_size: int = 4) -> tuple:
    return ("encode", "in.jsonl", "-o", output, "-m", "fake", "--part-size", part_size, *more)


@pytest.mark.parametrize("suffix", [".npy", ".jsonl", ".parquet"])
def test_shares_give_the_bytes_of_a_plain_run(suffix, folder, run, capsys):
    run(*command(f"plain{suffix}"))
    for shard in ("2/3", "0/3", "2/3", "1/3"):
        run(*command(f"shards{suffix}", "--shard", shard))
    assert "6 of 6 are made; the same command without --shard joins them" in capsys.readouterr().out
    run(*command(f"shards{suffix}"))
    assert "23 (23 of them from an earlier run)" in capsys.readouterr().out
    assert (folder / f"shards{suffix}").read_bytes() == (folder / f"plain{suffix}").read_bytes()
    if suffix == ".npy":
        assert (folder / "shards.ids.txt").read_bytes() == (folder / "plain.ids.txt").read_bytes()
    assert not (folder / f"shards{suffix}.parts").exists()
    run(*command(f"shards{suffix}", "--shard", "0/3"))
    assert "complete already" in capsys.readouterr().out


def test_a_plain_run_finishes_what_shares_left(folder, run, fake, capsys):
    run(*command("plain.npy"))
    run(*command("shards.npy", "--shard", "1/3"))
    run(*command("shards.npy"))
    assert [len(call) for call in fake.loaded[-1].calls] == [1, 4, 4, 4, 3]  # the probe, and the parts of two shares
    assert (folder / "shards.npy").read_bytes() == (folder / "plain.npy").read_bytes()


def test_a_share_reads_only_its_rows(folder, run, fails):
    lines = rows(23).splitlines()
    lines[5] = "this is no JSON"
    (folder / "in.jsonl").write_text("\n".join(lines))
    run(*command("v.npy", "--shard", "1/2"))
    assert "in.jsonl, line 6" in fails(*command("v.npy", "--shard", "0/2"))


@pytest.mark.slow
@pytest.mark.parametrize("kill_at", [1, 3])
def test_killed_processes_are_made_up_for(kill_at, folder):
    (folder / "in.jsonl").write_text(rows(640))
    words = [sys.executable, str(FAKE), *map(str, command("out.npy", part_size=16))]
    words[words.index("fake")] = "slow"
    plain = [("plain.npy" if word == "out.npy" else word) for word in words]
    subprocess.run(plain, check=True, capture_output=True)
    workers = [subprocess.Popen([*words, "--shard", f"{k}/4"], stderr=subprocess.DEVNULL) for k in range(4)]
    parts = folder / "out.npy.parts"
    while len(list(parts.glob("part-*.npy"))) < kill_at and any(worker.poll() is None for worker in workers):
        time.sleep(0.002)
    for worker in workers[:2]:
        worker.send_signal(signal.SIGKILL)
    codes = [worker.wait() for worker in workers]
    assert codes[2:] == [0, 0]
    there = {path.name: path.stat().st_mtime_ns for path in parts.glob("part-*.json")}
    for shard in ("0/4", "1/4"):
        subprocess.run([*words, "--shard", shard], check=True, capture_output=True)
    again = {path.name: path.stat().st_mtime_ns for path in parts.glob("part-*.json")}
    assert len(again) == 40
    assert there.items() <= again.items()  # nothing was made twice
    subprocess.run(words, check=True, capture_output=True)
    assert (folder / "out.npy").read_bytes() == (folder / "plain.npy").read_bytes()


def test_two_processes_with_one_share_make_every_part_once(folder):
    (folder / "in.jsonl").write_text(rows(320))
    words = [sys.executable, str(FAKE), *map(str, command("out.npy", "--shard", "0/1", part_size=16))]
    words[words.index("fake")] = "slow"
    workers = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in "ab"]
    said = [worker.communicate()[0] for worker in workers]
    made = [int(line.split()[1]) for text in said for line in text.splitlines() if line.startswith("made")]
    assert sum(made) == 320
    assert "20 of 20 are made" in said[0] + said[1]


def test_a_part_of_very_long_texts_is_one_part(folder, run, fake, monkeypatch):
    """What fits no memory at once is encoded by several calls, of the same rows whoever makes the part."""
    from instructor_jax.commands.encode import share, whole
    from instructor_jax.commands.text_blocks import text_blocks

    def small(rows, size, **options):
        return text_blocks(rows, size, 30, **options)

    monkeypatch.setattr(whole, "text_blocks", small)
    monkeypatch.setattr(share, "text_blocks", small)
    run(*command("plain.npy", part_size=8))
    calls = [len(call) for call in fake.loaded[0].calls]
    assert max(calls[1:]) < 8
    for shard in ("1/2", "0/2"):
        run(*command("shards.npy", "--shard", shard, part_size=8))
    run(*command("shards.npy", part_size=8))
    assert (folder / "shards.npy").read_bytes() == (folder / "plain.npy").read_bytes()
    assert len(np.load("plain.npy")) == 23


def test_other_options_are_refused_while_others_work(folder, run, fails):
    from instructor_jax.commands.encode.parts import PartStore
    from instructor_jax.commands.encode.vector_files import vector_format

    run(*command("v.npy", "--shard", "0/2"))
    assert "part_size: 4 there, 3 now" in fails(*command("v.npy", "--shard", "1/2", part_size=3))
    options = json.loads((folder / "v.npy.parts" / "options.json").read_text())["options"]
    with PartStore(Path("v.npy"), vector_format(Path("v.npy")), options, shared=True):
        run(*command("v.npy", "--shard", "1/2"))  # beside it
        assert "another process is writing" in fails(*command("v.npy"))  # but nobody may join them
    run(*command("v.npy"))


def test_another_input_is_noticed_when_parts_are_joined(folder, run, fails):
    run(*command("v.npy", "--shard", "0/2"))
    (folder / "in.jsonl").write_text(rows(23).replace("text 5", "TEXT 5"))
    os.utime("in.jsonl", ns=(1, 1))
    run(*command("v.npy", "--shard", "1/2"))
    assert "rows 5 to 8 of the input are not those of the unfinished run" in fails(*command("v.npy"))


def test_a_folder_of_parts_with_a_manifest(folder, run, fails, capsys):
    run(*command("plain.parquet"))
    run(*command("vectors", "--parts", "--shard", "1/2"))
    run(*command("vectors", "--parts"))
    manifest = json.loads((folder / "vectors" / "_manifest.json").read_text())
    names = [part["file"] for part in manifest["parts"]]
    assert sorted(path.name for path in (folder / "vectors").iterdir()) == sorted([*names, "_manifest.json"])
    assert [part["first_row"] for part in manifest["parts"]] == [0, 4, 8, 12, 16, 20]
    assert manifest["rows"] == sum(part["rows"] for part in manifest["parts"]) == 23
    whole = pyarrow.parquet.read_table("plain.parquet")
    assert pyarrow.parquet.read_table("vectors", schema=whole.schema).equals(whole)
    run(*command("vectors", "--parts"))
    assert "complete already" in capsys.readouterr().out
    assert "made with other options" in fails(*command("vectors", "--parts", part_size=5))
    run(*command("vectors", "--parts", "--overwrite", part_size=5))
    assert len(list((folder / "vectors").glob("*.parquet"))) == 5
    (folder / "vectors" / "mine.txt").write_text("x")
    assert "not known to be made by this command" in fails(*command("vectors", "--parts", "--overwrite"))
    assert "name it without a suffix" in fails(*command("vectors.parquet", "--parts"))


def test_many_files_folders_and_patterns(folder, run, fails):
    lines = rows(23).splitlines(keepends=True)
    (folder / "more").mkdir()
    for number, cut in enumerate((slice(0, 5), slice(5, 6), slice(6, 23))):
        (folder / "more" / f"{number}.jsonl").write_text("".join(lines[cut]))
    run(*command("plain.npy"))
    plain = (folder / "plain.npy").read_bytes()
    for name, inputs in (
        ("files", ["more/0.jsonl", "more/1.jsonl", "more/2.jsonl"]),
        ("folder", ["more"]),
        ("pattern", ["more/*.jsonl"]),
    ):
        words = ["encode", *inputs, "-o", f"{name}.npy", "-m", "fake", "--part-size", 4]
        run(*words, "--shard", "1/2")
        run(*words)
        assert (folder / f"{name}.npy").read_bytes() == plain
    assert "no file fits the pattern" in fails("encode", "more/*.txt", "-o", "v.npy", "-m", "fake")
    far = "hdfs://bucket/a.jsonl"
    assert f"'{far}' lies behind hdfs://" in fails("encode", far, "-o", "v.npy", "-m", "fake")
    assert "beside other inputs" in fails("encode", "-", "in.jsonl", "-o", "v.npy", "-m", "fake")
    (folder / "more" / "notes.md").write_text("x")
    assert "holds notes.md, which is no table" in fails("encode", "more", "-o", "v.npy", "-m", "fake")


@pytest.mark.parametrize("precision", ["float16", "int8", "ubinary"])
@pytest.mark.parametrize("output", ["v.npy", "v.jsonl", "v.parquet", "v"])
def test_small_vectors_in_every_file(precision, output, folder, run):
    run(*command(output, "--precision", precision, "--truncate-dim", 16, "--shard", "1/2"))
    run(*command(output, "--precision", precision, "--truncate-dim", 16))
    if output == "v.npy":
        found = np.load(output)
    elif output == "v.jsonl":
        found = np.array([json.loads(line)["embedding"] for line in Path(output).read_text().splitlines()])
    else:
        table = pyarrow.parquet.read_table(output)
        value_type = {"float16": "halffloat", "int8": "int8", "ubinary": "uint8"}[precision]
        assert table.schema.field("embedding").type.value_type == value_type
        found = np.array(table["embedding"].to_pylist())
    assert found.shape == (23, 2 if precision == "ubinary" else 16)
    run(*command("wide.npy", "--truncate-dim", 16))
    if precision == "ubinary":
        np.testing.assert_array_equal(found, np.packbits(np.load("wide.npy") > 0, axis=1))
        return
    wide = np.load("wide.npy") * (127 if precision == "int8" else 1)
    np.testing.assert_allclose(found.astype(np.float32), wide, atol=1.0 if precision == "int8" else 2**-11)


@pytest.mark.parametrize(
    ("environment", "shard"),
    [
        ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_MAX": "8"}, (2, 4)),
        ({"SLURM_PROCID": "3", "SLURM_NTASKS": "8"}, (3, 8)),
        ({"JOB_COMPLETION_INDEX": "0", "JOB_COMPLETIONS": "64"}, (0, 64)),
        ({"CLOUD_RUN_TASK_INDEX": "9", "CLOUD_RUN_TASK_COUNT": "10"}, (9, 10)),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, (1, 2)),
        ({"TPU_WORKER_ID": "1", "TPU_WORKER_HOSTNAMES": "a,b,c,d"}, (1, 4)),
    ],
)
def test_what_schedulers_say(environment, shard):
    if "SLURM_ARRAY_TASK_ID" in environment:
        environment |= {"SLURM_ARRAY_TASK_COUNT": "4", "SLURM_NTASKS": "1"}
        both = environment | {"SLURM_NTASKS": "2", "SLURM_PROCID": "1"}
        assert shard_named("auto", both) == (5, 8)
    assert shard_named("auto", environment) == shard


@pytest.mark.parametrize(
    ("name", "environment", "says"),
    [
        ("3/3", {}, "there is no shard 3 of 3; they are 0 to 2"),
        ("3", {}, "must be INDEX/COUNT such as 3/64"),
        ("-1/3", {}, "must be INDEX/COUNT"),
        ("1/0", {}, "there is no shard 1 of 0"),
        ("auto", {}, "no variable of Slurm"),
        ("auto", {"JOB_COMPLETION_INDEX": "1"}, "JOB_COMPLETIONS is not; set it"),
        ("auto", {"JOB_COMPLETION_INDEX": "x", "JOB_COMPLETIONS": "3"}, "JOB_COMPLETION_INDEX=.x. must be a whole"),
        (
            "auto",
            {f"SLURM_ARRAY_TASK_{n}": v for n, v in (("ID", "9"), ("MIN", "1"), ("MAX", "9"), ("COUNT", "3"))},
            "not evenly spaced",
        ),
    ],
)
def test_shards_that_are_none(name, environment, says):
    with pytest.raises(ValueError, match=says):
        shard_named(name, environment)


@pytest.mark.parametrize(("parts", "count"), [(0, 3), (2, 3), (64, 64), (1000, 7)])
def test_every_part_is_of_one_share(parts, count):
    shares = [Shard(index, count).share(parts) for index in range(count)]
    assert [part for share in shares for part in share] == list(range(parts))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_standard_input_has_no_shares(folder, fails, monkeypatch):
    import io

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\n")))
    says = fails("encode", "-", "-o", "v.npy", "-m", "fake", "--shard", "0/2")
    assert "standard input cannot be read in shares" in says
    assert not (folder / "v.npy").exists()
