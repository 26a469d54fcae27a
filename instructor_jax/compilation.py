"""The persistent compilation cache, and how JAX compiles on CPUs.

The cache is on by default, also for short compilations (JAX's own threshold of a second would leave it empty here), in
`~/.cache/instructor_jax/xla`. `INSTRUCTOR_JAX_CACHE=off` switches it off, any other value is another folder; a folder
that the caller gave JAX is left alone.
"""

import hashlib
import logging
import os
import platform
from functools import lru_cache
from pathlib import Path

import jax

logger = logging.getLogger(__name__)

SWITCH = "INSTRUCTOR_JAX_CACHE"


def cache_folder() -> Path | None:
    """The folder of compiled programs; None when the cache is switched off."""
    value = os.environ.get(SWITCH, "")
    if value.lower() in ("off", "0", "no", "none"):
        return None
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(value).expanduser() if value else base / "instructor_jax" / "xla"


@lru_cache
def enable_cache() -> None:
    """Points JAX at the cache folder, once a process, unless the caller already chose one."""
    folder = cache_folder()
    if folder is None or jax.config.jax_compilation_cache_dir:
        return
    try:
        folder = folder / _machine()
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        logger.warning("no compilation cache: %s (set %s to another folder or to 'off')", error, SWITCH)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _machine() -> str:
    """A name for this kind of processor: programs compiled for a CPU must not reach a lesser one on a shared home."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        features = platform.processor()
    return f"{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:12]}"


def compiler_options(platform: str) -> dict[str, str]:
    """How programs for this platform are compiled; empty where XLA's defaults are best."""
    return {}
