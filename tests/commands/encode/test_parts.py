"""Killed and started again, `encode` writes the bytes of a run that was not; other input or options are refused."""

import hashlib
import io
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

FAKE = Path(__file__).parents[1] / "fake_embedder.py"

# Runs the command in forked children: child n kills itself at the n-th rename, the one after it is left alone. Prints,
# for each n, what is then in the folder. One process for all of them: starting Python takes longer than the command.
CRASHER = """
import contextlib, importlib.util, io, json, os, shutil, signal, sys
spec = importlib.util.spec_from_file_location("fake", sys.argv[1])
sys.modules["instructor_jax.embedder"] = fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)
from instructor_jax import cli
from instructor_jax.commands import encode

def child(arguments, die_at):
    pid = os.fork()
    if pid == 0:
        left, rename = [die_at], os.replace
        def replace(source, target):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            rename(source, target)
        os.replace = replace
        sys.stderr = sys.stdout = open(os.devnull, "w")
        with contextlib.suppress(SystemExit):
            cli.main(arguments)
            os._exit(0)
        os._exit(1)
    return os.waitpid(pid, 0)[1]

def contents(folder):
    return {p: open(os.path.join(folder, p), "rb").read().hex() for p in sorted(os.listdir(folder))}

results, n, status = [], 0, 9
while status != 0:
    n += 1
    shutil.rmtree(sys.argv[2], ignore_errors=True)
    os.mkdir(sys.argv[2])
    status = child(sys.argv[3:], n)
    again = child(sys.argv[3:], 0)
    results.append([status, again, contents(sys.argv[2])])
print(json.dumps(results))
"""


def rows(count: int) -> str:
    return "".join(f'{{"text": "text {k} {"word " * (k % 7)}", "id": {k}}}\n' for k in range(count))


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text(rows(10))
    return tmp_path


