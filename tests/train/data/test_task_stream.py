import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructor_jax.train.data import task_stream
from instructor_jax.train.data.task_stream import TaskStream, row_stream


def stream_of(rows: int, share: float, at_once: int, seed: int, widest: int = 60) -> TaskStream:
    """Random costs, and slices of about `share` of a pass."""
    cost = np.random.default_rng(seed).integers(5, widest, rows).astype(np.int32)
    budget = max(1, int(cost.sum() * share / at_once))
    return TaskStream(cost, budget, min(at_once, int(cost.sum()) // budget), seed)


streams = st.builds(
    stream_of, st.integers(1, 400), st.floats(0.05, 1.0), st.integers(1, 6), st.integers(0, 99), st.integers(6, 200)
)


@settings(max_examples=50, deadline=None)
@given(streams)
def test_every_row_once_in_each_pass_and_passes_in_order(stream):
    slices = [stream.slice(i) for i in range(4 * stream.total // stream.budget + 1)]
    rows, passes = (np.concatenate(parts) for parts in zip(*slices, strict=True))
    assert (np.diff(passes) >= 0).all()
    for number in range(int(passes[-1])):
        assert sorted(rows[passes == number]) == list(range(len(stream._cost)))


@settings(max_examples=40, deadline=None)
@given(streams, st.integers(0, 10**6))
def test_no_row_comes_twice_in_the_cells_of_a_step(stream, first):
    for start in range(first, first + 3 * stream.total // stream.budget, max(1, stream.slices_at_once // 2)):
        rows = np.concatenate([stream.slice(start + i)[0] for i in range(stream.slices_at_once)])
        assert len(np.unique(rows)) == len(rows)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 10**5), st.integers(0, 50))
def test_cells_are_found_without_those_before_them(far, seed):
    stream = stream_of(300, 0.3, 2, seed)
    straight = [stream.slice(far + i) for i in range(5)]
    for i in (3, 0, 4, 1, 2):
        rows, passes = pickle.loads(pickle.dumps(stream)).slice(far + i)
        assert rows.tolist() == straight[i][0].tolist()
        assert passes.tolist() == straight[i][1].tolist()


@pytest.mark.parametrize("widest", [60, 400])
def test_cells_cost_their_budget_to_within_a_few_tokens(widest):
    stream = stream_of(3000, 0.1, 4, 0, widest)
    costs = np.array([stream._cost[stream.slice(i)[0]].sum() for i in range(300)])
    # two cuts, each the best of some 460 exchanges of rows: a hundredth of a row's cost, where nothing else limits it
    assert np.percentile(np.abs(costs - stream.budget), 95) <= 0.04 * widest
    least = -(-stream.budget // stream._cost.min())
    assert max(len(stream.slice(i)[0]) for i in range(100)) <= least + 1


def test_other_rows_meet_in_other_passes():
    stream = stream_of(2000, 0.02, 1, 3)
    met = [set(rows) for rows, passes in map(stream.slice, range(400)) if 0 in rows and len(set(passes)) == 1]
    assert len(met) >= 6
    together = set.intersection(*met)
    assert together == {0}
    # in one order for all passes it would be about 40 rows
    assert len(set.union(*met)) > 150


def test_segments_bound_what_is_shuffled_at_once(monkeypatch):
    monkeypatch.setattr(task_stream, "_LARGEST_HALF", 16)
    stream = stream_of(500, 0.1, 2, 0)
    assert stream._half == 16
    slices = [stream.slice(i) for i in range(2 * stream.total // stream.budget + 1)]
    rows, passes = (np.concatenate(parts) for parts in zip(*slices, strict=True))
    assert sorted(rows[passes == 1]) == list(range(500))


def test_fixed_rows_in_stored_order():
    stream = row_stream(10, 4, 1, key=0, shuffle=False)
    assert [stream.slice(i)[0].tolist() for i in range(5)] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 0, 1],
        [2, 3, 4, 5],
        [6, 7, 8, 9],
    ]
    assert stream.slice(2)[1].tolist() == [0, 0, 1, 1]


def test_fixed_rows_in_random_order():
    stream = row_stream(100, 8, 3, key=1)
    assert {len(stream.slice(i)[0]) for i in range(50)} == {8}
    assert row_stream(5, 8, 3, key=1).slice(7)[0].tolist() != []
    assert sorted(row_stream(5, 8, 3, key=1).slice(7)[0]) == [0, 1, 2, 3, 4]


def test_refuses_what_would_repeat_rows():
    cost = np.full(10, 5, np.int32)
    with pytest.raises(ValueError, match="3 slices of 20 do not fit into a pass of 50"):
        TaskStream(cost, 20, 3, 0)
    with pytest.raises(ValueError, match="a task needs rows"):
        TaskStream(cost[:0], 1, 1, 0)
