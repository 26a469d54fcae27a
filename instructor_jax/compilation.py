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
from typing import Any

import jax

from instructor_jax.processor import features_line, multiplies_bfloat16

logger: logging.Logger = logging.getLogger(__name__)

SWITCH = "INSTRUCTOR_JAX_CACHE"
_OFF = ("off", "0", "no", "none", "false")


def cache_folder() -> Path | None:
    """The folder of compiled programs; None when the cache is switched off, or there is no home folder for it."""
    value = os.environ.get(SWITCH, "").strip()
    if value.lower() in _OFF:
        return None
    if not value:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
        value = os.path.join(base, "instructor_jax", "xla")
    folder = Path(os.path.expanduser(value))  # Path's own raises for a user without home folder and passwd entry
    return None if str(folder).startswith("~") else folder.absolute()


@lru_cache
def enable_cache() -> None:
    """Points JAX at the cache folder, once a process, unless the caller already chose one.

    Encoding works without: a folder that cannot be made or written to is told once, as a logged warning, and so are (by
    JAX) files in it that are damaged; their programs are compiled again.
    """
    if jax.config.jax_compilation_cache_dir:  # pyright: ignore[reportAttributeAccessIssue]
        return
    folder = cache_folder()
    if folder is None:
        if os.environ.get(SWITCH, "").strip().lower() not in _OFF:
            logger.warning("no compilation cache: there is no home folder (set %s to a folder, or to 'off')", SWITCH)
        return
    try:
        folder = folder / _machine()
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
        filled = any(folder.iterdir())
    except OSError as error:
        logger.warning("no compilation cache: %s (set %s to another folder or to 'off')", error, SWITCH)
        return
    if not (writable or filled):
        logger.warning("no compilation cache: %s is not writable (set %s to another folder)", folder, SWITCH)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # A folder that is not writable is read: no compilation takes so long that its program would be written.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0 if writable else 1e9)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _machine() -> str:
    """A name for this kind of processor: programs compiled for a CPU must not reach a lesser one on a shared home."""
    return f"{platform.machine()}-{hashlib.sha256(features_line().encode()).hexdigest()[:12]}"


def computes_bfloat16(backend: str) -> bool:
    """Whether the processor multiplies bfloat16 itself; CPUs without such instructions only convert back and forth."""
    return backend != "cpu" or multiplies_bfloat16()


# How programs are compiled for CPUs, by the type of their products. XLA hands products and reductions to a library of
# kernels, YNNPACK; measured was whether it should have all, the reductions alone, or nothing ("docs/performance.md" has
# the machines and the rest of the figures, tokens a second of the base size on mixed lengths):
#
#   products    processor              XLA's own choice   the reductions alone
#   float32     Zen 4, jax 0.10.2      801, 814           823, 836
#   float32     Zen 4, jax 0.12.0      942, 894           936, 953
#   bfloat16    Zen 4, jax 0.10.2      1,288, 1,359       725, 744
#   bfloat16    Zen 4, jax 0.12.0      1,583, 1,615       810, 820
_CPU_OPTIONS = {
    "float32": {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE"},
    "bfloat16": {},
}


def compiler_options(backend: str, dtype: Any = "float32") -> dict[str, str]:
    """How all programs are compiled for this backend; empty where XLA's defaults are best, or it knows no better.

    Args:
        backend: "cpu", "gpu" or "tpu".
        dtype: type of the products, by name or as a type of NumPy or JAX.
    """
    if backend != "cpu":
        return {}
    narrow = jax.numpy.dtype(dtype) == jax.numpy.bfloat16 and multiplies_bfloat16()  # others compute it in float32
    wanted = _CPU_OPTIONS["bfloat16" if narrow else "float32"]
    return dict(wanted) if _known(tuple(wanted.items())) else {}


@lru_cache
def _known(options: tuple[tuple[str, str], ...]) -> bool:
    """Whether this XLA has the options; another version may have lost one."""
    if not options:
        return True
    try:
        jax.jit(lambda x: x + 1, compiler_options=dict(options)).lower(jax.ShapeDtypeStruct((1,), "float32")).compile()
    except Exception:
        return False
    return True


@lru_cache
def once_options(backend: str) -> dict[str, str]:
    """Returns how a program is compiled that runs once, such as the random initialisation of weights.

    XLA's highest level of optimisation on CPUs (3) takes 17 s of a core for the initialisation of two small layers,
    level 2 takes 3 s and gives the same bits (jaxlib 0.10.2, AMD EPYC). Other backends compile it fast.
    """
    return {"xla_backend_optimization_level": "2"} if backend == "cpu" else {}
