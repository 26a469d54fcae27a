"""Builds the NumPy arrays of a `PairBatch` from planned examples and the token cache: the work of an input worker.

A host builds its own groups only; those of other hosts never pass through its memory.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from instructor_jax.text.batches import TokenBatch

from .batches import PairBatch
from .group_packing import GroupShape, pack_group
from .mixture import MixturePlan
from .teacher_vectors import TeacherVectors
from .token_cache import TokenCache


@dataclasses.dataclass(frozen=True)
class HostBatch:
    """The groups of one host in one step.

    Attributes:
        step: Number of the step.
        batch: NumPy arrays [this host's groups, ...].
        examples: Number of real examples in them.
        tokens: Number of real tokens in them.
        cut_tokens: Number of tokens that had to be cut off to fit the static shape; 0 in nearly every step.
    """

    step: int
    batch: PairBatch
    examples: int
    tokens: int
    cut_tokens: int


class BatchBuilder:
    """Builds this host's part of a batch from the step's number. May be pickled, and used from several threads."""

    plan: MixturePlan
    cache: TokenCache
    teacher: TeacherVectors | None
    groups: list[int]

    def __init__(
        self,
        plan: MixturePlan,
        cache: TokenCache,
        groups: Sequence[int] | None = None,
        task_numbers: Sequence[int] | None = None,
        teacher: TeacherVectors | None = None,
    ) -> None:
        """
        Args:
            plan: Plan of what is in each group, made from `cache.rows`.
            cache: Token cache of the mixture.
            groups: Numbers of this host's groups, ascending, `pipeline.local_groups`; None means all.
            task_numbers: Number of each of the plan's tasks in the run; None where they are the plan's own.
            teacher: Vectors of a teacher for the cache's texts, where batches are to carry them.
        """
        self.plan, self.cache, self.teacher = plan, cache, teacher
        self.groups = list(range(plan.groups)) if groups is None else list(groups)
        # one more for the empty group, whose task is -1
        self._task_numbers = np.append(range(len(plan.tasks)) if task_numbers is None else task_numbers, -1)

    def __call__(self, step: int) -> HostBatch:
        """Returns the host's groups of a step."""
        plan = self.plan(step)
        rows = [self._rows(int(plan.task[group]), int(plan.slice[group])) for group in self.groups]
        shape, cache = self.plan.shape, self.cache
        tokens, ends, unpooled = (cache.array(name) for name in ("tokens", "text_ends", "unpooled"))
        numbers = [self._numbers(own, passes) for own, passes in rows]
        slots = [slot_order(one, shape) for one in numbers]
        packed = [pack_group(one, tokens, ends, unpooled, shape) for one in slots]
        texts = TokenBatch(
            tokens=np.stack([one.tokens for one in packed]),
            segments=np.stack([one.segments for one in packed]),
            pooled=np.stack([one.pooled for one in packed]),
            slots=np.stack([one.slots for one in packed]),
            segments_per_row=shape.segments_per_row,
        )
        examples = sum(len(one) for one, _ in rows)
        cut = sum(one.cut for one in packed)
        tasks = self._task_numbers[plan.task[self.groups]]
        batch = self._batch(texts, tasks, [one for one, _ in rows], np.stack(numbers))
        if self.teacher is not None:
            batch = dataclasses.replace(batch, teacher=self.teacher(np.stack(slots)))
        return HostBatch(step, batch, examples, int((texts.segments >= 0).sum()), cut)

    def _rows(self, task: int, number: int) -> tuple[Int64[np.ndarray, "m"], Int64[np.ndarray, "m"]]:
        if task < 0:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        return self.plan.rows(task, number)

    def _numbers(
        self, rows: Int64[np.ndarray, "m"], passes: Int64[np.ndarray, "m"]
    ) -> Int64[np.ndarray, "n texts_of_row"]:
        """Returns the text numbers of a group's examples, -1 from the last real one on."""
        shape = self.plan.shape
        numbers = np.full((shape.examples, shape.texts_per_example), -1)
        numbers[: len(rows)] = self.cache.rows.of(rows, passes, shape.negatives)
        return numbers

    def _batch(
        self,
        texts: TokenBatch,
        tasks: Int64[np.ndarray, "groups"],
        rows: Sequence[Int64[np.ndarray, "_"]],
        numbers: Int64[np.ndarray, "groups n texts_of_row"],
    ) -> PairBatch:
        here = numbers >= 0
        hashes = np.where(here[..., None], self.cache.array("text_hash")[np.maximum(numbers, 0)], np.uint32(0))
        valid, negatives = here[..., 0], self.plan.shape.negatives > 0

        def of_rows(name: str, fill: float) -> np.ndarray | None:
            if name not in self.cache.has:
                return None
            stored = self.cache.array(name)
            values = np.full(valid.shape, fill, stored.dtype)
            values[valid] = stored[np.concatenate(rows)]
            return values

        return PairBatch(
            texts=texts,
            task=np.where(valid, tasks[:, None], -1).astype(np.int32),
            query_id=hashes[:, :, 0],
            positive_id=hashes[:, :, 1],
            negative_id=hashes[:, :, 2:] if negatives else None,
            valid=valid,
            negative_valid=here[..., 2:] if negatives else None,
            score=of_rows("score", np.nan),
            weight=of_rows("weight", 0.0),
            label=of_rows("label", 0.0),
        )


def slot_order(numbers: Int64[np.ndarray, "n texts_of_row"], shape: GroupShape) -> Int64[np.ndarray, "slots"]:
    """Returns texts in the order of a group's text slots: all queries, all positives, then each example's negatives."""
    assert numbers.shape == (shape.examples, shape.texts_per_example)
    return np.concatenate([numbers[:, 0], numbers[:, 1], numbers[:, 2:].ravel()])
