"""Closed, full and broken streams, odd variables, names and signals: an exit code and at most one line, no traceback.

The cases run in children of one process that has imported the command already, because starting Python takes longer
than they do; what depends on the start of the interpreter itself runs in a process of its own.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..commands.conftest import FAKE

# Reads cases from standard input, runs each in a forked child, prints [exit code, standard output, standard error].
FORKER = """
import importlib.util, io, json, os, signal, sys, tempfile
spec = importlib.util.spec_from_file_location("fake", sys.argv[1])
sys.modules["instructor_jax.embedder"] = fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)
import cyclopts, rich.console, numpy
from instructor_jax import cli
from instructor_jax.commands import encode, search, similarity, create

def target(kind, path):
    if kind == "full":
        return os.open("/dev/full", os.O_WRONLY)
    if kind == "pipe":
        reader, writer = os.pipe()
        os.close(reader)
        return writer
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)

def run(case, out, err):
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 99
    try:
        os.environ.update(case.get("env", {}))
        encoding = case.get("encoding", "utf-8")
        for number, kind, path in ((1, case.get("stdout"), out), (2, case.get("stderr"), err)):
            os.dup2(target(kind, path), number)
        sys.stdout = io.TextIOWrapper(open(1, "wb", closefd=False), encoding)
        sys.stderr = io.TextIOWrapper(open(2, "wb", closefd=False), encoding, errors="backslashreplace")
        if "gone" in case:
            os.mkdir("gone"); os.chdir("gone"); os.rmdir("../gone")
        exec(case.get("before", ""))
        try:
            cli.main(case["arguments"])
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        sys.stdout.flush(); sys.stderr.flush()
    except BaseException as error:
        os.write(2, f"Traceback {error!r}".encode())
    os._exit(code)

results = []
for case in json.load(sys.stdin):
    out, err = tempfile.mktemp(), tempfile.mktemp()
    code = run(case, out, err)
    texts = [open(p, "rb").read().decode(errors="surrogateescape") if os.path.exists(p) else "" for p in (out, err)]
    results.append([code, *texts])
