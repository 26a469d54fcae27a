import logging
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructor_jax.train.data.example_index import ExampleIndex
from instructor_jax.train.data.group_packing import GroupShape
from instructor_jax.train.data.mixture import ExampleOrder, MixturePlan, hold_out, shared_rates
from instructor_jax.train.settings.mixture_config import task_weights

SHAPE = GroupShape(rows=8, length=64, examples=40, negatives=1, segments=16)


def texts_of(counts: list[int], seed: int = 0) -> tuple[ExampleIndex, dict[str, range]]:
    rng = np.random.default_rng(seed)
    total = sum(counts)
    texts = np.arange(0, 3 * total, 3)
    lengths = rng.integers(3, 30, 3 * total).astype(np.int32)
    ends = np.cumsum(counts).tolist()
    tasks = {f"task {i}": range(end - count, end) for i, (count, end) in enumerate(zip(counts, ends, strict=True))}
    return ExampleIndex(lengths, texts, texts + 1, texts + 2, np.arange(1, total + 1)), tasks


def plan_of(counts: list[int], groups: int, weights: list[float] | None = None, **other) -> MixturePlan:
    texts, tasks = texts_of(counts)
    return MixturePlan(texts, tasks, weights or task_weights(counts), SHAPE, groups, ExampleOrder(**other))


