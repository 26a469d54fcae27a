"""From a `RunConfig` to the `TrainConfig` that it means: the one place where the two meet.

What does not fit is told here in the settings' own names, before anything is read, made or allocated.
"""

import dataclasses
from collections.abc import Sequence

from jax.sharding import Mesh

from instructor_jax.config import ModelConfig
from instructor_jax.sharding import data_shards, make_mesh

from ..config import TrainConfig
from ..data.group_packing import GroupShape
from ..settings.run_config import RunConfig


def train_config(run: RunConfig, model: ModelConfig, shape: GroupShape, tasks: Sequence[str]) -> TrainConfig:
    """Returns what the run computes.

    Args:
        run: Settings of the run.
        model: Model that is trained, from `trained_model`.
        shape: Shape of a group, from `group_shape`.
        tasks: Names of the mixture's tasks; ("all",) where they are not known.

    Raises:
        ValueError: The settings do not fit the model or one another.
    """
    _check(run, model, shape.length)
    optimizer = run.optimizer
    if not optimizer.schedule_steps:
        optimizer = dataclasses.replace(optimizer, schedule_steps=run.steps)
    same = {one.name for one in dataclasses.fields(RunConfig)} & {one.name for one in dataclasses.fields(TrainConfig)}
    values = {name: getattr(run, name) for name in same}
    changed = {"model": model, "optimizer": optimizer, "tasks": tuple(tasks)}
    return TrainConfig(**{**values, **changed, "group": shape, "groups": run.batch.groups})


def trained_model(run: RunConfig, model: ModelConfig) -> ModelConfig:
    """Returns a model as a run trains it: vectors of unit length, texts as long and instructions pooled as it says."""
    pooled = model.pool_instruction if run.pool_instruction is None else run.pool_instruction
    length = run.max_length or model.max_length
    return dataclasses.replace(model, normalize=True, max_length=length, pool_instruction=pooled)


def group_shape(run: RunConfig, model: ModelConfig, examples: int | None = None) -> GroupShape:
    """Returns the static shape of a group.

    Args:
        run: Settings of the run.
        model: Model that is trained.
        examples: Largest number of examples of a group, where the settings leave that to the mixture's lengths; None
            for as many as there is room for if every text has the most tokens that it may have.

    Raises:
        ValueError: No example fits, or not so many.
    """
    batch, length = run.batch, run.batch.length or model.max_length
    texts = 2 + batch.negatives
    if batch.rows < texts:
        raise ValueError(
            f"batch.rows={batch.rows} must be at least {texts}, so that one example (query, positive and "
            f"batch.negatives={batch.negatives}) with texts of full length fits."
        )
    room = GroupShape(batch.rows, length, 1, batch.negatives)
    most = batch.rows * room.segments_per_row // texts
    told = run.mixture.rows_per_group or batch.examples
    if told > most:
        key = "mixture.rows_per_group" if run.mixture.rows_per_group else "batch.examples"
        raise ValueError(
            f"{key}={told} must be at most {most}: batch.rows={batch.rows} of {length} tokens hold "
            f"{room.segments_per_row} texts each, and an example has {texts}."
        )
    if examples is None:
        examples = max(1, batch.rows * (length // model.max_length) // texts)
    return dataclasses.replace(room, examples=told or min(examples, max(1, most)))


def check_settings(run: RunConfig, model: ModelConfig, tasks: Sequence[str], mesh: Mesh) -> TrainConfig:
    """Checks all that can be checked without the mixture's texts; returns a configuration of full-length texts.

    Raises:
        ValueError: Something does not fit; names the setting.
    """
    model = trained_model(run, model)
    length = run.batch.length or model.max_length
    _check(run, model, length)  # before the shape, whose messages suppose that a text fits into a row
    config = train_config(run, model, group_shape(run, model), tasks)
    shards = data_shards(mesh)
    if config.groups % shards:
        raise ValueError(
            f"batch.groups={config.groups} must be a multiple of {shards}, the devices that hold different examples; "
            f"try {-(-config.groups // shards) * shards}."
        )
    return config


def mesh_of(run: RunConfig) -> Mesh:
    """Returns the mesh of all devices in the shape that the settings say.

    Raises:
        ValueError: The shape does not fit them.
    """
    try:
        return make_mesh(run.mesh)
    except ValueError as error:
        shape = " ".join(f"mesh.{key}={value}" for key, value in dataclasses.asdict(run.mesh).items())
        raise ValueError(str(error).replace(str(run.mesh), shape)) from error


def _check(run: RunConfig, model: ModelConfig, length: int) -> None:
    if length < model.max_length:
        key = "max_length" if run.max_length else "model.max_length"
        raise ValueError(
            f"batch.length={length} must be at least {key}={model.max_length}, or a long text fits into no row; raise "
            "the one or lower the other."
        )
    if run.gradient_cache_chunks < 1 or run.batch.rows % run.gradient_cache_chunks:
        divisors = [n for n in range(1, run.batch.rows + 1) if run.batch.rows % n == 0]
        raise ValueError(
            f"gradient_cache_chunks={run.gradient_cache_chunks} must divide batch.rows={run.batch.rows}; "
            f"possible are {divisors}."
        )
    if run.loss.dims and run.loss.dims[0] > model.embedding_dim:
        raise ValueError(
            f"loss.dims={list(run.loss.dims)} must be at most {model.embedding_dim}, the size of the vectors."
        )
