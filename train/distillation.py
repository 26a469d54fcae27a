"""Distillation: a teacher's vectors as a second aim beside the contrastive loss, or before it, or instead of it.

The teacher reads the text without instruction, the student instruction and text. An example's loss is a mixture of the
contrastive one and of how far its texts are from the teacher's view of them. The weight of the second is 1 in a first,
distill-only phase and then decays to the one that it keeps. So both stages are one run, with one schedule and state.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from instructor_jax.losses.distillation import cosines, similarity_loss, vector_loss
from instructor_jax.losses.records import RowLosses

from .data.batches import PairBatch, per_example
from .data.task_names import chosen_tasks
from .settings.former_names import accepts_former_names, formerly
from .settings.types import check_types


@accepts_former_names
@dataclasses.dataclass(frozen=True)
class DistillConfig:
    """What is learned from a teacher. Without a teacher there is no distillation.

    Attributes:
        teacher: Model that sentence-transformers loads: a folder, `package:NAME` (a model that an installed package of
            that name carries), or a name on the hub; "" for no distillation.
        teacher_tokens: Largest number of tokens of a text that it reads; its own limit where that is lower.
        teacher_prompt: Text that stands before every text that it reads.
        teacher_dtype: Floating-point type of its computation; bfloat16 is faster where the processor has it.
        weight: Weight of distillation in the loss, 0 to 1; the rest is the contrastive loss.
        distill_only: Fraction of the run's steps, from the first one on, in which distillation is the whole loss.
        decay: Fraction of the steps after those over which its weight falls to `weight`.
        without: Tasks, by name or pattern, that learn nothing from the teacher after the distill-only phase: those
            where texts that it finds alike are to lie apart.
        no_instruction: Whether the student reads texts without instructions in the distill-only phase, which is half
            the tokens.
        vectors: Weight of the loss on each text's own vector, which must have the teacher's size or a smaller one.
        similarities: Weight of the loss on how similar the texts of a group are to one another.
        temperature: Temperature of both; the smaller, the more the nearest texts count.
        static_init: Whether random weights start as a static model of the teacher: a bag of subwords, each with the
            teacher's vector of it.
    """

    teacher: str = ""
    teacher_tokens: int = 128
    teacher_prompt: str = ""
    teacher_dtype: Literal["float32", "bfloat16"] = "float32"
    weight: float = 0.5
    distill_only: float = formerly("alone", default=0.0)
    decay: float = formerly("fade", default=0.0)
    without: tuple[str, ...] = ()
    no_instruction: bool = formerly("bare", default=True)
    vectors: float = 1.0
    similarities: float = 1.0
    temperature: float = 0.05
    static_init: bool = formerly("start_embeddings", default=False)

    def __post_init__(self) -> None:
        check_types(self, "distill.")
        for name in ("weight", "distill_only", "decay"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"distill.{name}={getattr(self, name)} must be between 0 and 1.")
        if self.distill_only + self.decay > 1.0:
            raise ValueError(
                f"distill.distill_only={self.distill_only} and distill.decay={self.decay} are fractions of "
                "the run's steps; together they must be at most 1."
            )
        if min(self.vectors, self.similarities) < 0 or not 0 < self.vectors + self.similarities < math.inf:
            raise ValueError(
                f"distill.vectors={self.vectors} and distill.similarities={self.similarities} must be 0 or more, and "
                "not both 0."
            )
        if not 0.0 < self.temperature < math.inf:
            raise ValueError(f"distill.temperature={self.temperature} must be positive.")
        if self.teacher_tokens < 2:
            raise ValueError(f"distill.teacher_tokens={self.teacher_tokens} must be at least 2.")
        if self.teacher_dtype not in ("float32", "bfloat16"):
            raise ValueError(f"distill.teacher_dtype={self.teacher_dtype!r} must be float32 or bfloat16.")
        if self.static_init and not self.teacher:
            raise ValueError("distill.static_init=true needs distill.teacher=MODEL.")

    @property
    def on(self) -> bool:
        """Returns whether any step needs the teacher's vectors of the texts."""
        return bool(self.teacher) and (self.weight > 0 or self.distill_only > 0 or self.decay > 0)

    def distill_only_steps(self, steps: int) -> int:
        """Returns the number of steps of the distill-only phase in a run of `steps`."""
        return round(self.distill_only * steps)