@pytest.mark.slow
def test_killed_at_every_rename(folder):
    command = [sys.executable, "-c", CRASHER, str(FAKE), str(folder / "out")]
    command += [
        "encode",
        str(folder / "in.jsonl"),
        "-o",
        str(folder / "out" / "v.npy"),
        "-m",
        "fake",
        "--part-size",
        "4",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    runs = json.loads(result.stdout)
    killed = [status == 9 for status, _, _ in runs]
    assert killed == [True] * (len(runs) - 1) + [False]
    assert len(runs) > 14  # options, probe, 3 x (vectors, ids, record), ids, output, summary, the folder itself
    assert all(again == 0 for _, again, _ in runs)
    uninterrupted = runs[-1][2]
    assert sorted(uninterrupted) == ["v.ids.txt", "v.npy", "v.npy.json"]
    assert all(contents == uninterrupted for _, _, contents in runs)


@pytest.mark.slow
def test_killed_at_random_moments(folder):
    (folder / "in.jsonl").write_text(rows(960))
    for name in ("straight", "killed"):
        (folder / name).mkdir()
    command = [sys.executable, str(FAKE), "encode", "in.jsonl", "-m", "slow", "--part-size", "32", "-o"]
    subprocess.run([*command, "straight/v.npy"], check=True, capture_output=True)
    chance, kills, kept = random.Random(7), 0, set()
    while True:
        process = subprocess.Popen([*command, "killed/v.npy"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        parts, goal = folder / "killed" / "v.npy.parts", kills * 6 + 3
        while process.poll() is None and len(list(parts.glob("part-*.json"))) < goal:
            time.sleep(0.002)
        time.sleep(chance.random() * 0.02)
        process.kill()
        if process.wait() == 0:
            break
        kills += 1
        kept.add(len(list(parts.glob("part-*.json"))))
    assert kills >= 4
    assert len(kept) >= 4  # each run went on from where the one before it was
    assert digests(folder / "killed") == digests(folder / "straight")


def interrupt_after(fake, monkeypatch, calls: int) -> None:
    """Let the model raise KeyboardInterrupt at the call after `calls` parts, once."""
    encode, left = fake.Instructor.encode, [calls + 1]  # the probe is a call, too

    def stopping(self, *arguments, **options):
        if left[0] == 0:
            left[0] = -1
            raise KeyboardInterrupt
        left[0] -= 1
        return encode(self, *arguments, **options)

    monkeypatch.setattr(fake.Instructor, "encode", stopping)


def start(run, *arguments) -> None:
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 130


COMMAND = ("encode", "in.jsonl", "-o", "v.npy", "-m", "fake", "--part-size", 2)


def test_finished_parts_are_not_encoded_again(folder, run, fake, monkeypatch, capsys):
    interrupt_after(fake, monkeypatch, 3)
    start(run, *COMMAND)
    assert not (folder / "v.npy").exists()
    run(*COMMAND)
    assert [len(call) for call in fake.loaded[1].calls] == [1, 2, 2]  # the probe, and the two parts that were missing
    assert "6 of them from an earlier run" in capsys.readouterr().out


def test_rows_of_a_pipe_are_recognised_by_their_hash(folder, run, fails, fake, monkeypatch):
    def pipe(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    command = ("encode", "-", "--format", "jsonl", *COMMAND[2:])
    interrupt_after(fake, monkeypatch, 3)
    pipe(rows(10))
    start(run, *command)
    pipe(rows(10).replace("text 2", "TEXT 2"))
    assert "rows 3 to 4 of the input are not those of the unfinished run" in fails(*command)
    pipe(rows(10))
    run(*command)
    straight = digests(folder)
    pipe(rows(10))
    run(*command)  # complete already, which is told by the hash of all rows
    assert digests(folder) == straight
    pipe(rows(12))
    assert "another input" in fails(*command)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (["--batch-size", 8], "batch_size: None there, 8 now"),
        (["-i", "R: "], "instruction: None there, 'R: ' now"),
        (["--dtype", "bfloat16"], "dtype"),
        (["--part-size", 3], "part_size: 2 there, 3 now"),
        (["-m", "other"], "model: 'fake' there, 'other' now"),
        (["--id-column", "text"], "id_column"),
    ],
)
def test_other_options_are_refused(option, says, folder, run, fails, fake, monkeypatch):
    interrupt_after(fake, monkeypatch, 2)
    start(run, *COMMAND)
    before = digests(folder / "v.npy.parts")
    message = fails(*COMMAND, *option) if option[0] not in COMMAND else fails(*replaced(option))
    assert says in message
    assert "rm -r v.npy.parts" in message
    assert digests(folder / "v.npy.parts") == before
    run(*COMMAND)  # nothing was lost


def replaced(option: list) -> list:
    command = list(COMMAND)
    command[command.index(option[0]) + 1] = option[1]
    return command


def test_weights_that_were_replaced_under_the_same_name_are_noticed(folder, run, fails, fake, monkeypatch):
    interrupt_after(fake, monkeypatch, 2)
    start(run, *COMMAND)
    vector = fake.vector
    monkeypatch.setattr(fake, "vector", lambda name, instruction, text: vector("other", instruction, text))
    assert "made by another model" in fails(*COMMAND)


def test_another_machine_goes_on_with_a_warning(folder, run, fake, monkeypatch, caplog):
    interrupt_after(fake, monkeypatch, 2)
    start(run, *COMMAND)
    vector = fake.vector
    monkeypatch.setattr(fake, "vector", lambda *arguments: vector(*arguments) * (1 + 1e-6))
    run(*COMMAND)
    assert "rounds differently" in caplog.text


def test_an_input_that_became_shorter_is_noticed(folder, run, fails, fake, monkeypatch):
    interrupt_after(fake, monkeypatch, 4)
    start(run, *COMMAND)
    (folder / "in.jsonl").write_text(rows(4))
    assert "the input has 2 parts, the unfinished run in v.npy.parts had made 4" in fails(*COMMAND)


def test_parts_with_numbers_of_nine_digits_are_gone_on_with(folder, run, fake, monkeypatch):
    """Earlier versions wrote every float32 with nine digits and an exponent; what they began has the same vectors."""
    command = tuple("v.jsonl" if part == "v.npy" else part for part in COMMAND)
    interrupt_after(fake, monkeypatch, 3)
    start(run, *command)
    for part in sorted((folder / "v.jsonl.parts").glob("part-*.jsonl"))[:2]:
        lines = [json.loads(line) for line in part.read_text().splitlines()]
        numbers = [",".join(f"{number: .8e}" for number in line["embedding"]) for line in lines]
        ids = [json.dumps(line["id"]) for line in lines]
        old = [f'{{"id": {name}, "embedding": [{array}]}}\n' for name, array in zip(ids, numbers, strict=True)]
        part.write_text("".join(old))
        record = part.with_suffix(".json")
        record.write_text(json.dumps({**json.loads(record.read_text()), "bytes": part.stat().st_size}))
    run(*command)
    run(*(part if part != "v.npy" else "straight.npy" for part in COMMAND))
    read = [json.loads(line) for line in (folder / "v.jsonl").read_text().splitlines()]
    assert [line["id"] for line in read] == [str(k) for k in range(10)]
    vectors = np.array([line["embedding"] for line in read]).astype(np.float32)
    np.testing.assert_array_equal(vectors, np.load(folder / "straight.npy"))


def test_two_processes_do_not_write_the_same_parts(folder, fails):
    from instructor_jax.commands.encode.parts import PartStore
    from instructor_jax.commands.encode.vector_files import vector_format

    with PartStore(Path("v.npy"), vector_format(Path("v.npy")), {}):
        assert "another process is writing" in fails(*COMMAND)
