"""The machine that is measured, and how much of it other processes took meanwhile.

A shared machine makes every figure doubtful; the share that others took stands beside each measurement, so that the
reader can judge it.
"""

import importlib.metadata
import os
import platform
import time
from pathlib import Path
from typing import Any

_PACKAGES = (
    "instructor-jax",
    "jax",
    "jaxlib",
    "flax",
    "numpy",
    "tokenizers",
    "torch",
    "transformers",
    "sentence-transformers",
    "onnxruntime",
    "openvino",
)
# The instructions that decide how fast matrix products run in float32, bfloat16 and int8.
_FLAGS = (
    "avx2",
    "avx512f",
    "avx_vnni",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_bf16",
    "bf16",
    "sve",
)


def describe_machine() -> dict[str, Any]:
    """Processor, memory, load and versions, as JSON values."""
    cpu = _cpu_info()
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "time": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpu": cpu.get("model name", platform.processor() or platform.machine()),
        "cpu_flags": [flag for flag in _FLAGS if flag in cpu.get("flags", cpu.get("Features", "")).split()],
        "cores": available,
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "versions": {name: _version(name) for name in _PACKAGES},
    }


class Clock:
    """Starts when it is made, and tells what has passed since."""

    def __init__(self) -> None:
        self._busy, self._cpu, self._wall = _busy_seconds(), time.process_time(), time.perf_counter()

    def read(self) -> tuple[float, float, float | None]:
        """Seconds passed, this process's CPU seconds, and how many processors others kept busy on average.

        The last is None where the system does not tell.
        """
        wall, cpu, busy = time.perf_counter() - self._wall, time.process_time() - self._cpu, _busy_seconds()
        others = None if busy is None or self._busy is None else max(0.0, busy - self._busy - cpu) / wall
        return wall, cpu, others


def _busy_seconds() -> float | None:
    """CPU seconds that all processes of the machine used since it started, what the hypervisor took included."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    except OSError:
        return None  # not Linux
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _cpu_info() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
