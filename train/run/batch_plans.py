"""Which rows make up which step: the shape of a group, what is computed, the plans of training and held-out rows."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float64, Int64

from instructor_jax.config import ModelConfig

from ..config import TrainConfig
from ..data.batch_builder import BatchBuilder
from ..data.budget import examples_needed
from ..data.group_packing import GroupShape
from ..data.mixture import ExampleOrder, MixturePlan
from ..data.pipeline import local_groups
from ..data.staged_batches import StagedBatches
from ..data.teacher_vectors import TeacherVectors
from ..data.token_cache import Reading, TokenCache
from ..settings.mixture_config import weights_of
from ..settings.run_config import RunConfig
from .data import ChosenExamples, OpenedData, Rows, no_instruction_steps
from .train_config import group_shape, train_config


@dataclasses.dataclass(frozen=True)
class PlannedBatches:
    """What every step computes, and on which examples.

    Attributes:
        config: Configuration of what is computed.
        stages: Plan of each stage of the run.
        held_out: Plan of held-out examples; None where there are none.
    """

    config: TrainConfig
    stages: tuple[MixturePlan, ...]
    held_out: MixturePlan | None

    @property
    def held_out_batches(self) -> int:
        """Returns the number of batches that show every held-out example about once."""
        if self.held_out is None:
            return 0
        return -(-int(np.ceil(sum(task.slices for task in self.held_out.tasks))) // self.config.groups)

    def rows_read(self, run: RunConfig, chosen: ChosenExamples) -> list[Int64[np.ndarray, "_"]]:
        """Returns the examples that each stage takes, with all held-out ones in the last: a teacher reads no others."""
        if not run.distill.on:
            return [np.zeros(0, np.int64)] * len(self.stages)
        alone = no_instruction_steps(run)
        steps = [alone, run.steps - alone] if len(self.stages) == 2 else [run.steps]
        rows = [plan.rows_of_steps(count) for plan, count in zip(self.stages, steps, strict=True)]
        rows[-1] = np.concatenate([rows[-1], *chosen.held.values()])
        return rows


def plan_batches(
    run: RunConfig,
    model: ModelConfig,
    data: OpenedData,
    readings: Sequence[Reading],
    chosen: ChosenExamples,
    mesh: Mesh,
) -> PlannedBatches:
    """Plans the steps of a run.

    Args:
        run: Settings of the run.
        model: Model that is trained.
        data: Mixture and its tasks.
        readings: Mixture with its tokens, as each stage reads it.
        chosen: Examples that are trained on and held out.
        mesh: Mesh of the devices.

    Raises:
        ValueError: Batch or parameters cannot be divided among the devices, or rows do not fit the batch.
    """
    shape = _shape(run, model, [one.cache for one in readings], chosen.kept)
    config = train_config(run, model, shape, data.tasks).suited_to(mesh)
    config.check_mesh(mesh)
    stages = tuple(_plan(run, one.cache, chosen.kept, shape) for one in readings)
    return PlannedBatches(config, stages, _held_out_plan(readings[-1].cache, chosen.held, shape, config.groups))


def build_batches(
    run: RunConfig,
    mesh: Mesh,
    planned: PlannedBatches,
    readings: Sequence[Reading],
    chosen: ChosenExamples,
    vectors: Sequence[TeacherVectors | None],
) -> tuple[BatchBuilder | StagedBatches, BatchBuilder | None]:
    """Returns this host's builders of the steps' batches and of held-out ones; None where no examples are held out.

    Args:
        run: Settings of the run.
        mesh: Mesh of the devices.
        planned: Plans of the batches.
        readings: Mixture with its tokens, as each stage reads it.
        chosen: Examples that are trained on and held out.
        vectors: Vectors of a teacher, for each stage.
    """
    config = planned.config
    own, numbers = local_groups(mesh, config.groups).tolist(), {task: i for i, task in enumerate(config.tasks)}
    kept = [numbers[task] for task in chosen.kept]
    builders = [
        BatchBuilder(plan, one.cache, own, kept, teacher)
        for plan, one, teacher in zip(planned.stages, readings, vectors, strict=True)
    ]
    batches = StagedBatches(builders[0], no_instruction_steps(run), builders[1]) if len(builders) == 2 else builders[0]
    if planned.held_out is None:
        return batches, None
    held = [numbers[task] for task in chosen.held]
    return batches, BatchBuilder(planned.held_out, readings[-1].cache, own, held, vectors[-1])


def _weights(run: RunConfig, tasks: Rows) -> Float64[np.ndarray, "tasks"]:
    return weights_of({task: len(rows) for task, rows in tasks.items()}, run.mixture)


def _plan(run: RunConfig, cache: TokenCache, tasks: Rows, shape: GroupShape) -> MixturePlan:
    fixed = run.mixture.rows_per_group or None
    weights = _weights(run, tasks)
    order = ExampleOrder(run.seed, fixed, run.mixture.shuffle)
    plan = MixturePlan(cache.rows, tasks, weights, shape, run.batch.groups, order)
    if not fixed:
        plan.warn_of_padding()
    return plan


def _shape(run: RunConfig, model: ModelConfig, caches: Sequence[TokenCache], tasks: Rows) -> GroupShape:
    if run.mixture.rows_per_group or run.batch.examples:
        return group_shape(run, model)
    weights, batch = _weights(run, tasks), run.batch
    tokens = batch.rows * (batch.length or model.max_length)
    needed = max(examples_needed(one.rows, tasks, weights, tokens, batch.negatives) for one in caches)
    return group_shape(run, model, needed)


def _held_out_plan(cache: TokenCache, held: Rows, shape: GroupShape, groups: int) -> MixturePlan | None:
    """Plans batches that show all held-out examples about once: tasks by their tokens, so that one pass covers each."""
    if not held:
        return None
    weights = [float(cache.rows.costs(shape.negatives, 1, rows).sum(dtype=np.int64)) for rows in held.values()]
    return MixturePlan(cache.rows, held, weights, shape, groups)
