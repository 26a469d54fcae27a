"""The plan of a mixture: which examples fill every step, a pure function of seed, step, lengths and weights.

A step has one *slice* for each group: a run of examples of one task that fills the group. A task with enough examples
for a whole step gets all its slices, so that every text of the step can be a negative. Smaller tasks share steps: each
gets as many slices of a step as it can fill without an example coming twice, and scores between tasks are masked.
Nothing is remembered from step to step: a resumed run needs its step number only, and all hosts plan the same, however
many.
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from .budget import token_stream
from .example_index import ExampleIndex
from .group_packing import GroupShape
from .permutation import key_of, keyed_order
from .schedule import TaskSchedule
from .task_stream import TaskStream, row_stream

logger: logging.Logger = logging.getLogger(__name__)


def hold_out(rows: range, count: int, task: str) -> tuple[Int64[np.ndarray, "kept"], Int64[np.ndarray, "held"]]:
    """Splits off up to `count` examples, a tenth of the task at most, from those for training."""
    held = keyed_order(key_of("held out", task), len(rows))[: min(count, len(rows) // 10)]
    return np.delete(np.asarray(rows, np.int64), held), np.asarray(rows, np.int64)[np.sort(held)]


@dataclasses.dataclass(frozen=True)
class ExampleOrder:
    """In which order examples come, and how many of them a group takes.

    Attributes:
        seed: Random seed for the order.
        rows_per_group: Number of examples of every group; None fills groups with tokens. The shape must then have room
            for the longest such examples (`group_packing` cuts texts that do not fit).
        shuffle: Whether examples are shuffled. False, for `rows_per_group` only, takes them in stored order, so that
            the same successive examples meet, as they did in the original's training.
    """

    seed: int = 0
    rows_per_group: int | None = None
    shuffle: bool = True


class StepPlan(NamedTuple):
    """Task and slice of each group of a step; both are -1 for a group that stays empty."""

    step: int
    task: Int64[np.ndarray, "groups"]
    slice: Int64[np.ndarray, "groups"]


@dataclasses.dataclass(frozen=True)
class PlannedTask:
    """One task of a plan, and how often it comes.

    Attributes:
        name: Name of the task.
        rows: Number of its examples.
        weight: Weight among all groups that was asked for.
        effective_weight: Weight that it gets; differs where small tasks are too few to fill their steps.
        slices: Number of groups that a pass over its examples fills.
        fill: Fraction of the group's tokens that are real.
        alone: Whether its steps hold no other task.
    """

    name: str
    rows: int
    weight: float
    effective_weight: float
    slices: float
    fill: float
    alone: bool


class MixturePlan:
    """Which examples fill which group of which step. Safe to use from several threads; may be pickled."""

    shape: GroupShape
    groups: int
    names: tuple[str, ...]
    tasks: tuple[PlannedTask, ...]
    expected_fill: float

    def __init__(
        self,
        texts: ExampleIndex,
        tasks: Mapping[str, range | Int64[np.ndarray, "rows"]],
        weights: Sequence[float] | Float64[np.ndarray, "tasks"],
        shape: GroupShape,
        groups: int,
        order: ExampleOrder = ExampleOrder(),
    ) -> None:
        """
        Args:
            texts: Texts of the examples of all tasks, and their lengths.
            tasks: Numbers of the examples of each task, by its name.
            weights: Weight of each task, in the order of `tasks`; only ratios count.
            shape: Shape of a group.
            groups: Number of groups of a step, on all hosts together.
            order: Order of the examples, and how many of them a group takes.

        Raises:
            ValueError: A number is out of range, a task is empty, or a text is longer than the shape's rows.
        """
        if not tasks or len(weights) != len(tasks) or groups < 1:
            raise ValueError(
                f"{len(tasks)} tasks, {len(weights)} weights, {groups} groups: need a weight for each task."
            )
        _check(texts, shape, order)
        self.shape, self.groups, self.names = shape, groups, tuple(tasks)
        self._rows = [rows if isinstance(rows, range) else np.asarray(rows, np.int64) for rows in tasks.values()]
        self._streams: list[TaskStream] = []
        fills = []
        for name, given in zip(self.names, self._rows, strict=True):
            if not len(given):
                raise ValueError(f"task {name!r} has no rows; leave it out.")
            rows, key = np.asarray(given, np.int64), key_of("task", order.seed, name)
            if order.rows_per_group is None and shape.examples > 1:
                stream = token_stream(texts, rows, shape, groups, key)
            else:
                stream = row_stream(len(rows), order.rows_per_group or 1, groups, key, order.shuffle)
            self._streams.append(stream)
            real = texts.costs(shape.negatives, 1, rows).sum(dtype=np.int64)
            fills.append(float(real / stream.total * stream.budget / shape.tokens))
        self._choose(np.asarray(weights, np.float64), order.seed, fills)

    def _choose(self, weights: Float64[np.ndarray, "tasks"], seed: int, fills: Sequence[float]) -> None:
        """Decides which tasks have steps of their own, and when tasks come."""
        weights = weights / weights.sum()
        most = np.array([stream.slices_at_once for stream in self._streams])
        self._alone, self._small = np.flatnonzero(most == self.groups), np.flatnonzero(most < self.groups)
        effective = weights.copy()
        entries = weights[self._alone]
        if len(self._small):
            together = weights[self._small].sum()
            rates = shared_rates(weights[self._small], most[self._small], self.groups)
            effective[self._small] = together * rates / self.groups
            entries = np.append(entries, together)
            self._shared = TaskSchedule(rates, key_of("shared", seed), self.groups, most[self._small].tolist())
        self._steps = TaskSchedule(entries, key_of("steps", seed))
        slices = [stream.total / stream.budget for stream in self._streams]
        columns = (
            map(len, self._rows),
            weights.tolist(),
            effective.tolist(),
            slices,
            fills,
            (most == self.groups).tolist(),
        )
        self.tasks = tuple(PlannedTask(*values) for values in zip(self.names, *columns, strict=True))
        self.expected_fill = float(effective @ np.asarray(fills))

    def warn_of_padding(self, least: float = 0.9) -> None:
        """Logs a warning, with what to change, where steps would be filled worse than this share of their tokens."""
        if self.expected_fill < least:
            logger.warning(
                "only %.0f %% of the tokens of a step will be real on average; %d of %d tasks fill less than "
                "%.0f %% of a group: those of few rows need smaller groups, those of short texts more examples than "
                "%d, those of long texts longer rows than %d.",
                100 * self.expected_fill,
                sum(task.fill < least for task in self.tasks),
                len(self.tasks),
                100 * least,
                self.shape.examples,
                self.shape.length,
            )

    def __call__(self, step: int) -> StepPlan:
        """Returns the tasks and slices of a step.

        Raises:
            ValueError: The step is negative.
        """
        if step < 0:
            raise ValueError(f"step={step} must not be negative.")
        (entry,), (before,) = self._steps(step)
        if entry < len(self._alone):
            task = np.full(self.groups, self._alone[entry])
            return StepPlan(step, task, before * self.groups + np.arange(self.groups))
        places, slices = self._shared(int(before))
        return StepPlan(step, np.where(places < 0, -1, self._small[places]), np.where(places < 0, -1, slices))

    def rows(self, task: int, number: int) -> tuple[Int64[np.ndarray, "n"], Int64[np.ndarray, "n"]]:
        """Returns the numbers of the examples of a task's slice, and the pass over the task that each belongs to."""
        index, passes = self._streams[task].slice(number)
        rows = self._rows[task]
        return (rows.start + index * rows.step if isinstance(rows, range) else rows[index]), passes

    def rows_of_steps(self, steps: int) -> Int64[np.ndarray, "rows"]:
        """Returns the numbers of all examples that the first steps take, sorted, each once."""
        ends = np.zeros(len(self.names), np.int64)
        for step in range(steps):
            planned = self(step)
            real = planned.task >= 0
            np.maximum.at(ends, planned.task[real], planned.slice[real] + 1)
        parts = [self._first_rows(task, int(end)) for task, end in enumerate(ends) if end]
        return np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.int64)

    def _first_rows(self, task: int, slices: int) -> Int64[np.ndarray, "rows"]:
        if slices >= self.tasks[task].slices + 1:  # a whole pass
            return np.asarray(self._rows[task], np.int64)
        return np.concatenate([self.rows(task, number)[0] for number in range(slices)])


