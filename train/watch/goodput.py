"""Where the time of a run goes: steps, waiting for input, compilation, saving, measuring, and what a restart lost.

The share of a run's time that its steps take, compilation, input and lost steps left out, is its goodput. Figures are
written to metrics.jsonl with every checkpoint, as seconds since the line before, so that they add up over restarts.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import jax

PARTS = ("steps", "input", "compilation", "saving", "measuring", "lost", "other")
_COMPILED = "/jax/core/compile/backend_compile_duration"


class Goodput:
    """Seconds by part since the last line."""

    def __init__(self, began: float, lost: float = 0.0) -> None:
        """
        Args:
            began: `time.perf_counter()` when the run was started, so that its preparation counts as other.
            lost: Seconds of steps after the checkpoint that the run goes on from, which are made again.
        """
        self._began, self._inside = began, 0.0
        self._compiled = _compilation()["seconds"]
        self._seconds = {"lost": lost}

    @contextlib.contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Counts the time of a block as of a part; its compilations count as compilation."""
        began, compiled = time.perf_counter(), _compilation()["seconds"]
        try:
            yield
        finally:
            taken = time.perf_counter() - began
            own = max(0.0, taken - (_compilation()["seconds"] - compiled))
            self._seconds[part] = self._seconds.get(part, 0.0) + own
            self._inside += own

    def line(self) -> dict[str, float]:
        """Returns the seconds by part since the last call."""
        now, compiled = time.perf_counter(), _compilation()["seconds"]
        compilation = compiled - self._compiled
        other = max(0.0, now - self._began - self._inside - compilation)
        found = {**self._seconds, "compilation": compilation, "other": other}
        self._began, self._inside, self._compiled, self._seconds = now, 0.0, compiled, {}
        return {part: round(found.get(part, 0.0), 3) for part in PARTS}


@cache
def _compilation() -> dict[str, float]:
    """Returns where the seconds of this process's compilations add up, from the first call on."""
    total = {"seconds": 0.0}

    def heard(event: str, duration_secs: float, **_: str | int) -> None:
        if event == _COMPILED:
            total["seconds"] += duration_secs

    jax.monitoring.register_event_duration_secs_listener(heard)
    return total


def lost_seconds(lines: Sequence[Mapping[str, Any]], start: int) -> float:
    """Returns the seconds of steps that a run makes again, of the lines of its metrics.

    Args:
        lines: Lines before the later ones are removed.
        start: Step that the run goes on from.
    """
    return float(sum(line["seconds"] for line in lines if line["step"] > start and "loss" in line))


def totals(lines: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Returns the seconds by part of a whole run, `restarts` and `goodput`; None where no line tells them."""
    told = [line["goodput"] for line in lines if isinstance(line.get("goodput"), dict)]
    if not told:
        return None
    seconds = {part: float(sum(one.get(part, 0.0) for one in told)) for part in PARTS}
    starts = {line["start"] for line in lines if "start" in line}
    whole = sum(seconds.values())
    return {**seconds, "restarts": float(max(0, len(starts) - 1)), "goodput": seconds["steps"] / max(whole, 1e-9)}
