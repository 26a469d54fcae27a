"""From a `RunConfig` to the `TrainConfig` it means: shared fields are equal, and errors speak the names of settings."""

import dataclasses

import pytest

from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.sharding import MeshShape
from instructor_jax.train.config import TrainConfig
from instructor_jax.train.distillation import DistillConfig
from instructor_jax.train.objective import LossConfig
from instructor_jax.train.optimizer import OptimizerConfig
from instructor_jax.train.run.train_config import group_shape, train_config, trained_model
from instructor_jax.train.settings.run_config import RunConfig
from instructor_jax.train.settings.sections import BatchConfig

MODEL = ModelConfig(EncoderConfig(vocab=64, embed=16, layers=2, heads=2, head_dim=8, ffn=32), max_length=32)
# for every field that both configurations have, a value that is not its default
SHARED = {
    "model": MODEL,
    "steps": 77,
    "seed": 7,
    "dropout": False,
    "dtype": "bfloat16",
    "gradient_cache_chunks": 2,
    "remat": "full",
    "attention": "einsum",
    "loss": LossConfig("in_batch", temperature=0.25),
    "distill": DistillConfig(teacher="any", weight=0.125),
    "optimizer": OptimizerConfig("adafactor", learning_rate=0.5, schedule_steps=123),
    "mesh": MeshShape(fsdp=2),
}


def meant(**changes: object) -> TrainConfig:
    run = RunConfig(batch=BatchConfig(groups=4, rows=6, length=64), **changes)  # type: ignore[arg-type]
    model = trained_model(run, run.model)
    return train_config(run, model, group_shape(run, model), ("all",))


def test_every_field_that_both_have_is_taken_over() -> None:
    both = {one.name for one in dataclasses.fields(RunConfig)} & {one.name for one in dataclasses.fields(TrainConfig)}
    assert both == set(SHARED)
    config = meant(**SHARED)
    for name, value in SHARED.items():
        assert getattr(config, name) == (trained_model(RunConfig(), MODEL) if name == "model" else value), name
        assert getattr(TrainConfig(), name) != value or name == "optimizer", name


def test_the_batch_becomes_groups_and_their_shape() -> None:
    config = meant(model=MODEL, max_length=24)
    assert (config.groups, config.group.rows, config.group.length, config.group.negatives) == (4, 6, 64, 1)
    assert config.model.max_length == 24
    assert config.model.normalize


def test_a_schedule_without_an_end_ends_with_the_run() -> None:
    assert meant(model=MODEL, steps=9, optimizer=OptimizerConfig(schedule_steps=0)).optimizer.schedule_steps == 9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": BatchConfig(rows=2, negatives=3)}, r"^batch\.rows=2 must be at least 5, .*batch\.negatives=3"),
        ({"batch": BatchConfig(rows=8, length=16)}, r"^batch\.length=16 must be at least model\.max_length=32"),
        ({"batch": BatchConfig(rows=8, examples=10_000)}, r"^batch\.examples=10000 must be at most"),
        ({"gradient_cache_chunks": 3}, r"^gradient_cache_chunks=3 must divide batch\.rows=8; possible are"),
        ({"loss": LossConfig(dims=(99,))}, r"^loss\.dims=\[99\] must be at most 16"),
    ],
)
def test_errors_speak_the_names_of_settings(changes: dict, message: str) -> None:
    run = RunConfig(**{"model": MODEL, **changes})
    model = trained_model(run, run.model)
    with pytest.raises(ValueError, match=message) as caught:
        train_config(run, model, group_shape(run, model), ("all",))
    assert "GroupShape" not in str(caught.value)
    assert "TrainConfig" not in str(caught.value)
