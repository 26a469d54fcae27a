import jax
import numpy as np
import pytest

from instructor_jax.train.data.batch_builder import BatchBuilder
from instructor_jax.train.data.group_packing import GroupShape
from instructor_jax.train.data.mixture import ExampleOrder, MixturePlan
from instructor_jax.train.data.pipeline import host_batches
from instructor_jax.train.data.staged_batches import StagedBatches


@pytest.fixture
def builder(make_cache, random_examples):
    cache = make_cache({"a": random_examples("a", 300, (3, 20)), "b": random_examples("b", 12, (3, 20))})

    def build(seed: int, length: int = 64) -> BatchBuilder:
        shape = GroupShape(rows=4, length=length, examples=12, negatives=1, segments=16)
        return BatchBuilder(MixturePlan(cache.rows, cache.tasks, [1.0, 1.0], shape, 2, ExampleOrder(seed)), cache)

    return build


def assert_same(mine, theirs, step: int) -> None:
    assert mine.step == step
    for left, right in zip(jax.tree.leaves(mine.batch), jax.tree.leaves(theirs.batch), strict=True):
        np.testing.assert_array_equal(left, right)


def test_each_stage_has_its_own_batches_from_its_first_step_on(builder) -> None:
    first, then = builder(1), builder(2)
    staged = StagedBatches(first, 3, then)
    with host_batches(staged, steps=6, start=1) as batches:
        for step, batch in enumerate(batches, start=1):
            assert_same(batch, first(step) if step < 3 else then(step - 3), step)
    assert step == 5
    assert staged.plan is then.plan


def test_stages_of_two_shapes_are_refused(builder) -> None:
    with pytest.raises(ValueError, match="batches of one shape"):
        StagedBatches(builder(1), 3, builder(2, length=48))
