"""What is right and wrong with an installation: a list of findings, each with the command that mends it.

A finding is `broken` where encoding on some device cannot work, `note` where it works but not as one may expect.
"""

import dataclasses
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from instructor_jax.processor import usable_cpus
from instructor_jax.requirements import direct_requirements, installed_version, unmet_requirements

_PACKAGE = "instructor-jax"
_CUDA_PLUGINS = ("jax-cuda12-plugin", "jax-cuda13-plugin")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        section: heading it stands under.
        name: what was looked at.
        value: what was found.
        level: ok; note (works, but look at it); broken (encoding fails).
        mend: what to do or to run; empty where nothing is to be done.
    """

    section: str
    name: str
    value: str
    level: Literal["ok", "note", "broken"] = "ok"
    mend: str = ""


def system_findings() -> list[Finding]:
    """Python and the machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return [
        Finding("System", "python", f"{platform.python_version()} ({sys.executable})"),
        Finding("System", "platform", f"{platform.platform()}, {usable_cpus()} cores, {in_units(memory)} memory"),
    ]


def package_findings() -> list[Finding]:
    """Versions of what is always needed; what of it, or of what it needs in turn, is absent or of a wrong version."""
    version = installed_version(_PACKAGE)
    if version is None:
        mend = "install the package: pip install -e . in a checkout, or pip install instructor-jax"
        return [Finding("Packages", _PACKAGE, "not installed (its metadata is missing)", "broken", mend)]
    findings = [Finding("Packages", _PACKAGE, version)]
    for name in ["jaxlib", *(requirement.name for requirement in direct_requirements(_PACKAGE))]:
        needed = "".join(str(r.specifier) for r in direct_requirements(_PACKAGE) if r.name == name)
        found = installed_version(name)
        value = f"{found or 'absent'}{f'  (needs {needed})' if needed else ''}"
        findings.append(
            Finding(
                "Packages", name, value, "ok" if found else "broken", "" if found else f"pip install '{name}{needed}'"
            )
        )
    for line in unmet_requirements(_PACKAGE):
        requirement = line.split(" (", 1)[0]
        findings.append(Finding("Packages", "unmet", line, "broken", f"pip install '{requirement}'"))
    return findings


def extra_findings(extras: list[str]) -> list[Finding]:
    """Which extras are there; an absent one is no fault."""
    findings, always = [], unmet_requirements(_PACKAGE, transitive=False)
    for extra in extras:
        unmet = unmet_requirements(_PACKAGE, (extra,), transitive=False)
        missing = [line.split(" (", 1)[0] for line in unmet if line not in always]
        if missing:
            mend = f"pip install '{_PACKAGE}[{extra}]'"
            findings.append(Finding("Extras", extra, f"not complete: {', '.join(missing)}", "ok", mend))
        else:
            names = ", ".join(
                f"{r.name} {installed_version(r.name)}"
                for r in direct_requirements(_PACKAGE, extra)
                if r.name != _PACKAGE
            )
            findings.append(Finding("Extras", extra, names))
    return findings


