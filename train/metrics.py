"""What a step reports: sums per task, which add up over steps and batches, and a few numbers of the step itself."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from instructor_jax.losses.records import RowLosses

from .data.batches import PairBatch
from .distillation import DistilledLosses
from .objective import row_weights


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TaskSums:
    """Sums over examples, one entry per task; sums of several batches may be added entry by entry.

    Attributes:
        loss: Sum of weighted losses; divided by `weight` it is the mean loss.
        weight: Sum of the examples' weights.
        rows: Number of real examples.
        correct: Number of examples that had candidates and whose positive beat them all.
        contrasted: Number of examples that had candidates; `correct / contrasted` is the in-batch accuracy.
        teacher_cosine: Sum of cosines with a teacher's vectors; divided by `rows` it is their mean. None without a
            teacher.
    """

    loss: Float[Any, "tasks"]
    weight: Float[Any, "tasks"]
    rows: Float[Any, "tasks"]
    correct: Float[Any, "tasks"]
    contrasted: Float[Any, "tasks"]
    teacher_cosine: Float[Any, "tasks"] | None = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Metrics:
    """Metrics of one training step.

    Attributes:
        loss: Weighted mean loss over examples.
        accuracy: Fraction of the contrasted examples whose positive beat every candidate; NaN where none was
            contrasted.
        gradient_norm: Global gradient norm before clipping.
        learning_rate: Learning rate of this update.
        tokens: Number of real tokens; the batch's shape says how many were computed.
        texts: Number of real texts.
        by_task: Sums per task.
    """

    loss: Float[Any, ""]
    accuracy: Float[Any, ""]
    gradient_norm: Float[Any, ""]
    learning_rate: Float[Any, ""]
    tokens: Int[Any, ""]
    texts: Int[Any, ""]
    by_task: TaskSums


def task_sums(batch: PairBatch, losses: RowLosses, tasks: int) -> TaskSums:
    """Sums a batch for each of `tasks` tasks. Examples lie on all devices; the sums are everywhere."""
    weight = row_weights(batch)

    def by_task(x: Array) -> Float[Array, "tasks"]:
        return jax.ops.segment_sum(x.astype(jnp.float32).reshape(-1), batch.task.reshape(-1), tasks)

    return TaskSums(
        loss=by_task(weight * losses.loss),
        weight=by_task(weight),
        rows=by_task(batch.valid),
        correct=by_task(losses.correct),
        contrasted=by_task(losses.contrasted),
        teacher_cosine=by_task(losses.teacher_cosine) if isinstance(losses, DistilledLosses) else None,
    )


def count_texts(batch: PairBatch) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Counts the real tokens and the real texts of a batch."""
    return (batch.texts.segments >= 0).sum(), (batch.texts.slots >= 0).sum()
