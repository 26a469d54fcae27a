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
    """Sums over rows, one entry per task; sums of several batches may be added entry by entry.

    Attributes:
        loss: weighted losses; divided by `weight` the mean loss.
        weight: weights of the rows.
        rows: number of real rows.
        correct: rows whose positive beat every candidate.
        contrasted: rows that had candidates; `correct / contrasted` is the in-batch accuracy.
        agreement: cosines with a teacher's vectors; divided by `rows` their mean. None without a teacher.
    """

    loss: Float[Any, "tasks"]
    weight: Float[Any, "tasks"]
    rows: Float[Any, "tasks"]
    correct: Float[Any, "tasks"]
    contrasted: Float[Any, "tasks"]
    agreement: Float[Any, "tasks"] | None = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Metrics:
    """Of one training step.

    Attributes:
        loss: weighted mean over rows.
        accuracy: share of the contrasted rows whose positive beat every candidate; NaN where none was contrasted.
        gradient_norm: global, before clipping.
        learning_rate: of this update.
        tokens: real tokens; the batch's shape says how many were computed.
        texts: real texts.
        by_task: sums per task.
    """

    loss: Float[Any, ""]
    accuracy: Float[Any, ""]
    gradient_norm: Float[Any, ""]
    learning_rate: Float[Any, ""]
    tokens: Int[Any, ""]
    texts: Int[Any, ""]
    by_task: TaskSums


def task_sums(batch: PairBatch, losses: RowLosses, tasks: int) -> TaskSums:
    """Sums of a batch for each of `tasks` tasks. Rows lie on all devices; the sums are everywhere."""
    weight = row_weights(batch)

    def by_task(x: Array) -> Float[Array, "tasks"]:
        return jax.ops.segment_sum(x.astype(jnp.float32).reshape(-1), batch.task.reshape(-1), tasks)

    return TaskSums(
        loss=by_task(weight * losses.loss),
        weight=by_task(weight),
        rows=by_task(batch.valid),
        correct=by_task(losses.correct),
        contrasted=by_task(losses.contrasted),
        agreement=by_task(losses.agreement) if isinstance(losses, DistilledLosses) else None,
    )


def count_texts(batch: PairBatch) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Real tokens and real texts of a batch."""
    return (batch.texts.segments >= 0).sum(), (batch.texts.slots >= 0).sum()
