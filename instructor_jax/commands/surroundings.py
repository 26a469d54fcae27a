"""What `doctor` says of the surroundings: folders of caches, and the environment variables that change something."""

import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instructor_jax.commands.diagnosis import Finding, in_units
from instructor_jax.io.printable import without_secrets

_SHOWN_VARIABLES = (
    "JAX_",
    "XLA_",
    "HF_",
    "TF_FORCE_",
    "CUDA_VISIBLE_DEVICES",
    "TPU_",
    "LD_LIBRARY_PATH",
    "INSTRUCTOR_JAX_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
)
_SECRET = ("TOKEN", "KEY", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "AUTH")


def cache_findings(environment: Mapping[str, str], probe: Mapping[str, Any]) -> list[Finding]:
    """The folders of downloaded models and, where JAX starts and can tell, of compiled programs."""
    # os.path.expanduser leaves "~" where nobody knows a home folder, as in a container; Path's raises.
    home = environment.get("HF_HOME", "~/.cache/huggingface")
    hub = Path(os.path.expanduser(environment.get("HF_HUB_CACHE", f"{home}/hub")))
    findings = [_folder_finding("models (hub)", hub, "export HF_HOME=a folder you can write")]
    if environment.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE"):
        value = "set: only models in the cache are found"
        findings.append(Finding("Caches", "HF_HUB_OFFLINE", value, "note", "unset HF_HUB_OFFLINE"))
    if probe.get("programs"):
        mend = "export INSTRUCTOR_JAX_CACHE=a folder you can write"
        findings.append(_folder_finding("compiled programs", Path(probe["programs"]), mend))
    elif "error" not in probe:
        value = "switched off: every start compiles again"
        findings.append(Finding("Caches", "compiled programs", value, "note", "unset INSTRUCTOR_JAX_CACHE"))
    return findings


def environment_findings(environment: Mapping[str, str]) -> list[Finding]:
    """The variables that change what happens, where they are set; secrets, also those in addresses, are not shown."""
    return [
        Finding("Environment", name, shown_variable(name, value))
        for name, value in sorted(environment.items())
        if name.upper().startswith(_SHOWN_VARIABLES)
    ]


def shown_variable(name: str, value: str) -> str:
    """The value of a variable for a report: of a secret only that it is set, of an address without its password."""
    if any(word in name.upper() for word in _SECRET):
        return "(set)"
    if name.upper().endswith("_PROXY") and "://" not in value and "@" in value:  # name:password@host, as curl takes it
        return f"(hidden)@{value.rpartition('@')[2]}"
    return without_secrets(value)


def _folder_finding(name: str, folder: Path, mend: str) -> Finding:
    try:
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        size = sum(_size(file) for file in folder.rglob("*"))
        free = in_units(shutil.disk_usage(existing).free)
    except OSError as error:
        return Finding("Caches", name, f"{folder}: {error.strerror or error}", "note", mend)
    value = f"{folder} ({in_units(size)} used, {free} free)"
    if not os.access(existing, os.W_OK):
        return Finding("Caches", name, f"{value}; cannot be written", "note", mend)
    return Finding("Caches", name, value)


def _size(path: Path) -> int:
    """Bytes of a file; none for a link or folder, or for what another process has just removed."""
    try:
        status = path.lstat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
