"""Bulk encoding in three ways, two of them with kills: plain, shards as processes, a Ray cluster on this machine.

    python benchmarks/bulk.py texts.txt --out bulk.json

Ray is needed (`pip install "instructor-jax[ray]"`). All outputs must have the bytes of the plain run. A part that was
finished before a kill must not be made again: its file is the same one, with the same time. Texts a second are those of
whole commands, start and compilation included; `--again` puts a second plain run after Ray's, since machines change.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import describe_machine

INSTRUCTION = "Represent the sentence for retrieval: "


@dataclasses.dataclass(frozen=True)
class Job:
    """What is encoded, and how.

    Attributes:
        texts: A file of a text a line.
        place: Where outputs lie.
        options: Further options of `encode`.
    """

    texts: Path
    place: Path
    options: tuple[str, ...]

    def start(self, name: str, *more: str) -> subprocess.Popen[str]:
        """Starts `encode` into an output of that name; what it says goes to a file beside it."""
        output = self.place / f"{name}.npy"
        command = [sys.executable, "-m", "instructor_jax", "encode", str(self.texts), "-o", str(output)]
        log = (self.place / f"{name}.log").open("a")
        return subprocess.Popen(
            [*command, "-i", INSTRUCTION, *self.options, *more], stdout=log, stderr=subprocess.STDOUT, text=True
        )

    def run(self, name: str, *more: str) -> float:
        """Runs `encode` to its end; returns the seconds.

        Raises:
            SystemExit: it failed.
        """
        began = time.monotonic()
        if code := self.start(name, *more).wait():
            sys.exit(f"{name} ended with {code}: {(self.place / f'{name}.log').read_text()[-2000:]}")
        return time.monotonic() - began

    def parts(self, name: str) -> dict[str, tuple[int, int]]:
        """Returns the finished parts of an unfinished output: name -> (inode, time)."""
        folder = self.place / f"{name}.npy.parts"
        return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in folder.glob("*.npy")}

    def digest(self, name: str) -> str:
        """Returns the SHA-256 of an output."""
        with (self.place / f"{name}.npy").open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def wait_for_parts(job: Job, name: str, count: int, programs: list[subprocess.Popen[str]]) -> None:
    """Waits until so many parts are finished."""
    while len(job.parts(name)) < count:
        if all(program.poll() is not None for program in programs):
            sys.exit(f"{name} ended early: {(job.place / f'{name}.log').read_text()[-2000:]}")
        time.sleep(0.2)


def kept_until_the_end(job: Job, name: str, program: subprocess.Popen[str], before: dict[str, tuple[int, int]]) -> int:
    """Waits for a program; returns how many of the parts from before it were never written again."""
    after = dict(before)
    while program.poll() is None:  # the parts are removed when all are joined
        after |= job.parts(name)
        time.sleep(0.02)
    return sum(after[part] == there for part, there in before.items())


def shards_with_kills(job: Job, parts: int) -> dict[str, Any]:
    """Four processes, two of them killed; the command without a share then finishes and joins."""
    began = time.monotonic()
    programs = [job.start("shards", "--shard", f"{index}/4") for index in range(4)]
    wait_for_parts(job, "shards", parts // 4, programs)
    for program in programs[1:3]:
        program.kill()
    codes = [program.wait() for program in programs]
    before = job.parts("shards")
    finishing = job.start("shards")
    kept = kept_until_the_end(job, "shards", finishing, before)
    return {"seconds": time.monotonic() - began, "codes": codes, "parts_before": len(before), "parts_kept": kept}


def actors() -> list[int]:
    """Returns the process ids of Ray's workers that encode."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                title = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if title.startswith("ray::") and "Map" in title:
                found.append(int(entry.name))
    return sorted(found)


def ray_with_kill(job: Job, parts: int, options: list[str]) -> dict[str, Any]:
    """Two actors, one of them killed in the middle."""
    began = time.monotonic()
    program = job.start("ray_killed", *options)
    wait_for_parts(job, "ray_killed", parts // 2, [program])
    before, running = job.parts("ray_killed"), actors()
    os.kill(running[0], signal.SIGKILL)
    kept = kept_until_the_end(job, "ray_killed", program, before)
    return {
        "seconds": time.monotonic() - began, "codes": [program.returncode], "actors": len(running),
        "parts_before": len(before), "parts_kept": kept,
    }  # fmt: skip


def main() -> None:
    """Runs everything once and compares the bytes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("texts", type=Path, help="a file with a text a line")
    parser.add_argument("--model", default="default", help="a folder or a name; by default the packaged model")
    parser.add_argument("--part-size", type=int, default=8192)
    parser.add_argument("--again", action="store_true", help="a second plain run, after Ray's")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with options.texts.open("rb") as lines:
        rows = sum(1 for _ in lines)
    parts = -(-rows // options.part_size)
    ray = ["--engine", "ray", "--workers", "2", "--cpus-per-worker", "1"]
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    results: dict[str, Any] = {"machine": describe_machine(), "rows": rows, "parts": parts}
    with tempfile.TemporaryDirectory() as folder:
        job = Job(options.texts, Path(folder), ("-m", options.model, "--part-size", str(options.part_size)))
        plain = [job.run("plain")]
        print(f"plain     {rows / plain[0]:.0f} texts/s", flush=True)
        results["ray"] = job.run("ray", *ray)
        print(f"ray       {rows / results['ray']:.0f} texts/s", flush=True)
        if options.again:
            plain.append(job.run("plain_again"))
        results["plain"] = plain
        overhead = results["ray"] / statistics.mean(plain) - 1
        print(f"plain     {rows / plain[-1]:.0f} texts/s; Ray takes {overhead:+.1%} (wanted at most +15 %)", flush=True)
        results["shards"] = shards_with_kills(job, parts)
        print(f"shards    {results['shards']}", flush=True)
        results["ray_killed"] = ray_with_kill(job, parts, ray)
        print(f"ray, one actor killed {results['ray_killed']}", flush=True)
        digests = {file.stem: job.digest(file.stem) for file in sorted(job.place.glob("*.npy"))}
        results["digests"] = digests
        equal = len(set(digests.values())) == 1
        print(f"bytes     {f'equal in all {len(digests)} outputs' if equal else digests}")
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    kept = all(results[name]["parts_kept"] == results[name]["parts_before"] for name in ("shards", "ray_killed"))
    sys.exit(0 if equal and kept else 1)


if __name__ == "__main__":
    main()
