import multiprocessing

import jax
import numpy as np
import pytest

from instructor_jax.sharding import MeshShape, make_mesh
from instructor_jax.train.data.batch_builder import BatchBuilder
from instructor_jax.train.data.group_packing import GroupShape
from instructor_jax.train.data.mixture import MixturePlan
from instructor_jax.train.data.pipeline import host_batches, local_groups, to_devices

SHAPE = GroupShape(rows=4, length=64, examples=12, negatives=1, segments=16)


@pytest.fixture
def builder(make_cache, random_examples):
    cache = make_cache({"a": random_examples("a", 300, (3, 20)), "b": random_examples("b", 12, (3, 20))})
    return BatchBuilder(MixturePlan(cache.rows, cache.tasks, [1.0, 1.0], SHAPE, 8), cache)


def assert_equal(mine, theirs):
    for left, right in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(left, right)


def assert_same(mine, theirs):
    assert mine.step == theirs.step
    assert (mine.examples, mine.tokens, mine.cut_tokens) == (theirs.examples, theirs.tokens, theirs.cut_tokens)
    assert_equal(mine.batch, theirs.batch)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_batches_come_in_order_whoever_builds_them(builder, workers):
    with host_batches(builder, steps=7, workers=workers) as batches:
        for step, batch in enumerate(batches):
            assert_same(batch, builder(step))
    assert step == 6
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("start", [1, 57, 999, 1000])
def test_a_resumed_run_goes_on_with_the_same_batches(builder, start):
    with host_batches(builder, steps=1000, start=start) as batches:
        found = [next(batches) for _ in range(min(3, 1000 - start))]
        assert start < 998 or next(batches, None) is None
    for step, batch in enumerate(found, start):
        assert_same(batch, builder(step))


def test_batches_are_built_ahead_but_not_far(builder, monkeypatch):
    built = []
    monkeypatch.setattr(BatchBuilder, "__call__", lambda self, step: built.append(step) or step)
    with host_batches(builder, steps=1000, prefetch=3) as batches:
        assert [next(batches) for _ in range(4)] == [0, 1, 2, 3]
    assert len(built) <= 4 + 3 + 2  # those taken, those ready, and one in the making on each side of the buffer


@pytest.mark.parametrize("shape", [MeshShape(8), MeshShape(4, 2), MeshShape(2, 2, 2), MeshShape(1, 1, 8)])
def test_batches_arrive_whole_on_any_mesh(builder, shape):
    mesh = make_mesh(shape)
    host = builder(3)
    batch = to_devices(host.batch, mesh, 8)
    assert_equal(batch, host.batch)
    data_shards = mesh.shape["data"] * mesh.shape["fsdp"]
    part = batch.texts.tokens.addressable_shards[0].data
    assert part.shape == (8 // data_shards, SHAPE.rows, SHAPE.length)


def test_this_host_has_all_groups(monkeypatch):
    assert local_groups(make_mesh(MeshShape(4, 2)), 16).tolist() == list(range(16))
    with pytest.raises(ValueError, match="groups=12 must be a multiple of the mesh's 8 data shards"):
        local_groups(make_mesh(MeshShape(8)), 12)


@pytest.mark.parametrize("numbers", [{"start": 5}, {"start": -1}, {"workers": -1}, {"prefetch": 0}])
def test_refuses_numbers_out_of_range(builder, numbers):
    with pytest.raises(ValueError, match="must be in"), host_batches(builder, steps=4, **numbers):
        pass
