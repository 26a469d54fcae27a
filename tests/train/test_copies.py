"""Devices with the same weights add their gradients once, and each keeps its part of the optimizer's moments."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.nn.model import init_params, param_shardings
from instructor_jax.sharding import MeshShape, make_mesh, named_sharding
from instructor_jax.train import copies
from instructor_jax.train.compiled_step import compiled_step
from instructor_jax.train.config import TrainConfig
from instructor_jax.train.data.group_packing import GroupShape
from instructor_jax.train.objective import LossConfig
from instructor_jax.train.optimizer import OptimizerConfig
from instructor_jax.train.plan.plan import plan_step
from instructor_jax.train.plan.record import Exchange, Plan
from instructor_jax.train.step import abstract_state, batch_losses, new_state, state_shardings

from .random_batches import TINY, random_batch, tiny_config

MODEL = ModelConfig(EncoderConfig(vocab=512, embed=64, layers=3, heads=4, head_dim=16, ffn=2048), 64, max_length=64)
CONFIG = TrainConfig(
    model=MODEL,
    group=GroupShape(rows=6, length=64, examples=2, negatives=1),
    groups=8,
    loss=LossConfig("in_batch", 0.05),
    mesh=MeshShape(4, 1, 2),
    optimizer=OptimizerConfig(sum_gradients_once=True),
    gradient_cache_chunks=2,
    remat="full",
)
KERNEL = 64 * 2048  # numbers of a layer's largest weight


def gradients(config: TrainConfig, mesh: MeshShape | None) -> Any:
    """The gradients of a mean loss, on eight devices or on one."""
    params, batch = init_params(config.model, seed=0), random_batch(config, seed=0)

    def mean(params: Any, batch: Any) -> jax.Array:
        return batch_losses(config, params, batch, dropout_at=jnp.int32(3)).loss.mean()

    if mesh is None:
        return jax.jit(jax.grad(mean))(params, batch)
    devices = make_mesh(mesh)
    with jax.set_mesh(devices):
        placed = jax.device_put(params, param_shardings(config.model, devices))
        spread = jax.device_put(batch, named_sharding(devices, "batch"))
        return jax.jit(jax.grad(mean), out_shardings=param_shardings(config.model, devices))(placed, spread)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mesh", "chunks", "attention", "remat"),
    [
        (MeshShape(8), 2, "einsum", "dots"),
        (MeshShape(8), 4, "fused", "full"),
        (MeshShape(4, 1, 2), 2, "fused", "attention"),
        (MeshShape(4, 1, 2), 1, "einsum", "none"),
        (MeshShape(4, 2), 2, "einsum", "full"),
    ],
)
def test_gradients_are_those_of_one_device(mesh: MeshShape, chunks: int, attention: Any, remat: Any) -> None:
    once = OptimizerConfig(sum_gradients_once=True)
    config = tiny_config(gradient_cache_chunks=chunks, attention=attention, optimizer=once, remat=remat)
    expected = gradients(dataclasses.replace(config, attention="einsum"), None)
    found = gradients(config, mesh)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        # float32: the same sums in another order, of terms as large as the largest entry
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-5 * np.abs(other).max())


def sums_between_copies(plan: Plan) -> list[Exchange]:
    """What is summed over the devices of all copies and is as large as a device's part of a layer's largest weight."""
    sums = [one for one in plan.exchanges if one.kind in ("all-reduce", "reduce-scatter")]
    return [one for one in sums if one.participants % 4 == 0 and one.bytes >= 4 * KERNEL // 2]  # 2 along tensor


@pytest.mark.slow
def test_gradients_are_summed_over_copies_once() -> None:
    """Once for each of the two stacked kernels; left to the compiler, for each layer of each chunk."""
    once = plan_step(CONFIG, "cpu")
    assert 1 <= sum(one.runs for one in sums_between_copies(once)) <= 2
    each = plan_step(dataclasses.replace(CONFIG, optimizer=OptimizerConfig()), "cpu")
    assert sum(one.runs for one in sums_between_copies(each)) >= CONFIG.gradient_cache_chunks * MODEL.encoder.layers


@pytest.mark.slow
def test_sums_are_float32_where_products_are_bfloat16() -> None:
    plan = plan_step(dataclasses.replace(CONFIG, dtype="bfloat16"), "cpu")
    large = [one.arrays for one in sums_between_copies(plan)]
    assert large
    assert not any("bf16" in arrays for arrays in large), large


def test_every_copy_keeps_a_part_of_the_moments() -> None:
    config = dataclasses.replace(CONFIG, optimizer=OptimizerConfig(split_moments=True))
    mesh = make_mesh(config.mesh)
    shardings = state_shardings(config, mesh)
    abstract = abstract_state(config)

    def held(part: Any, places: Any) -> int:
        shapes = zip(jax.tree.leaves(part), jax.tree.leaves(places), strict=True)
        return sum(int(np.prod(place.shard_shape(leaf.shape))) for leaf, place in shapes)

    params, moments = held(abstract.params, shardings.params), held(abstract.optimizer, shardings.optimizer)
    large = 2 * MODEL.encoder.layers * KERNEL // 2  # numbers of the two stacked kernels that a device has along tensor
    assert params > large
    assert moments == 2 * (params - large + large // 4) + 2  # and two counts
    one_copy = state_shardings(config, make_mesh(MeshShape(1, 8)))
    assert held(abstract.optimizer, one_copy.optimizer) == 2 * held(abstract.params, one_copy.params) + 2


@pytest.mark.slow
def test_updates_are_those_of_whole_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_SMALL", 0)

    def after_three_steps(split: bool) -> Any:
        optimizer = OptimizerConfig(
            learning_rate=1e-3, schedule="constant", weight_decay=0.1, split_moments=split, sum_gradients_once=split
        )
        config = tiny_config(optimizer=optimizer, mesh=MeshShape(8), gradient_cache_chunks=2)
        mesh = make_mesh(config.mesh)
        with jax.set_mesh(mesh):
            state = jax.device_put(new_state(config, init_params(TINY, seed=0)), state_shardings(config, mesh))
            run = compiled_step(config, mesh)
            for seed in range(3):
                state, metrics = run(state, jax.device_put(random_batch(config, seed), named_sharding(mesh, "batch")))
        return jax.device_get((state.params, state.optimizer, metrics))

    for one, other in zip(*map(jax.tree.leaves, (after_three_steps(True), after_three_steps(False))), strict=True):
        # float32: sums over devices in another order, of updates of 1e-3
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-6)


def test_what_is_small_or_does_not_divide_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = jax.tree.leaves(copies.param_layouts(TINY))
    eight, five = make_mesh(MeshShape(8)), make_mesh(MeshShape(5), jax.devices()[:5])
    assert jax.tree.leaves(copies.moment_layouts(TINY, eight)) == whole
    monkeypatch.setattr(copies, "_SMALL", 0)
    assert jax.tree.leaves(copies.moment_layouts(TINY, eight)) != whole
    assert jax.tree.leaves(copies.moment_layouts(TINY, five)) == whole


def test_parts_are_cut_where_a_tpu_s_tiles_waste_least() -> None:
    """A last axis of a few numbers would be stored as 128, so another is cut: 256 copies, twelve layers."""
    base = ModelConfig(EncoderConfig(vocab=32_128, embed=768, layers=12, heads=12, head_dim=64, ffn=3072), 768)
    mesh = jax.sharding.AbstractMesh((256, 1, 1), ("data", "fsdp", "tensor"))
    layers = copies.moment_layouts(base, mesh)["encoder"]["layers"]
    assert layers["mlp"]["wi"][-1] != layers["mlp"]["wi"][-2]
    for layout in jax.tree.leaves(layers["mlp"]):
        assert "data" not in str(layout[-1]) if len(layout) == 3 else True
