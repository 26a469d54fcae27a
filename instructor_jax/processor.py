"""What this machine's processor can: how many CPUs there are, and their instruction sets by the names of Linux.

Other systems tell them in other ways, or not at all; there nothing is taken for granted, and what depends on an
instruction set does without it.
"""

import os
import platform
from collections.abc import Set
from functools import lru_cache
from pathlib import Path

# Instructions that multiply bfloat16 numbers: x86's two kinds, and Arm's.
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
_LINES = ("flags", "Features")  # of x86 and of Arm


def usable_cpus() -> int:
    """Returns how many CPUs this process may use, which is how many threads XLA starts in it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache
def features_line() -> str:
    """Returns the line in which Linux lists the first processor's instruction sets; elsewhere its name, or nothing."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(_LINES)), "")


def instruction_sets() -> frozenset[str]:
    """Returns the names of the instruction sets; empty where the system does not list them."""
    line = features_line()
    return frozenset(line.partition(":")[2].split()) if line.startswith(_LINES) else frozenset()


def multiplies_bfloat16(sets: Set[str] | None = None) -> bool:
    """Returns whether a processor multiplies bfloat16 itself; others only convert back and forth.

    Args:
        sets: Its instruction sets; None for those of this machine.
    """
    return bool(BFLOAT16 & (instruction_sets() if sets is None else sets))
