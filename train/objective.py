"""What is minimised: which loss of `instructor_jax` applies to which rows of a batch, with each task's own settings.

Rows that carry a score are ranked by it; all others are contrasted. Settings per task are tables over the tasks'
numbers, looked up for every row, so one compiled step serves all tasks.
"""

import dataclasses
import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from instructor_jax.losses.contrastive import in_batch_loss, matryoshka, original_loss
from instructor_jax.losses.cosent import ranking_loss
from instructor_jax.losses.records import Loss, RowLosses, Scoring

from .data.batches import PairBatch, per_example
from .own_loss import LossInputs, OwnLoss, own_row_losses
from .settings.types import check_types


@dataclasses.dataclass(frozen=True)
class TaskLoss:
    """Loss settings of one task that differ from the others'.

    Attributes:
        task: Name of the task.
        temperature: Temperature of the task; None for that of all tasks.
        in_batch: Whether other examples' texts are negatives. Where classes are few (sentiment), most of them would be
            false, and an example has only its own hard negatives.
    """

    task: str
    temperature: float | None = None
    in_batch: bool = True


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """The contrastive loss; its defaults are the original's.

    Attributes:
        name: Name of the loss: `original`, the published code's (only hard negatives are negatives of a query), or
            `in_batch`, with all texts of the task in the global batch.
        temperature: Temperature that cosines are divided by. 0.01 is the paper's, and the README's until 2023-09-15,
            which says 0.1 since then.
        both_directions: Whether `in_batch` adds the loss from positive to query. The original always has it.
        mask_false_negatives: Whether `in_batch` leaves out false negatives: texts known to be right. The original never
            does.
        dims: Sizes of nested prefixes that are trained too, descending (Matryoshka); () for the whole vector alone.
        dim_weights: Weights of the prefixes; () for 1 each.
        per_task: Tasks with settings of their own.
        score_scale: Steepness of the ranking loss of scored examples.
        rows_at_a_time: Number of score rows that a device holds at once; memory against number of steps of a loop.
    """

    name: Literal["original", "in_batch"] = "original"
    temperature: float = 0.01
    both_directions: bool = True
    mask_false_negatives: bool = True
    dims: tuple[int, ...] = ()
    dim_weights: tuple[float, ...] = ()
    per_task: tuple[TaskLoss, ...] = ()
    score_scale: float = 20.0  # CoSENT's
    rows_at_a_time: int = 512

    def __post_init__(self) -> None:
        check_types(self, "loss.")
        if self.name not in ("original", "in_batch"):
            raise ValueError(f"loss.name={self.name!r} must be 'original' or 'in_batch'.")
        temperatures = {"loss.temperature": self.temperature, "loss.score_scale": self.score_scale}
        temperatures |= {f"loss.per_task: temperature of {one.task!r}": one.temperature for one in self.per_task}
        for key, value in temperatures.items():
            if value is not None and not 0.0 < value < math.inf:
                raise ValueError(f"{key}={value} must be positive.")
        if self.rows_at_a_time < 1:
            raise ValueError(f"loss.rows_at_a_time={self.rows_at_a_time} must be at least 1.")
        if list(self.dims) != sorted(set(self.dims), reverse=True) or (self.dims and self.dims[-1] < 1):
            raise ValueError(f"loss.dims={self.dims} must be positive and descending, as in (768, 256, 64).")
        if len(self.dim_weights) not in (0, len(self.dims)):
            raise ValueError(
                f"loss.dim_weights={self.dim_weights} must be one for each of dims={self.dims}, or () for 1 each."
            )
        names = [one.task for one in self.per_task]
        if len(set(names)) < len(names):
            raise ValueError(f"loss.per_task names a task twice: {sorted(names)}.")
        for one in self.per_task:
            if self.name == "original" and not one.in_batch:
                raise ValueError(
                    f"task {one.task!r}: in_batch=False needs loss.name='in_batch'; the original has none."
                )


