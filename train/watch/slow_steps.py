"""Steps that take much longer than those before them: told in the log, with how much longer."""

import statistics
from collections import deque

_REMEMBERED = 64
_ENOUGH = 8  # steps before the first judgement; the first of a run compiles
_FACTOR = 3.0
_LEAST = 0.1  # seconds beyond the median; small steps vary by more than their own length


class StepTimes:
    """The times of the latest steps."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_REMEMBERED)

    def add(self, step: int, seconds: float) -> str | None:
        """Takes a step's time; returns a sentence where it is an outlier, else None."""
        usual = statistics.median(self._times) if len(self._times) >= _ENOUGH else None
        self._times.append(seconds)
        if usual is None or seconds < _FACTOR * usual or seconds < usual + _LEAST:
            return None
        return f"step {step} took {seconds:.2f} s, {seconds / max(usual, 1e-9):.1f} times the median of those before it"
