"""Figures as lines of JSON on standard output, the clock that they are taken with, and what becomes of a failure."""

import json
import statistics
import time
import traceback
from collections.abc import Callable
from typing import Any


def say(what: str, **figures: Any) -> None:
    """Prints one figure; numbers keep five digits."""
    rounded = {name: float(f"{value:.5g}") if isinstance(value, float) else value for name, value in figures.items()}
    print(json.dumps({"what": what, **rounded}), flush=True)


def attempt(what: str, measure: Callable[[], None]) -> None:
    """Runs one measurement; a failure becomes a line, and the next measurement goes on."""
    try:
        measure()
    except Exception as error:
        lines = str(error).splitlines() or [""]
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename.rpartition('/')[2]}:{place.lineno}"
        say(what, error=f"{type(error).__name__}: {lines[0][:300]}", where=where)


def median_seconds(call: Callable[[], Any], times: int = 5) -> float:
    """Returns the median time of a call that ends when its work is done, after one that is not counted."""
    call()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
