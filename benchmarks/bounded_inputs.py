"""Peak memory and time of inputs that are made to exhaust a machine: each must end in one line, soon, and stay small.

    python benchmarks/bounded_inputs.py
    python benchmarks/bounded_inputs.py --json bounded.json

Every case is a command of its own process under an address-space limit of 8 GiB and a time limit; printed are its peak
resident memory (which begins at what Python and NumPy take), its time, its exit code and what it said. The exit code is
1 where a command crashed, was killed, or said more than one line.
"""

import argparse
import gzip
import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMIT_BYTES, LIMIT_SECONDS = 8 << 30, 300
Case = Callable[[Path], list[str]]  # makes its files in a folder, and returns the command's arguments
CASES: dict[str, Case] = {}


def case(name: str) -> Callable[[Case], Case]:
    """Registers a case under a name."""

    def register(make: Case) -> Case:
        CASES[name] = make
        return make

    return register


def encode(path: Path | str, folder: Path) -> list[str]:
    """Arguments that encode a file with the packaged model."""
    return ["encode", str(path), "-o", str(folder / "out.npy")]


def model(folder: Path) -> Path:
    """A tiny model folder to damage."""
    subprocess.run([sys.executable, "-m", "instructor_jax", "create", str(folder / "model")], check=True, stdout=-3)
    return folder / "model"


def similarity(folder: Path) -> list[str]:
    """Arguments that load a model folder."""
    return ["similarity", "a", "b", "-m", str(folder)]


@case("endless device as input")
def _endless(folder: Path) -> list[str]:
    return encode("/dev/zero", folder)


@case("gzip of one line of 3 GB")
def _gzip(folder: Path) -> list[str]:
    with gzip.open(folder / "a.txt.gz", "wb", 1) as file:
        for _ in range(3 * 64):
            file.write(b"a" * (16 << 20))
    return encode(folder / "a.txt.gz", folder)


@case("CSV with an open quotation mark, 300 MB")
def _open_quote(folder: Path) -> list[str]:
    with (folder / "a.csv").open("wb") as file:
        file.write(b'id,text\n1,"')
        for _ in range(300):
            file.write(b"word " * (1 << 18) + b"\n")
    return encode(folder / "a.csv", folder)


@case("JSON line of nested lists, 30 MB")
def _nested(folder: Path) -> list[str]:
    (folder / "a.jsonl").write_bytes(b'{"text": ' + b"[" * (30 << 20))
    return encode(folder / "a.jsonl", folder)


@case("JSON line of 10 million empty lists")
def _lists(folder: Path) -> list[str]:
    (folder / "a.jsonl").write_bytes(b'{"text": [' + b"[]," * (10 << 20) + b"[]]}")
    return encode(folder / "a.jsonl", folder)


@case("Parquet whose 7 KB hold a cell of 200 MB")
def _parquet(folder: Path) -> list[str]:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"text": ["a" * (200 << 20)]})
    pyarrow.parquet.write_table(table, folder / "a.parquet", compression="zstd")
    return encode(folder / "a.parquet", folder)


@case("modules.json of 200 MB")
def _modules(folder: Path) -> list[str]:
    made = model(folder)
    (made / "modules.json").write_bytes(b"[" + b" " * (200 << 20) + b"]")
    return similarity(made)


@case("config.json with an absurd number of layers")
def _layers(folder: Path) -> list[str]:
    made = model(folder)
    config = json.loads((made / "config.json").read_text())
    config["num_layers"] = 10**12
    (made / "config.json").write_text(json.dumps(config))
    return similarity(made)


@case("safetensors whose header claims 2^60 bytes")
def _safetensors(folder: Path) -> list[str]:
    made = model(folder)
    (made / "model.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")
    return similarity(made)


@case("safetensors with a header of 90 MB")
def _header(folder: Path) -> list[str]:
    made = model(folder)
    header = json.dumps({"__metadata__": {"a": "x" * (90 << 20)}}).encode()
    (made / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    return similarity(made)


@case(".bin whose pickle has a million numbers and 64 MB of text")
def _pickle(folder: Path) -> list[str]:
    made = model(folder)
    (made / "model.safetensors").unlink()
    with zipfile.ZipFile(made / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", pickle.dumps({"a": [0] * (1 << 20), "b": "x" * (64 << 20)}, 2))
        file.writestr("archive/version", "3")
    return similarity(made)


@case("tokenizer.json of 300 MB")
def _tokenizer(folder: Path) -> list[str]:
    made = model(folder)
    content = json.loads((made / "tokenizer.json").read_text())
    content["padding_"] = "x" * (300 << 20)
    (made / "tokenizer.json").write_text(json.dumps(content))
    return similarity(made)


def measured(name: str) -> dict[str, Any]:
    """Runs a case in a process of its own; returns what it cost and said.

    Its files are made in another process: a new process begins with the peak memory of the one that started it.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make = [sys.executable, __file__, "--make", name, "--folder", place]
        made = subprocess.run(make, check=True, capture_output=True, text=True).stdout
        arguments = [sys.executable, "-m", "instructor_jax", *json.loads(made)]
        errors = folder / "errors"
        began = time.monotonic()
        with errors.open("wb") as file:
            program = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=file, preexec_fn=_limit)
            _, status, usage = os.wait4(program.pid, 0)
        said = errors.read_text(errors="replace").replace("\r", "\n").strip().splitlines()
        return {
            "megabytes": usage.ru_maxrss // 1024,
            "seconds": round(time.monotonic() - began, 1),
            "exit_code": os.waitstatus_to_exitcode(status),
            "said": [line for line in said if line.startswith("instructor-jax:")] or said[-1:],
        }


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_SECONDS, LIMIT_SECONDS))


def main() -> None:
    """Measures all cases, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--only", default="", help="only the cases whose name has this in it")
    parser.add_argument("--make", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["JAX_PLATFORMS"], os.environ["HF_HUB_OFFLINE"] = "cpu", "1"
    if options.make:
        print(json.dumps(CASES[options.make](options.folder)))
        return
    figures = {}
    for name in CASES:
        if options.only in name:
            figures[name] = found = measured(name)
            print(f"{name:<52} {found['megabytes']:>6} MB {found['seconds']:>6} s  exit {found['exit_code']}  ", end="")
            print(str(found["said"][0] if found["said"] else "")[:160], flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    if any(found["exit_code"] != 2 or len(found["said"]) != 1 for found in figures.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
