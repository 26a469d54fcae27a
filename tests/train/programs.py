"""The train command as programs of their own: one or several processes, with so many CPU devices each."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from instructor_jax.train.run.metrics_file import read_lines

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
    "mixture.max_examples=0",
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
    data: Path | str,
    output: Path | str,
    settings: Sequence[str] = (),
    devices: int = 1,
    flags: Sequence[str] = (),
    cache: Path | None = None,
    variables: Mapping[str, str] = MappingProxyType({}),
    launcher: Sequence[str] = (sys.executable,),
    folder: Path | None = None,
) -> subprocess.Popen[str]:
    """Starts a program; `settings` come after the common ones. Programs with one `cache` compile once.

    `variables` are added to its environment; `launcher` runs a module, as Python does and torchrun. The program works
    in `folder`.
    """
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        # of a flag that is given twice, the last one holds
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}",
        "INSTRUCTOR_JAX_CACHE": "off" if cache is None else str(cache),
        **variables,
    }
    if cache is not None:
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)  # that of the test run, which comes first
    command = [*launcher, "-m", "instructor_jax", "train", "tiny", f"data={data}", f"output={output}"]
    return subprocess.Popen(
        [*command, *SETTINGS, *settings, *flags],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def start_several(
    data: Path,
    output: Path | str,
    settings: Sequence[str],
    processes: int,
    devices: int,
    own: Mapping[int, Sequence[str]] = MappingProxyType({}),
    folders: Sequence[Path | None] = (),
) -> list[subprocess.Popen[str]]:
    """Starts the processes of one run; `own` are settings of single processes, `folders` where each works."""
    common = ["--coordinator", f"localhost:{free_port()}", "--processes", str(processes)]
    return [
        start(
            data, output, [*settings, *own.get(index, ())], devices, [*common, "--process", str(index)], folder=folder
        )
        for index, folder in enumerate(folders or [None] * processes)
    ]


def start_under_slurm(
    data: Path, output: Path, settings: Sequence[str], processes: int, devices: int
) -> list[subprocess.Popen[str]]:
    """Starts the processes of one run as `srun` does: one command, and variables that tell who is who."""
    common = {
        "SLURM_JOB_ID": str(_free_slurm_job()),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_NTASKS": str(processes),
    }
    return [
        start(
            data,
            output,
            settings,
            devices,
            variables={**common, "SLURM_PROCID": str(index), "SLURM_LOCALID": str(index)},
        )
        for index in range(processes)
    ]


def start_under_torchrun(
    data: Path, output: Path, settings: Sequence[str], processes: int, devices: int
) -> subprocess.Popen[str]:
    """Starts torchrun, which starts the processes of one run."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    return start(data, output, settings, devices, launcher=[*launcher, "--master-port", str(free_port())])


def start_on_tpu_vms(
    data: Path, output: Path, settings: Sequence[str], metadata: Sequence[str], devices: int
) -> list[subprocess.Popen[str]]:
    """Starts one command on the hosts of a slice, each with the address of its metadata server, and CPUs for chips."""
    common = {"JAX_FORCE_TPU_INIT": "1", "JAX_COORDINATOR_PORT": str(free_port())}
    launcher = (sys.executable, str(Path(__file__).parent / "cluster" / "as_on_a_tpu_vm.py"))
    return [
        start(data, output, settings, devices, variables={**common, "GCE_METADATA_IP": address}, launcher=launcher)
        for address in metadata
    ]


def _free_slurm_job() -> int:
    """A job's number whose port is free; JAX takes port 61440 + number modulo 4096."""
    for number in range(os.getpid() % 4000, 4096):
        with contextlib.suppress(OSError):
            return free_port(61440 + number) - 61440
    raise RuntimeError("no free port")


def free_port(port: int = 0) -> int:
    """A port of this machine that nobody listens on: the one given, if it is one, or any."""
    with socket.socket() as free:
        free.bind(("localhost", port))
        return free.getsockname()[1]


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


def wait_for_step(output: Path, step: int, programs: Sequence[subprocess.Popen[str]]) -> None:
    """Waits until a run that these programs make has told a step."""
    lines = output / "metrics.jsonl"
    while not lines.is_file() or (losses(output) or [(0, 0.0)])[-1][0] < step:
        assert all(program.poll() is None for program in programs)
        time.sleep(0.05)


def stopped_after(killed: float, others: Sequence[subprocess.Popen[str]], most: float) -> float:
    """Seconds after which the others of a killed process had stopped, each with a message of what happened.

    `killed` is the time of the kill, by `time.monotonic`; `most` the seconds that each may take.
    """
    for other in others:
        printed = other.communicate(timeout=most)[0]
        assert other.returncode != 0
        # ours where a collective breaks; JAX's own where the first process is gone, which ends the others at once
        assert "Another process of the run may be gone" in printed or "another task died" in printed
    return time.monotonic() - killed
