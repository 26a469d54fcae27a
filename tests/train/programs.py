"""The train command as programs of their own: one or several processes, with so many CPU devices each."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from instructor_jax.train.journal import read_lines

SETTINGS = (
    "model.encoder.vocab=90",
    "model.encoder.embed=16",
    "model.encoder.heads=2",
    "model.encoder.head_dim=8",
    "model.encoder.ffn=32",
    "model.projection=8",
    "model.max_length=32",
    "batch.groups=8",
    "batch.rows=8",
    "batch.length=64",
    "mixture.cap=0",
    "mixture.temperature=1",
    "loss.temperature=0.1",
    "optimizer.learning_rate=1e-4",
    "optimizer.warmup_steps=5",
    "log.every=1",
    "log.tensorboard=false",
    "held_out.rows=4",
    "held_out.every=50",
)


def start(
    data: Path,
    output: Path,
    settings: Sequence[str] = (),
    devices: int = 1,
    flags: Sequence[str] = (),
    cache: Path | None = None,
) -> subprocess.Popen[str]:
    """Starts a program; `settings` come after the common ones. Programs with one `cache` compile once."""
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "INSTRUCTOR_JAX_CACHE": "off" if cache is None else str(cache),
    }
    command = [sys.executable, "-m", "instructor_jax", "train", "tiny", f"data={data}", f"output={output}"]
    return subprocess.Popen(
        [*command, *SETTINGS, *settings, *flags],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def start_several(
    data: Path, output: Path, settings: Sequence[str], processes: int, devices: int
) -> list[subprocess.Popen[str]]:
    """Starts the processes of one run."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    common = ["--coordinator", f"localhost:{port}", "--processes", str(processes)]
    return [start(data, output, settings, devices, [*common, "--process", str(index)]) for index in range(processes)]


def finish(*programs: subprocess.Popen[str], seconds: float = 900.0) -> list[str]:
    """Waits for programs, which must succeed; what they printed."""
    printed = []
    for program in programs:
        try:
            printed.append(program.communicate(timeout=seconds)[0])
        finally:
            program.kill()
    for program, text in zip(programs, printed, strict=True):
        assert program.returncode == 0, text
    return printed


def losses(output: Path) -> list[tuple[int, float]]:
    """Step and loss of every step, in the order of the file."""
    return [(line["step"], line["loss"]) for line in read_lines(output / "metrics.jsonl") if "loss" in line]
