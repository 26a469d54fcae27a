"""Researchers sit at Macs: nothing that only Linux has at import, or in a plain `encode`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from house import imports, sources

# Modules of Python's standard library that Windows lacks; /proc is what macOS lacks.
UNIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
KNOWN: set[str] = set()

PROGRAM = """
import builtins, sys

ordinary = builtins.__import__

def guarded(name, globals=None, *rest, **named):
    if name in {blocked} and str((globals or {{}}).get("__name__", "")).startswith("instructor_jax"):
        raise ImportError(f"this system has no {{name}}")
    return ordinary(name, globals, *rest, **named)

def without_proc(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith("/proc"):
        raise FileNotFoundError(arguments[0])

builtins.__import__ = guarded
sys.addaudithook(without_proc)
from instructor_jax import Instructor

vectors = Instructor.from_pretrained({folder!r}).encode(["a text", ["Represent the text: ", "and another"]])
print(vectors.shape, vectors.dtype)
"""


@pytest.mark.slow
def test_a_plain_encode_needs_neither_fcntl_nor_proc(tiny_folder: Path) -> None:
    program = PROGRAM.format(blocked=UNIX_ONLY, folder=str(tiny_folder))
    environment = {**os.environ, "XLA_FLAGS": ""}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "(2, 48) float32\n"), done.stderr


def test_no_file_imports_what_only_unix_has(repository: Path) -> None:
    found = {
        f"{file.relative_to(repository).as_posix()} imports {name}"
        for file in sources(repository)
        for name, early in imports(file, repository)
        if early and name in UNIX_ONLY
    }
    assert found <= KNOWN
