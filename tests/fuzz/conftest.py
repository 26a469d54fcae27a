"""How many examples a fuzz test tries, and what may come of one: a result, or an error that says what is wrong."""

import contextlib
import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("INSTRUCTOR_JAX_FUZZ", "60"))
# Reproducible in the usual test run; a long run (INSTRUCTOR_JAX_FUZZ=20000) searches somewhere else every time.
fuzz_settings = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="INSTRUCTOR_JAX_FUZZ" not in os.environ,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
        HealthCheck.large_base_example,
        HealthCheck.function_scoped_fixture,
    ],
    print_blob=True,
)
SEEDS: dict[str, list[Any]] = json.loads((Path(__file__).parent / "seeds.json").read_text(encoding="utf-8"))
_MOST_MEMORY = 1 << 30  # bytes that one fuzz test may add to the peak of the process


def survives(read: Callable[[], Any]) -> Any:
    """Returns what `read` returns, or None where it refuses its input as the library promises.

    Fails the test on any other exception: a `TypeError` or a panic of another library tells a user nothing.
    """
    try:
        return read()
    except (ValueError, OSError) as error:
        message = str(error)
    assert message.strip(), "the error says nothing"
    assert not any(ord(mark) < 32 and mark not in "\n\t" for mark in message), ascii(message[:300])
    assert len(message) < 20_000, f"a message of {len(message)} characters"
    return None


@contextlib.contextmanager
def damaged(file: Path, content: bytes) -> Iterator[None]:
    """Within it a file has this content; afterwards it has its own again."""
    kept = file.read_bytes()
    try:
        file.write_bytes(content)
        yield
    finally:
        file.write_bytes(kept)


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    """The peak of the process's memory grows by less than a gibibyte in a fuzz test."""
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    yield
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before
    assert grown < _MOST_MEMORY, f"the peak of memory grew by {grown / 2**20:.0f} MiB"
