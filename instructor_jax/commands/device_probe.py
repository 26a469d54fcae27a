"""What JAX sees, printed as one JSON object by a process of its own: `python -m instructor_jax.commands.device_probe`.

A process of its own, because starting a backend may abort the process or hang (a TPU that another process holds).
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from instructor_jax.io.json_files import Fields, parse_json
from instructor_jax.io.printable import one_line


def probe_devices(timeout: float = 120.0) -> Mapping[str, Any]:
    """Start JAX in another process and multiply two matrices there.

    Args:
        timeout: seconds to wait for it.

    Returns:
        {"backend", "devices": [{"kind", "platform", "memory"}], "matmul_precision", "programs": folder of
        compiled programs or None}, or {"error": one line, "aborted": whether the process was ended by a signal}.
    """
    command = [sys.executable, "-m", "instructor_jax.commands.device_probe"]
    try:
        result = subprocess.run(command, capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"JAX did not start within {timeout:.0f} s; does another process hold the device?"}
    if result.returncode != 0:
        return {"error": f"{_told(result.stderr)} (exit code {result.returncode})", "aborted": result.returncode < 0}
    try:
        return Fields(parse_json(result.stdout.splitlines()[-1], "the report of JAX"), "the report of JAX").content
    except (ValueError, IndexError):
        return {"error": "JAX started and said nothing that can be read"}


def _told(stderr: bytes) -> str:
    """The line that says why: of an abort the first one, before the addresses in memory; otherwise the last one."""
    lines = [line.strip() for line in stderr.decode("utf-8", errors="replace").splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith("F") or "Unknown flag" in line]
    return one_line((fatal or lines[-1:] or ["no message"])[0])


def _describe_devices() -> dict[str, Any]:
    import jax
    import jax.numpy as jnp

    from instructor_jax.compilation import cache_folder

    ones = jnp.ones((128, 128))
    product = float((ones @ ones).sum())
    if product != 128.0**3:
        raise RuntimeError(f"a product of matrices of ones is wrong: {product}, should be {128.0**3}")
    devices = []
    for device in jax.devices():
        statistics = device.memory_stats() or {}
        devices.append(
            {"kind": device.device_kind, "platform": device.platform, "memory": statistics.get("bytes_limit")}
        )
    programs = cache_folder()
    return {
        "programs": None if programs is None else str(programs),
        "backend": jax.default_backend(),
        "devices": devices,
        "matmul_precision": jax.config.values["jax_default_matmul_precision"],
    }


if __name__ == "__main__":
    try:
        description = _describe_devices()
    except Exception as error:  # whatever it is, it is the finding
        description = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    print(json.dumps(description))