def distill_weight_at(config: DistillConfig, steps: int, step: int | Int[Array, ""]) -> Float[Array, ""]:
    """Returns the weight of distillation in the loss of a step, the first being 0, in a run of `steps`."""
    first, decay = config.distill_only_steps(steps), round(config.decay * steps)
    decayed = jnp.clip((step + 1.0 - first) / (decay + 1), 0.0, 1.0)
    return 1.0 + (config.weight - 1.0) * decayed


def tasks_without_teacher(config: DistillConfig, tasks: Sequence[str]) -> Bool[np.ndarray, "tasks"]:
    """Returns which tasks `without` names.

    Raises:
        ValueError: One of its patterns fits no task.
    """
    named = set(chosen_tasks(tasks, config.without)) if config.without else set()
    return np.array([task in named for task in tasks])


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class DistilledLosses(RowLosses):
    """Losses of examples with distillation mixed in.

    Attributes:
        teacher_cosine: Mean cosine of the example's texts with the teacher's vectors; 0 where those have another size.
    """

    teacher_cosine: Float[Any, "groups n"]


def distill_weights(
    config: DistillConfig, tasks: Sequence[str], batch: PairBatch, weight: float | Float[Array, ""]
) -> Any:
    """Returns the weight of distillation for the examples of a batch: 0 after the distill-only phase for some tasks.

    Args:
        config: Settings that name those tasks.
        tasks: Names of all tasks, in the order of their numbers.
        batch: Batch of the examples.
        weight: Weight of distillation in the step, 0 to 1.
    """
    if not config.without:
        return weight
    excluded = (weight < 1.0) & per_example(tasks_without_teacher(config, tasks), batch.task)
    return jnp.where(excluded, 0.0, weight)


def with_distillation(
    config: DistillConfig,
    losses: RowLosses,
    batch: PairBatch,
    vectors: Float[Array, "groups texts dim"],
    weight: float | Float[Array, "*groups_n"],
    precision: jax.lax.Precision = jax.lax.Precision.HIGHEST,
) -> DistilledLosses:
    """Returns examples' losses with distillation mixed in: (1 - weight) * contrastive + weight * mean over the texts.

    Args:
        config: What is matched.
        losses: The contrastive losses.
        batch: Batch with `teacher` vectors.
        vectors: Vectors of `batch.texts`, of unit length.
        weight: Weight of distillation, 0 to 1, from `distill_weights`.
        precision: Precision of products of vectors.
    """
    assert batch.teacher is not None
    teacher = batch.teacher.astype(vectors.dtype)
    real = batch.texts.slots >= 0
    loss = jnp.zeros(real.shape, vectors.dtype)
    cosine = jnp.zeros(real.shape, vectors.dtype)
    if teacher.shape == vectors.shape:
        cosine = cosines(vectors, teacher)
        loss = loss + config.vectors * vector_loss(cosine, config.temperature)
    if config.similarities:
        similar = similarity_loss(vectors, teacher, real, config.temperature, precision)
        loss = loss + config.similarities * similar
    distilled, teacher_cosine = (_mean_of_row(batch, jnp.where(real, x, 0.0)) for x in (loss, cosine))
    return DistilledLosses(
        (1.0 - weight) * losses.loss + weight * distilled, losses.correct, losses.contrasted, teacher_cosine
    )


def _mean_of_row(batch: PairBatch, x: Float[Array, "groups texts"]) -> Float[Array, "groups n"]:
    """Returns the mean over the texts of each example; 0 for filler examples."""
    query, positive, negatives = batch.split(x[..., None])
    total, count = query[..., 0] + positive[..., 0], jnp.full(batch.valid.shape, 2.0)
    if negatives is not None and batch.negative_valid is not None:
        total = total + negatives[..., 0].sum(axis=-1)
        count = count + batch.negative_valid.astype(jnp.float32).sum(axis=-1)
    return jnp.where(batch.valid, total / count, 0.0)