print(json.dumps(results))
"""

PAIR = ["similarity", "a cat", "ä 日本", "-m", "fake"]
THREE = ["similarity", "a cat", "ä 日本 🙂", "c", "-m", "fake"]
FIND = ["search", "t.txt", "-q", "one", "-m", "fake"]
MAKE = ["encode", "t.txt", "-m", "fake", "-o"]
VERBS = ["encode", "search", "similarity", "create"]


def raising(error: str) -> str:
    """Code that lets every model raise."""
    return f"def f(*a, **b): raise {error}\nfake.Instructor.from_pretrained = f"


# name: (case, exit code, what standard error says, or None where it is not looked at)
CASES: dict[str, tuple[dict[str, Any], int, str | None]] = {
    **{
        f"help of {verb}, full": ({"arguments": [verb, "--help"], "stdout": "full"}, 2, "No space left")
        for verb in VERBS
    },
    **{f"help of {verb}, pipe": ({"arguments": [verb, "--help"], "stdout": "pipe"}, 141, "") for verb in VERBS},
    "version, full": ({"arguments": ["--version"], "stdout": "full"}, 2, "standard output: No space left on device"),
    "version, pipe": ({"arguments": ["--version"], "stdout": "pipe"}, 141, ""),
    "pair, full": ({"arguments": PAIR, "stdout": "full"}, 2, "standard output: No space left on device"),
    "pair, pipe": ({"arguments": PAIR, "stdout": "pipe"}, 141, ""),
    "matrix, pipe": ({"arguments": THREE, "stdout": "pipe"}, 141, ""),
    "json, full": ({"arguments": [*THREE, "--json"], "stdout": "full"}, 2, "standard output: No space left on device"),
    "search, pipe": ({"arguments": FIND, "stdout": "pipe"}, 141, None),
    "search, full": ({"arguments": FIND, "stdout": "full"}, 2, "standard output: No space left on device"),
    "encode, pipe": ({"arguments": [*MAKE, "pipe.npy"], "stdout": "pipe"}, 141, None),
    "an error to a pipe": ({"arguments": ["nonsense"], "stderr": "pipe"}, 2, None),
    "an error to a full disk": ({"arguments": ["nonsense"], "stderr": "full"}, 2, None),
    "both gone": ({"arguments": ["nonsense"], "stderr": "pipe", "stdout": "pipe"}, 2, None),
    "ascii": ({"arguments": PAIR, "encoding": "ascii"}, 0, ""),
    "latin 1": ({"arguments": THREE, "encoding": "latin-1"}, 0, ""),
    "ascii, json": ({"arguments": [*THREE, "--json"], "encoding": "ascii"}, 0, ""),
    "ascii, error": ({"arguments": ["encode", "日本.txt", "-o", "v.npy"], "encoding": "ascii"}, 2, "No such file"),
    **{
        f"COLUMNS={value}": ({"arguments": THREE, "env": {"COLUMNS": value}}, 0, "")
        for value in ("1", "0", "abc", "-5", "1000000000", "9" * 400, "²", " ")
    },
    **{
        f"help, COLUMNS={value}": ({"arguments": ["encode", "--help"], "env": {"COLUMNS": value}}, 0, "")
        for value in ("1", "abc", "1000000000")
    },
    "no home": ({"arguments": PAIR, "env": {"HOME": ""}}, 0, ""),
    "TMPDIR that is not there": ({"arguments": PAIR, "env": {"TMPDIR": "/absent"}}, 0, ""),
    "folder gone": ({"arguments": [*MAKE, "v.npy"], "gone": 1}, 2, "the current folder does not exist any more"),
    "a newline in a name": (
        {"arguments": ["encode", "a\nb\x1b[1m", "-o", "v.npy"]},
        2,
        "no file fits the pattern a b\\x1b[1m",
    ),
    "a leading dash": ({"arguments": ["encode", "-o", "dash.npy", "-m", "fake", "--", "-x.txt"]}, 0, None),
    "a name that is no UTF-8": (
        {"arguments": ["encode", "\udcff.txt", "-o", "v.npy", "-m", "fake"]},
        2,
        "\\udcff.txt: No",
    ),
    "a name too long": (
        {"arguments": ["encode", "x" * 300 + ".txt", "-o", "v.npy", "-m", "fake"]},
        2,
        "File name too long",
    ),
    "an output too long": ({"arguments": [*MAKE, "x" * 253 + ".npy"]}, 2, "File name too long"),
    "a model too long": ({"arguments": ["similarity", "a", "b", "-m", "m" * 5000]}, 2, "File name too long"),
    "a zero byte": ({"arguments": ["encode", "a\0b.txt", "-o", "v.npy", "-m", "fake"]}, 2, "null byte"),
    "an empty model": ({"arguments": ["similarity", "a", "b", "-m", ""]}, 2, "no model ''"),
    "an unset variable": ({"arguments": ["encode", "", "-o", "v.npy", "-m", "fake"]}, 2, ""),
    "a folder as input": (
        {"arguments": ["encode", ".", "-o", "/tmp/v.npy", "-m", "fake", "--format", "txt"]},
        2,
        "which is no table; give a folder of tables alone",
    ),
    "no memory": ({"arguments": PAIR, "before": raising("MemoryError()")}, 2, "out of memory"),
    "no device memory": (
        {"arguments": PAIR, "before": raising("RuntimeError('RESOURCE_EXHAUSTED: 9 bytes')")},
        2,
        "out of memory: RESOURCE",
    ),
    "no such backend": (
        {
            "arguments": PAIR,
            "env": {"JAX_PLATFORMS": "cuda"},
            "before": raising("RuntimeError(\"Unable to initialize backend 'cuda'\")"),
        },
        2,
        "unset JAX_PLATFORMS (it is 'cuda') or set it to cpu; for NVIDIA GPUs pip install 'instructor-jax[cuda13]'",
    ),
    "no file descriptors": (
        {"arguments": PAIR, "before": raising("OSError(24, 'Too many open files', 'a.bin')")},
        2,
        "a.bin: Too",
    ),
    "an end of file": ({"arguments": PAIR, "before": raising("EOFError('cut')")}, 2, "cut"),
    "too deep": ({"arguments": PAIR, "before": raising("RecursionError()")}, 2, "nests too deeply"),
    "text that is no text": (
        {"arguments": PAIR, "before": raising("UnicodeDecodeError('utf-8', b'a', 0, 1, 'odd')")},
        2,
        "odd",
    ),
    "a bug": (
        {"arguments": PAIR, "before": raising("KeyError('x')")},
        70,
        "this is a bug, please report it: KeyError: 'x'",
    ),
    "a panic": (
        {
            "arguments": PAIR,
            "before": "class PanicException(BaseException): pass\nfake.P = PanicException\n" + raising("fake.P('p')"),
        },
        70,
        "this is a bug, please report it: PanicException: p",
    ),
    "interrupted while loading": (
        {"arguments": PAIR, "before": raising("KeyboardInterrupt")},
        130,
        "interrupted; run the same",
    ),
    "an exit code of a verb's own": ({"arguments": PAIR, "before": raising("SystemExit(75)")}, 75, ""),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    folder = tmp_path_factory.mktemp("streams")
    (folder / "t.txt").write_text("one\ntwo\n")
    (folder / "-x.txt").write_text("one\n")
    process = subprocess.run(
        [sys.executable, "-c", FORKER, str(FAKE)],
        input=json.dumps([case for case, _, _ in CASES.values()]),
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return dict(zip(CASES, json.loads(process.stdout), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_the_exit_code_and_the_line(name, results):
    _, expected, says = CASES[name]
    code, _, errors = results[name]
    assert "Traceback" not in errors
    assert code == expected, errors
    if says is None:
        return
    lines = [line for line in errors.replace("\r", "\n").split("\n") if line.strip()]
    lines = [line for line in lines if not line.startswith(("encode:", "search:"))]
    if expected in (2, 70, 130):
        assert len(lines) == 1
        assert lines[0].startswith("instructor-jax: ")
        assert says in lines[0]
    else:
        assert lines == []


def test_other_encodings_escape_what_they_do_not_have(results):
    assert "\\xe4 \\u65e5\\u672c" in results["ascii"][1]
    assert json.loads(results["ascii, json"][1])["texts"][1] == "ä 日本 🙂"


def test_lines_stay_short_whatever_columns_says(results):
    for name in results:
        if "COLUMNS=" in name:
            assert 0 < max(map(len, results[name][1].split("\n"))) <= 1000


def shell(command: str, cwd: Path) -> tuple[int, str]:
    """Run a line of a shell; its exit code and standard error."""
    line = command.replace("IJ", f'"{sys.executable}" -m instructor_jax')
    result = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=cwd, check=False)
    return result.returncode, result.stderr


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("IJ --version >&-", 0, ""),
        ("IJ --version <&- >&- 2>&-", 0, ""),
        ("IJ nonsense 2>&-", 2, ""),
        ("IJ encode - -o v.npy <&-", 2, "standard input is closed"),
        ("IJ --help > /dev/full", 2, "No space left on device"),
    ],
)
def test_streams_that_are_closed_at_the_start(command, code, says, tmp_path):
    found, errors = shell(command, tmp_path)
    assert found == code
    assert "Traceback" not in errors
    assert says in errors
    assert errors.count("\n") == (1 if says else 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)])
def test_a_signal_while_encoding_leaves_a_run_to_go_on_from(number, code, tmp_path):
    (tmp_path / "t.txt").write_text("text\n" * 2000)
    command = [sys.executable, str(FAKE), "encode", "t.txt", "-o", "v.npy", "-m", "slow", "--part-size", "10"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("v.npy.parts/part-*.json")):
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == code
    assert "Traceback" not in errors
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert np.load(tmp_path / "v.npy").shape == (2000, 24)
    assert sorted(os.listdir(tmp_path)) == ["t.txt", "v.npy", "v.npy.json"]
