"""What a run needs besides its steps is planned with the optimizer's state beside it, and told when it does not fit."""

import dataclasses
import math

import jax
import pytest

from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.sharding import MeshShape, make_mesh
from instructor_jax.train.config import TrainConfig
from instructor_jax.train.data.group_packing import GroupShape
from instructor_jax.train.objective import LossConfig
from instructor_jax.train.plan.memory import Memory
from instructor_jax.train.plan.report import lines_of_others
from instructor_jax.train.plan.whole_run import plan_evaluation, plan_export
from instructor_jax.train.step import abstract_state, state_shardings

CONFIG = TrainConfig(
    model=ModelConfig(EncoderConfig(vocab=512, embed=64, layers=2, heads=4, head_dim=16, ffn=256), 64, max_length=16),
    group=GroupShape(rows=3, length=16, examples=1, negatives=1),
    groups=8,
    loss=LossConfig("in_batch", 0.05),
    mesh=MeshShape(2, 4, 1),
)


def state_bytes(part: str) -> int:
    """Bytes of a part of the state on one device, counted array by array."""
    places = state_shardings(CONFIG, make_mesh(CONFIG.mesh))
    leaves = zip(
        jax.tree.leaves(getattr(abstract_state(CONFIG), part)), jax.tree.leaves(getattr(places, part)), strict=True
    )
    return sum(math.prod(place.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf, place in leaves)


def test_an_export_has_one_piece_at_a_time() -> None:
    plan = plan_export(CONFIG, "cpu", "bfloat16")
    assert plan.memory is not None
    table = 512 * 64
    assert plan.host == table * (4 + 2 * 2)  # the table is the largest: as it comes, and twice as it is written
    assert plan.memory.results == 4 * table  # whole, on the device as well
    assert plan.memory.arguments + plan.memory.beside == state_bytes("params") + state_bytes("optimizer")
    assert {one.kind for one in plan.exchanges} == {"all-gather"}
    assert "export" in lines_of_others([plan])
    assert ": fits" in lines_of_others([plan])


def test_what_does_not_fit_is_told() -> None:
    plan = plan_export(CONFIG, "cpu", "float32")
    assert isinstance(plan.memory, Memory)
    small = dataclasses.replace(plan.memory, available=plan.memory.total - 1)
    assert "does NOT fit" in lines_of_others([dataclasses.replace(plan, memory=small)])
    assert "does NOT fit" in lines_of_others([dataclasses.replace(plan, memory=None)])
    assert dataclasses.replace(small, beside=small.beside - 1).fits


@pytest.mark.slow
def test_an_evaluation_has_the_optimizers_state_beside_it() -> None:
    plan = plan_evaluation(CONFIG, "cpu")
    assert plan.memory is not None
    assert plan.memory.beside == state_bytes("optimizer")
    assert state_bytes("params") <= plan.memory.arguments < 2 * state_bytes("params")  # the texts are the rest
    assert plan.host == 0