def rows_of_step(plan: MixturePlan, step: int) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Task, rows and passes of each group that is not empty."""
    _, tasks, slices = plan(step)
    return [(int(t), *plan.rows(int(t), int(c))) for t, c in zip(tasks, slices, strict=True) if t >= 0]


def test_weights_by_hand():
    assert task_weights([1, 3]).tolist() == [0.25, 0.75]
    assert task_weights([10, 30, 60], max_examples=30).tolist() == pytest.approx([1 / 7, 3 / 7, 3 / 7])
    assert task_weights([1, 16], temperature=2.0).tolist() == pytest.approx([1 / 5, 4 / 5])
    assert task_weights([5, 9000], temperature=1e9).tolist() == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("counts", "settings", "message"),
    [([], {}, "at least one task"), ([4, 0], {}, "at least one row"), ([1], {"temperature": 0.0}, "must be positive"),
     ([1], {"max_examples": 0}, "must be positive")],
)  # fmt: skip
def test_weights_refuse(counts, settings, message):
    with pytest.raises(ValueError, match=message):
        task_weights(counts, **settings)


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.sampled_from([1, 2, 8]), st.integers(0, 99))
def test_every_row_once_in_each_pass_and_never_twice_in_a_step(counts, groups, seed):
    plan = plan_of(counts, groups, [1.0] * len(counts), seed=seed)
    seen = [[] for _ in counts]
    for step in range(30):
        groups_of_step = rows_of_step(plan, step)
        everything = np.concatenate([rows for _, rows, _ in groups_of_step])
        assert len(np.unique(everything)) == len(everything)
        for task, rows, passes in groups_of_step:
            assert 0 < len(rows) <= SHAPE.examples
            seen[task] += zip(passes.tolist(), rows.tolist(), strict=True)
    _, tasks = texts_of(counts)
    for found, rows in zip(seen, tasks.values(), strict=True):
        numbers = [number for number, _ in found]
        assert numbers == sorted(numbers)  # no row returns before all were used
        for number in range(numbers[-1] if numbers else 0):
            assert sorted(row for n, row in found if n == number) == list(rows)


def test_a_large_task_has_the_whole_step_and_small_ones_share_theirs():
    plan = plan_of([1000, 30, 25, 40, 1200, 20], 4, [1.0] * 6)
    assert [task.alone for task in plan.tasks] == [True, False, False, False, True, False]
    kinds = set()
    for step in range(200):
        tasks = plan(step).task.tolist()
        if 0 in tasks or 4 in tasks:
            assert len(set(tasks)) == 1
        else:
            kinds.add(tuple(tasks))
            assert all(tasks.count(task) <= max(1, int(plan.tasks[task].slices)) for task in set(tasks))
    assert len(kinds) >= 1


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=2, max_size=12), st.sampled_from([1, 2, 4]), st.data())
def test_counts_stay_within_a_batch_of_the_shares(counts, groups, data):
    weights = data.draw(st.lists(st.floats(0.1, 5), min_size=len(counts), max_size=len(counts)))
    plan = plan_of(counts, groups, weights)
    steps = np.arange(1, 301)
    tasks = np.stack([plan(step).task for step in range(len(steps))])
    for number, task in enumerate(plan.tasks):
        count = np.cumsum((tasks == number).sum(axis=1)) / groups  # in batches
        # a turn of the task's own, or its part of the turn of all small tasks and two places of their steps
        limit = 1 if task.alone else 1 + 2 / groups
        assert np.abs(count - steps * task.effective_weight).max() <= max(limit, 0.01 * count[-1]) + 1e-6


def test_shares_are_the_weights_wherever_rows_suffice():
    plan = plan_of([1000, 30, 25, 40, 1200, 20, 35, 45], 4, [3.0, 1.0, 1.0, 1.0, 4.0, 1.0, 1.0, 1.0])
    assert [task.effective_weight for task in plan.tasks] == pytest.approx([task.weight for task in plan.tasks])
    # two small tasks of one cell cannot fill four groups: both are in every one of their steps
    few = plan_of([1000, 8, 9], 4, [2.0, 1.0, 1.0])
    assert [task.effective_weight for task in few.tasks] == pytest.approx([0.5, 0.125, 0.125])
    shared = [few(step).task.tolist() for step in range(40)]
    assert shared.count([1, 2, -1, -1]) == 20


def test_rates_of_small_tasks_by_hand():
    # 8 places by weights 6:1:1 would be 6, 1, 1; the limit of 2 leaves 6 places to two tasks with limits 3 and 9
    rates = shared_rates(np.array([6.0, 1.0, 1.0]), np.array([2, 3, 9]), 8)
    assert rates.tolist() == pytest.approx([2, 3, 3])
    assert shared_rates(np.array([6.0, 1.0]), np.array([2, 1]), 8).tolist() == [2, 1]


@pytest.mark.slow
@pytest.mark.parametrize("groups", [1, 4])
def test_any_step_is_found_without_those_before_it(groups):
    counts = [500, 60, 30, 90, 700]
    straight = plan_of(counts, groups)
    expected = {step: rows_of_step(straight, step) for step in range(300)}
    fresh = pickle.loads(pickle.dumps(plan_of(counts, groups)))
    for step in (299, 5, 130, 4, 0):
        for mine, theirs in zip(rows_of_step(fresh, step), expected[step], strict=True):
            assert mine[0] == theirs[0]
            assert mine[1].tolist() == theirs[1].tolist()
            assert mine[2].tolist() == theirs[2].tolist()


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.sampled_from([1, 2, 8]), st.integers(0, 60))
def test_rows_of_steps_are_those_of_every_step(counts, groups, steps):
    plan = plan_of(counts, groups)
    expected = {int(row) for step in range(steps) for _, rows, _ in rows_of_step(plan, step) for row in rows}
    assert plan.rows_of_steps(steps).tolist() == sorted(expected)


def test_the_seed_changes_rows_and_nothing_else():
    first, second = plan_of([400, 300], 2, seed=0), plan_of([400, 300], 2, seed=1)
    assert [a.effective_weight for a in first.tasks] == [b.effective_weight for b in second.tasks]
    assert rows_of_step(first, 0)[0][1].tolist() != rows_of_step(second, 0)[0][1].tolist()


def test_a_further_task_does_not_change_the_order_of_the_others():
    texts, tasks = texts_of([300, 200])
    one = MixturePlan(texts, {"task 0": tasks["task 0"]}, [1.0], SHAPE, 1)
    two = MixturePlan(texts, tasks, [1.0, 1.0], SHAPE, 1)
    assert one.rows(0, 7)[0].tolist() == two.rows(0, 7)[0].tolist()


def test_fixed_successive_rows():
    plan = plan_of([12, 7], 1, rows_per_group=4, shuffle=False)
    found = {0: [], 1: []}
    for step in range(30):
        ((task, rows, _),) = rows_of_step(plan, step)
        found[task].append(rows.tolist())
    assert found[0][:4] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [0, 1, 2, 3]]
    assert found[1][:3] == [[12, 13, 14, 15], [16, 17, 18, 12], [13, 14, 15, 16]]


def test_one_example_a_group():
    texts, tasks = texts_of([9])
    plan = MixturePlan(texts, tasks, [1.0], GroupShape(3, 64, 1, 1), 3)
    assert sorted(np.concatenate([rows for step in range(3) for _, rows, _ in rows_of_step(plan, step)])) == list(
        range(9)
    )


def test_held_out_rows_are_apart_and_always_the_same():
    kept, held = hold_out(range(100, 300), 15, "a")
    assert sorted([*kept, *held]) == list(range(100, 300))
    assert len(held) == 15
    assert (
        hold_out(range(100, 300), 15, "a")[1].tolist()
        == held.tolist()
        != hold_out(range(100, 300), 15, "b")[1].tolist()
    )
    assert [len(part) for part in hold_out(range(8), 15, "a")] == [8, 0]
    texts, _ = texts_of([300])
    plan = MixturePlan(texts, {"a": kept}, [1.0], SHAPE, 1)
    used = {row for cell in range(3 * int(plan.tasks[0].slices + 1)) for row in plan.rows(0, cell)[0]}
    assert used == set(kept)


def test_says_when_groups_stay_half_empty(caplog):
    with caplog.at_level(logging.WARNING):
        plan = plan_of([10, 12, 600], 4, [1.0, 1.0, 1.0])
        plan.warn_of_padding()
    assert plan.expected_fill < 0.9
    assert "of 3 tasks fill less than 90 % of a group" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": [1.0]}, "need a weight for each task"),
        ({"groups": 0}, "0 groups"),
        ({"order": ExampleOrder(rows_per_group=41)}, "rows_per_group=41 must be 1 to 40"),
        ({"order": ExampleOrder(shuffle=False)}, "shuffle=False needs rows_per_group"),
        ({"tasks": {"a": range(0), "b": range(5)}}, "task 'a' has no rows"),
        ({"shape": GroupShape(8, 16, 4, 1)}, "a text has 29 tokens, but packed rows only 16"),
        ({"weights": [1.0, 0.0]}, "must be positive"),
    ],
)
def test_refuses_what_cannot_be_planned(changes, message):
    texts, tasks = texts_of([50, 50])
    settings = {"tasks": tasks, "weights": [1.0, 1.0], "shape": SHAPE, "groups": 2} | changes
    with pytest.raises(ValueError, match=message):
        MixturePlan(texts, **settings)
    with pytest.raises(ValueError, match="step=-1"):
        plan_of([50], 1)(-1)