def device_findings(
    probe: Mapping[str, Any], hardware: frozenset[str], environment: Mapping[str, str]
) -> list[Finding]:
    """What JAX computes on, and whether that is all the machine has.

    Args:
        probe: what `probe_devices` returned.
        hardware: accelerators that the machine has, of "nvidia" and "tpu".
        environment: the environment variables.
    """
    chosen = environment.get("JAX_PLATFORMS", "")
    if "error" in probe:
        flags = environment.get("XLA_FLAGS", "")
        if probe.get("aborted") and flags:  # XLA ends the process where it does not know a flag
            mend = f"unset XLA_FLAGS (it is {flags!r})"
        elif chosen:
            mend = f"unset JAX_PLATFORMS (it is {chosen!r})"
        else:
            mend = "pip install -U 'jax>=0.10,<0.13', or JAX_PLATFORMS=cpu"
        return [Finding("Devices", "jax", str(probe["error"]), "broken", mend)]
    findings = []
    for device in probe["devices"]:
        memory = f", {in_units(device['memory'])} memory" if device["memory"] else ""
        findings.append(Finding("Devices", device["platform"], f"{device['kind']}{memory}"))
    precision = probe["matmul_precision"] or "the device's (TF32 on GPUs, bfloat16 passes on TPUs)"
    value = f"{precision}; dtype float32 of this package always computes in full float32"
    findings.append(Finding("Devices", "matmul default", value))
    for kind, platforms, extra in (("nvidia", ("gpu", "cuda"), "cuda13"), ("tpu", ("tpu",), "tpu")):
        if kind not in hardware or probe["backend"] in platforms:
            continue
        value = f"the machine has one, but JAX computes on {probe['backend']}"
        if chosen and not set(platforms) & set(chosen.split(",")):
            mend = f"unset JAX_PLATFORMS (it is {chosen!r})"
        else:
            mend = f"pip install '{_PACKAGE}[{extra}]'"
        findings.append(Finding("Devices", kind, value, "note", mend))
    return findings


def clash_findings(hardware: frozenset[str], environment: Mapping[str, str]) -> list[Finding]:
    """Packages and variables that are known to get into each other's way."""
    findings = []
    plugins = [name for name in _CUDA_PLUGINS if installed_version(name)]
    for plugin in plugins:
        extra = plugin.removeprefix("jax-").removesuffix("-plugin")
        # The nvidia wheels are shared with torch, whose installation may have replaced them by older ones.
        unmet = [line for line in unmet_requirements("jax", (extra,)) if "nvidia" in line or "jax" in line]
        level = "broken" if "nvidia" in hardware else "note"  # without a GPU it compiles plans, and needs less
        findings += [Finding("Clashes", plugin, line, level, f"pip install -U 'jax[{extra}]'") for line in unmet]
    if len(plugins) > 1:
        mend = f"pip uninstall {plugins[0]} {plugins[0].replace('plugin', 'pjrt')}"
        findings.append(Finding("Clashes", "CUDA plugins", f"two are installed: {', '.join(plugins)}", "note", mend))
    library_path = environment.get("LD_LIBRARY_PATH", "")
    if plugins and "cud" in library_path.lower():
        value = f"LD_LIBRARY_PATH={library_path}: CUDA libraries there are loaded before those that JAX was built for"
        findings.append(Finding("Clashes", "LD_LIBRARY_PATH", value, "note", "unset LD_LIBRARY_PATH"))
    torch = installed_version("torch")
    if plugins and torch and "+cpu" not in torch:
        value = f"torch {torch} and JAX share the GPU in one process; JAX takes 75 % of its memory at the start"
        findings.append(Finding("Clashes", "torch", value, "note", "export XLA_PYTHON_CLIENT_PREALLOCATE=false"))
    if plugins and installed_version("tensorflow"):
        value = "tensorflow takes all GPU memory when it is first used"
        findings.append(
            Finding("Clashes", "tensorflow", value, "note", "pip uninstall tensorflow; pip install tensorflow-cpu")
        )
    if installed_version("libtpu") and "tpu" not in hardware and not environment.get("JAX_PLATFORMS"):
        value = "libtpu is installed on a machine without a TPU; JAX looks for one at every start"
        findings.append(Finding("Clashes", "libtpu", value, "note", "export JAX_PLATFORMS=cpu"))
    return findings


def accelerators() -> frozenset[str]:
    """Accelerators of this machine, by the files that their drivers make: of "nvidia" and "tpu"."""
    found = []
    if Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi"):
        found.append("nvidia")
    # A TPU host: accelN up to v4; later generations use vfio, which is used for other devices as well.
    if any(Path("/dev").glob("accel[0-9]*")) or (Path("/dev/vfio/0").exists() and installed_version("libtpu")):
        found.append("tpu")
    return frozenset(found)


def in_units(size: int | float) -> str:
    """A number of bytes for people, in binary units."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
