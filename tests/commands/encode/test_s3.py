"""Inputs and outputs in S3, on a server of this machine: shares as processes, one killed, leave a plain run's bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from instructor_jax.io.remote.stores import Store

FAKE = Path(__file__).parents[1] / "fake_embedder.py"


def rows(count: int) -> str:
    return "".join(f'{{"text": "text {k} {"word " * (k % 7)}", "id": {k}}}\n' for k in range(count))


@pytest.mark.slow
@pytest.mark.parametrize("output", ["v.npy", "vectors/"])
def test_shares_one_of_them_killed(bucket: str, output: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    lines = rows(240).splitlines(keepends=True)
    for number, cut in enumerate((slice(0, 100), slice(100, 240))):
        (tmp_path / "in" / f"{number}.jsonl").write_text("".join(lines[cut]))
        Store(f"{bucket}/in").fs.put_file(str(tmp_path / "in" / f"{number}.jsonl"), f"bucket/in/{number}.jsonl")
    words = [sys.executable, str(FAKE), "encode", "-m", "slow", "--part-size", "16"]

    def encode(*more: str) -> str:
        done = subprocess.run([*words, *more], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    encode("in", "-o", "here" if output.endswith("/") else "here.npy")
    store = Store(f"{bucket}/{output}")
    far = [f"{bucket}/in/*.jsonl", "-o", f"{bucket}/{output}"]
    shares = [
        subprocess.Popen([*words, *far, "--shard", f"{k}/2"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for k in range(2)
    ]
    state = Store(f"{store.url}.parts")
    until = time.monotonic() + 120
    while sum(name.endswith(".json") and name.startswith("part-") for name in state.files()) < 3:
        assert time.monotonic() < until
        time.sleep(0.01)
    shares[0].send_signal(signal.SIGKILL)
    for share in shares:
        share.communicate()
    assert shares[1].returncode == 0
    there = {name: version for name, (_, version) in state.files().items() if name.startswith("part-")}
    said = encode(*far, "--shard", "0/2")
    assert "made         0 rows" not in said
    assert there.items() <= {name: version for name, (_, version) in state.files().items()}.items()
    encode(*far)
    assert state.files() == {}
    if output.endswith("/"):
        here = {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}
        assert {name: store.fs.cat_file(store.path(name)) for name in store.files()} == here
        assert len(here) == 16
    else:
        assert store.fs.cat_file("bucket/v.npy") == (tmp_path / "here.npy").read_bytes()
        assert store.fs.cat_file("bucket/v.ids.txt") == (tmp_path / "here.ids.txt").read_bytes()
    assert "complete already" in encode(*far)
    assert not (tmp_path / "s3:").exists()


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_one_line(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a\n")
    words = [sys.executable, str(FAKE), "encode", "-m", "fake", "in.txt", "-o", "s3://no-such-bucket/vectors/"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 2
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("instructor-jax: error: ")
    assert "s3://no-such-bucket/vectors" in line