def _check(texts: ExampleIndex, shape: GroupShape, order: ExampleOrder) -> None:
    count = order.rows_per_group
    if count is not None and not 1 <= count <= shape.examples:
        raise ValueError(f"rows_per_group={count} must be 1 to {shape.examples}, the shape's examples.")
    if count is None and not order.shuffle:
        raise ValueError("shuffle=False needs rows_per_group: groups filled with tokens are cut from shuffled rows.")
    if texts.lengths.max(initial=0) > shape.length:
        raise ValueError(
            f"a text has {texts.lengths.max()} tokens, but packed rows only {shape.length}; use longer rows, or a "
            "token cache with a smaller max_length."
        )


def shared_rates(
    weights: Float64[np.ndarray, "small"], limits: Int64[np.ndarray, "small"], places: int
) -> Float64[np.ndarray, "small"]:
    """Returns places a step of tasks that share steps: proportional to weights, within limits, together `places`.

    Where all limits together are smaller than that, every task has its limit, and places stay empty.
    """
    rates = np.minimum(limits, places * weights / weights.sum())
    for _ in range(len(weights)):  # each round takes at least one task to its limit, or ends
        free = rates < limits
        missing = places - rates.sum()
        if missing <= 1e-9 * places or not free.any():
            break
        rates[free] *= 1 + missing / rates[free].sum()
        rates = np.minimum(limits, rates)
    return rates
