"""What a plan chooses by itself, of plans made up: a formula says what fits and is fast, and no compiler."""

import dataclasses
from collections.abc import Callable

import pytest

from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.sharding import MeshShape
from instructor_jax.train.config import TrainConfig
from instructor_jax.train.data.group_packing import GroupShape
from instructor_jax.train.plan.memory import Memory
from instructor_jax.train.plan.record import Plan
from instructor_jax.train.plan.report import report
from instructor_jax.train.plan.roofline import Roofline
from instructor_jax.train.plan.search.choice import MOST, Devices, chosen_plan, scaled, state_bytes
from instructor_jax.train.settings.overrides import given_keys
from instructor_jax.train.settings.run_config import RunConfig

MODEL = ModelConfig(EncoderConfig(vocab=512, embed=64, layers=2, heads=4, head_dim=16, ffn=256), 64, max_length=64)
CONFIG = TrainConfig(model=MODEL, group=GroupShape(rows=12, length=64, examples=4, negatives=1), groups=1)
NOTHING: frozenset[str] = frozenset()
TPU, MEMORY = "TPU v5 lite", 10**9


def planner(temporaries: Callable[[TrainConfig], int], tried: list[TrainConfig]) -> Callable[[TrainConfig], Plan]:
    """Plans that take so many temporaries, and twice the time of an attention that is computed again."""

    def made(config: TrainConfig) -> Plan:
        tried.append(config)
        seconds = {"full": 2.0, "attention": 1.5}.get(config.remat, 3.0) * config.gradient_cache_chunks
        memory = Memory(1000, 0, 0, temporaries(config), 0, MEMORY)
        roofline = Roofline(seconds, 0.1, 0.1, 0.2, 1000, 1e12, 256 * 197e12)
        return Plan("training step", "v5e:16x16", TPU, 256, {}, {}, memory, traffic=1.0, roofline=roofline)

    return made


def test_groups_follow_the_devices_and_what_fits_is_compared() -> None:
    tried: list[TrainConfig] = []
    _, plan = chosen_plan(CONFIG, NOTHING, Devices(256, MEMORY, TPU), planner(lambda _: 0, tried))
    assert [(one.groups, one.mesh, one.gradient_cache_chunks, one.remat) for one in tried] == [
        (256, MeshShape(256, 1, 1), 1, "full"),
        (256, MeshShape(256, 1, 1), 1, "attention"),
        (256, MeshShape(256, 1, 1), 1, "attention"),  # and split moments
    ]
    assert plan.chosen[0] == "batch.groups=256 mesh.data=256 mesh.fsdp=1 gradient_cache_chunks=1 remat=attention"
    told = report(plan, price=2.0)
    assert "256 times its examples" in told
    assert "remat=full mesh.fsdp=1, 2 s at least" in told
    assert "0.417 to 0.5 hours" in told  # 1,000 steps of 1.5 and of 1.8 s
    assert "213.33 to 256.00 for 256 chips" in told


def test_weights_are_split_until_they_take_a_quarter() -> None:
    size = state_bytes(CONFIG)
    for memory, parts in ((4 * size, 1), (4 * size - 1, 2), (size, 4), (size // 16, 64), (1, 64)):
        assert scaled(CONFIG, NOTHING, Devices(256, memory, TPU)).mesh == MeshShape(256 // parts, parts)


@pytest.mark.parametrize(("split", "once"), [(0.9, 0.8), (0.9, 1.1), (1.1, 0.8), (1.1, 1.1)])
def test_what_copies_of_the_weights_can_do_is_tried_and_kept_where_it_is_faster(split: float, once: float) -> None:
    def made(config: TrainConfig) -> Plan:
        found = planner(lambda _: 0, [])(config)
        assert found.roofline is not None
        times = (split if config.optimizer.split_moments else 1) * (once if config.optimizer.sum_gradients_once else 1)
        return dataclasses.replace(
            found, roofline=dataclasses.replace(found.roofline, arithmetic=times * found.roofline.arithmetic)
        )

    config, plan = chosen_plan(CONFIG, NOTHING, Devices(256, MEMORY, TPU, slices=2), made)
    assert (config.optimizer.split_moments, config.optimizer.sum_gradients_once) == (split < 1, once < 1)
    assert ("optimizer.split_moments=true" in plan.chosen[0]) is (split < 1)
    assert ("optimizer.sum_gradients_once=true" in plan.chosen[0]) is (once < 1)
    one_slice, _ = chosen_plan(CONFIG, NOTHING, Devices(256, MEMORY, TPU), made)
    assert not one_slice.optimizer.sum_gradients_once


def test_weights_are_split_within_a_slice() -> None:
    tried: list[TrainConfig] = []
    slices = Devices(8, MEMORY, TPU, slices=2)
    assert scaled(CONFIG, NOTHING, slices._replace(memory=1)).mesh == MeshShape(2, 4)
    chosen_plan(CONFIG, NOTHING, slices, planner(lambda _: 10**12, tried))
    assert {one.mesh.resolve(8)[0] for one in tried} == {8, 4, 2}


def test_what_does_not_fit_gets_more_chunks_and_then_a_larger_fsdp() -> None:
    tried: list[TrainConfig] = []
    size = 3 * MEMORY
    chosen_plan(
        CONFIG, NOTHING, Devices(256, MEMORY, TPU), planner(lambda one: size // one.gradient_cache_chunks, tried)
    )
    # three times too large, and a little more than the arguments leave: four chunks, the next number that divides rows
    assert [(one.gradient_cache_chunks, one.remat) for one in tried] == [
        (1, "full"),
        (4, "full"),
        (4, "attention"),
        (4, "attention"),
    ]
    assert [one.optimizer.split_moments for one in tried] == [False, False, False, True]
    tried.clear()
    _, plan = chosen_plan(CONFIG, NOTHING, Devices(256, MEMORY, TPU), planner(lambda _: 10**12, tried))
    assert len(tried) == MOST
    assert [one.gradient_cache_chunks for one in tried] == [1, 12, 12, 12, 12]
    assert [one.mesh.fsdp for one in tried] == [1, 1, 2, 4, 8]
    assert not plan.fits


def test_what_was_given_stays() -> None:
    tried: list[TrainConfig] = []
    config = dataclasses.replace(CONFIG, groups=64, mesh=MeshShape(16, 4), gradient_cache_chunks=3, remat="dots")
    keys = frozenset({"batch.groups", "mesh.data", "gradient_cache_chunks", "remat"})
    _, plan = chosen_plan(config, keys, Devices(64, MEMORY, TPU), planner(lambda _: 10**12, tried))
    assert tried == [config]
    assert plan.chosen == ()


def test_without_a_datasheet_the_recipe_stays_where_it_fits() -> None:
    tried: list[TrainConfig] = []
    config = dataclasses.replace(CONFIG, gradient_cache_chunks=2, remat="dots")
    chosen_plan(config, NOTHING, Devices(8, MEMORY, "cpu"), lambda one: dataclasses.replace(
        planner(lambda _: 0, tried)(one), roofline=None))  # fmt: skip
    assert [(one.groups, one.gradient_cache_chunks, one.remat) for one in tried] == [(8, 2, "dots")]


def test_keys_that_were_given(tmp_path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("chunks = 2\n[mesh]\nfsdp = 4\n")
    assert given_keys(RunConfig(), ["batch.rows=4"], file) == {"gradient_cache_chunks", "mesh.fsdp", "batch.rows"}
    with pytest.raises(ValueError, match="no setting"):
        given_keys(RunConfig(), ["rows"])
