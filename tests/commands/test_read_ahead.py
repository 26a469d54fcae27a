"""Reading ahead changes nothing but the time at which items are made."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructor_jax.commands.read_ahead import read_ahead


@given(st.lists(st.integers()), st.integers(1, 4))
def test_same_items_in_the_same_order(items, depth):
    assert list(read_ahead(iter(items), depth)) == items


def test_an_error_comes_at_its_place():
    def items():
        yield 1
        raise ValueError("line 2")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="line 2"):
        next(ahead)


def test_it_is_ahead_but_not_far():
    made = []

    def items():
        for k in range(100):
            made.append(k)
            yield k

    ahead = read_ahead(items(), depth=2)
    next(ahead)
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(made) == 4  # the one taken, two that wait, one that wants to
    ahead.close()


def test_closing_ends_the_thread():
    before = threading.active_count()
    ahead = read_ahead(iter(range(1000)))
    next(ahead)
    ahead.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before  # other tests' threads may end meanwhile
