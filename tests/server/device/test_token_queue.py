"""What the device takes next, by hand: jobs as lists of lengths, takes as lists of slices."""

import asyncio
import threading
import time

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")

from instructor_jax.server.device.jobs import Job
from instructor_jax.server.device.token_queue import TokenQueue
from instructor_jax.text.batches import TokenizedTexts


class Lane:
    """A queue with named jobs."""

    def __init__(self, slice_tokens: int = 100, most: int = 1000, seconds: float = 60.0) -> None:
        self.gone: list[tuple[str, bool]] = []
        self.names: dict[int, str] = {}
        self.queue = TokenQueue(
            slice_tokens,
            most,
            seconds,
            lambda job, late: self.gone.append((self.names[id(job)], late)),
            threading.Condition(),
        )
        self.loop = asyncio.new_event_loop()

    def put(self, name: str, *lengths: int, whole: bool = False) -> tuple[Job, bool]:
        """Adds a job of texts of these lengths; returns it and whether it was let in."""
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        count = np.asarray(lengths, np.int32)
        texts = TokenizedTexts(np.zeros(offsets[-1], np.int32), offsets, count * 0, count)
        job = Job(texts, self.loop.create_future(), self.loop, (lambda: None) if whole else None)
        self.names[id(job)] = name
        return job, self.queue.put(job)

    def take(self, budget: int) -> list[tuple[str, int, int]]:
        """What is taken, by name."""
        return [(self.names[id(job)], first, end) for job, first, end in self.queue.take(budget)]


def test_first_come_first_served() -> None:
    lane = Lane()
    lane.put("a", 10, 10)
    lane.put("b", 30)
    lane.put("c", 60)
    assert lane.queue.tokens == 110
    assert lane.take(50) == [("a", 0, 2), ("b", 0, 1)]
    assert lane.take(50) == [("c", 0, 1)]  # longer than the budget: the first text of a take always fits
    assert lane.take(50) == []
    assert lane.queue.tokens == 0


def test_a_text_that_fits_is_taken_before_one_that_does_not() -> None:
    lane = Lane()
    lane.put("a", 40)
    lane.put("b", 30)
    lane.put("c", 10)
    assert lane.take(50) == [("a", 0, 1), ("c", 0, 1)]
    assert lane.take(50) == [("b", 0, 1)]  # it kept its place


def test_a_large_request_delays_others_by_one_slice() -> None:
    lane = Lane(slice_tokens=20, most=10_000)
    lane.put("large", *[10] * 100)
    lane.put("small", 10)
    assert lane.take(40) == [("large", 0, 2), ("small", 0, 1), ("large", 2, 3)]
    lane.put("late", 10)
    assert lane.take(20) == [("large", 3, 5)]
    assert lane.take(20) == [("late", 0, 1), ("large", 5, 6)]


def test_behind_a_long_queue_a_request_of_three_slices_waits_once() -> None:
    lane = Lane(slice_tokens=20, most=10**6)
    for name in range(100):
        lane.put(str(name), *[10] * 6)
    order = []
    while taken := lane.take(20):
        order += [name for name, _, _ in taken]
    assert len(order) == 300
    for name in map(str, range(100)):
        first, last = order.index(name), len(order) - 1 - order[::-1].index(name)
        assert last - first <= 2 * 17, name  # 16 others between a slice and the next, and not the whole queue


def test_alone_a_large_request_fills_the_whole_take() -> None:
    lane = Lane(slice_tokens=20, most=10_000)
    lane.put("large", *[10] * 10)
    assert sum(end - first for _, first, end in lane.take(80)) == 8


def test_work_in_one_piece_is_taken_by_itself_in_its_turn() -> None:
    lane = Lane()
    lane.put("a", 10)
    lane.put("whole", 10, 10, whole=True)
    lane.put("b", 10)
    assert lane.take(50) == [("a", 0, 1)]
    assert lane.take(50) == [("whole", 0, 0)]
    assert lane.take(50) == [("b", 0, 1)]
    assert lane.queue.tokens == 0


def test_what_nobody_awaits_leaves_the_queue() -> None:
    lane = Lane()
    job, _ = lane.put("gone", 10)
    lane.put("b", 10)
    job.gone = True
    assert lane.take(50) == [("b", 0, 1)]
    assert lane.gone == [("gone", False)]
    assert lane.queue.tokens == 0


def test_what_waited_too_long_is_told_so() -> None:
    lane = Lane(seconds=0.01)
    lane.put("late", 10)
    time.sleep(0.02)
    assert lane.take(50) == []
    assert lane.gone == [("late", True)]


def test_a_full_queue_lets_nobody_in_but_an_empty_one_everybody() -> None:
    lane = Lane(most=100)
    assert lane.put("a", 500)[1]
    assert not lane.put("b", 1)[1]
    lane.take(500)
    assert lane.put("b", 1)[1]


def test_every_text_is_taken_once() -> None:
    chance = np.random.default_rng(0)
    lane = Lane(slice_tokens=64, most=10**9)
    expected = {}
    for name in map(str, range(300)):
        lengths = chance.integers(1, 50, chance.integers(1, 20)).tolist()
        expected[name] = set(range(len(lengths)))
        lane.put(name, *lengths)
    takes = 0
    while taken := lane.take(256):
        takes += 1
        for name, first, end in taken:
            for index in range(first, end):
                expected[name].remove(index)
    assert not any(expected.values())
    assert lane.queue.tokens == 0
    assert takes < 400