def row_losses(
    config: LossConfig,
    tasks: Sequence[str],
    batch: PairBatch,
    vectors: Float[Array, "groups texts dim"],
    precision: jax.lax.Precision = jax.lax.Precision.HIGHEST,
    own: OwnLoss | None = None,
) -> RowLosses:
    """Returns the loss of every example.

    Args:
        config: Settings of the loss.
        tasks: Names of all tasks, in the order of their numbers.
        batch: Batch of the examples.
        vectors: Vectors of `batch.texts`, of unit length.
        precision: Precision of products of vectors.
        own: Caller's loss, which takes the place of the configured one.

    Raises:
        ValueError: `own` gives something else than the contract of `own_loss` says.
    """
    pairs = pairs_of(batch, vectors, config, tasks)
    if own is not None:
        ranks = partial(in_batch_loss, scoring=Scoring(config.rows_at_a_time, precision), both_directions=False)
        return own_row_losses(own, pairs, ranks)
    loss = _contrastive(config, Scoring(config.rows_at_a_time, precision))
    if batch.score is None:
        return loss(pairs)
    scored = ~jnp.isnan(batch.score)
    ranked = ranking_loss(pairs, batch.score, config.rows_at_a_time, config.score_scale)
    contrasted = loss(dataclasses.replace(pairs, valid=pairs.valid & ~scored))
    return jax.tree.map(lambda x, y: jnp.where(scored, x, y), ranked, contrasted)


def row_weights(batch: PairBatch) -> Float[Array, "groups n"]:
    """Returns how much each example counts in the mean loss; 0 for filler examples."""
    weight = jnp.ones(batch.valid.shape, jnp.float32) if batch.weight is None else batch.weight
    return jnp.where(batch.valid, weight, 0.0)


def _contrastive(config: LossConfig, scoring: Scoring) -> Loss:
    loss: Loss = partial(original_loss, scoring=scoring)
    if config.name == "in_batch":
        loss = partial(
            in_batch_loss,
            scoring=scoring,
            both_directions=config.both_directions,
            mask_false_negatives=config.mask_false_negatives,
        )
    if not config.dims:
        return loss
    weights = config.dim_weights or (1.0,) * len(config.dims)
    return partial(matryoshka, loss, dims=config.dims, weights=weights)


def pairs_of(
    batch: PairBatch,
    vectors: Float[Array, "groups texts dim"],
    config: LossConfig = LossConfig(),
    tasks: Sequence[str] = ("all",),
) -> LossInputs:
    """Returns queries, positives and negatives with all that is known of their examples, as every loss is given them.

    Args:
        batch: Batch of the examples.
        vectors: Vectors of `batch.texts`, as the model gives them, of unit length.
        config: Settings of the loss: the examples' temperatures, and whether other examples' texts are their
            candidates.
        tasks: Names of all tasks, in the order of their numbers; they matter where `config.per_task` names any.
    """
    query, positive, negatives = batch.split(vectors)
    teacher = (None, None, None) if batch.teacher is None else batch.split(batch.teacher)
    temperature, in_batch = task_tables(config, tasks)
    return LossInputs(
        query,
        positive,
        negatives,
        valid=batch.valid,
        negative_valid=batch.negative_valid,
        temperature=per_example(temperature, batch.task),
        in_batch=per_example(in_batch, batch.task),
        task=batch.task,
        query_id=batch.query_id,
        positive_id=batch.positive_id,
        negative_id=batch.negative_id,
        label=batch.label,
        score=batch.score,
        weight=batch.weight,
        teacher_query=teacher[0],
        teacher_positive=teacher[1],
        teacher_negatives=teacher[2],
    )


def task_tables(
    config: LossConfig, tasks: Sequence[str]
) -> tuple[Float[np.ndarray, "tasks"], Bool[np.ndarray, "tasks"]]:
    """Returns the temperature and the in-batch switch of every task, in the order of their numbers.

    Raises:
        ValueError: `per_task` names a task that there is not.
    """
    own = {one.task: one for one in config.per_task}
    unknown = sorted(set(own) - set(tasks))
    if unknown:
        raise ValueError(
            f"loss.per_task names {unknown[0]!r}, which is no task of the mixture; its tasks are "
            f"{', '.join(list(tasks)[:10])}{', ...' if len(tasks) > 10 else ''}."
        )
    settings = [own.get(task, TaskLoss(task)) for task in tasks]
    temperature = [config.temperature if one.temperature is None else one.temperature for one in settings]
    return np.array(temperature, np.float32), np.array([one.in_batch for one in settings])
