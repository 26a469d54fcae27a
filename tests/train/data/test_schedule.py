import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructor_jax.train.data.schedule import TaskSchedule

ROUNDING = 1e-5  # rates are integers of 2**-38: 1e5 steps may add 1e5 * 2**-38 turns


def sequence(turns: TaskSchedule, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Tasks and counts before, [steps, places]."""
    both = [turns(step) for step in range(steps)]
    return np.stack([tasks for tasks, _ in both]), np.stack([before for _, before in both])


def largest_deviation(tasks: np.ndarray, rates: np.ndarray) -> float:
    """Of any task's count from step * rate, at any step."""
    steps = np.arange(1, len(tasks) + 1)
    return max(np.abs(np.cumsum((tasks == t).sum(axis=1)) - steps * rate).max() for t, rate in enumerate(rates))


def test_by_hand():
    tasks, before = sequence(TaskSchedule([0.5, 0.25, 0.25], seed=0), 8)
    assert sorted(tasks[:4, 0]) == [0, 0, 1, 2]
    assert tasks[:4].tolist() == tasks[4:].tolist()
    assert before[tasks[:, 0] == 0, 0].tolist() == [0, 1, 2, 3]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(1e-3, 1), min_size=1, max_size=40), st.integers(0, 3))
def test_no_count_is_ever_a_whole_turn_from_its_share(weights, seed):
    rates = np.array(weights) / np.sum(weights)
    tasks, before = sequence(TaskSchedule(rates, seed), 600)
    assert largest_deviation(tasks, rates) < 1 + ROUNDING
    for task in range(len(rates)):
        mine = before[tasks == task]
        assert mine.tolist() == list(range(len(mine)))


@pytest.mark.slow
def test_330_tasks_and_100_000_batches():
    rates = np.random.default_rng(0).lognormal(0, 2, 330)
    rates /= rates.sum()
    assert largest_deviation(sequence(TaskSchedule(rates, 1), 100_000)[0], rates) < 1 + ROUNDING


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 9), st.lists(st.tuples(st.floats(0.01, 1), st.integers(1, 3)), min_size=1, max_size=30))
def test_several_places_a_step(places, tasks_given):
    limits = [limit for _, limit in tasks_given]
    rates = np.array([share * limit for share, limit in tasks_given])
    rates *= min(1.0, places / rates.sum())
    tasks, before = sequence(TaskSchedule(rates, 0, places, limits), 300)
    assert largest_deviation(tasks, rates) < 2  # the rule's bound with several places
    for task, limit in enumerate(limits):
        assert ((tasks == task).sum(axis=1) <= limit).all()
        mine = before[tasks == task]
        assert mine.tolist() == list(range(len(mine)))


def test_full_use_leaves_no_place_empty():
    rates = np.random.default_rng(1).uniform(0.1, 1, 40)
    rates *= 8 / rates.sum()
    tasks, _ = sequence(TaskSchedule(rates, 0, 8), 6000)
    assert (tasks >= 0).all()
    tasks, _ = sequence(TaskSchedule(0.9 * rates, 0, 8), 6000)
    assert (tasks < 0).sum() == pytest.approx(0.1 * tasks.size, abs=40)  # each of the 40 tasks is up to a turn away


def test_any_step_in_any_order_and_after_pickling():
    rates = [0.6, 0.3, 0.1]
    straight, _ = sequence(TaskSchedule(rates, 5), 9000)
    turns = TaskSchedule(rates, 5)
    copy = pickle.loads(pickle.dumps(turns))
    for step in (8999, 0, 4096, 4095, 17):
        assert turns(step)[0].tolist() == copy(step)[0].tolist() == straight[step].tolist()


@pytest.mark.parametrize(
    ("rates", "places", "limits", "message"),
    [
        ([], 1, None, "there must be one"),
        ([0.5, 0.0], 1, None, "must be positive"),
        ([1.5], 2, None, "at most [1]"),
        ([0.8, 0.8], 1, None, "only 1 places"),
    ],
)
def test_refuses_what_cannot_be(rates, places, limits, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        TaskSchedule(rates, 0, places, limits)
