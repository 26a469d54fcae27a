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
    return f"{platform.machine()}-{hashlib.sha256(_cpu_features().encode()).hexdigest()[:12]}"


@lru_cache
def _cpu_features() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def computes_bfloat16(backend: str) -> bool:
    """Whether the processor multiplies bfloat16 itself; CPUs without such instructions only convert back and forth."""
    return backend != "cpu" or bool({"avx512_bf16", "amx_bf16", "bf16"} & set(_cpu_features().split()))


@lru_cache
def compiler_options(backend: str) -> dict[str, str]:
    """How all programs are compiled for this backend; empty where XLA's defaults are best, or it knows no better.

    On CPUs XLA hands products and reductions to a newer library (YNNPACK), which is better at the reductions of a
    softmax but not at the products: on an AVX-512 machine [2048, 768] x [768, 768] ran at 75 to 100 GFLOP/s a core by
    it and at 115 to 120 by the older one. So it gets the reductions alone.
    """
    if backend != "cpu":
        return {}
    options = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE"}
    try:
        jax.jit(lambda x: x + 1, compiler_options=options).lower(jax.ShapeDtypeStruct((1,), "float32")).compile()
    except Exception:  # an XLA that no longer has the option
        return {}
    return options


@lru_cache
def once_options(backend: str) -> dict[str, str]:
    """Returns how a program is compiled that runs once, such as the random initialisation of weights.

    XLA's highest level of optimisation on CPUs (3) takes 17 s of a core for the initialisation of two small layers,
    level 2 takes 3 s and gives the same bits (jaxlib 0.10.2, AMD EPYC). Other backends compile it fast.
    """
    return {"xla_backend_optimization_level": "2"} if backend == "cpu" else {}
