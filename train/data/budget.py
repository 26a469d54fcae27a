"""How much of a task goes into one group of a step: a budget of tokens that its texts can be expected to fit into.

A slice, one group's part of a step, is a run of a task's examples of a certain cost, not a certain number of examples.
How many tokens fit is a matter of the task's lengths: texts of 300 tokens fill rows of 512 badly. So the budget is
found by packing some slices, such that three standard deviations more would still fit; where a slice has only a handful
of texts, whose fit jumps by whole texts, such that 19 of 20 slices do.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64, Int32, Int64

from .example_index import ExampleIndex
from .group_packing import GroupShape, fill_rows
from .task_stream import TaskStream

_SAMPLED_TEXTS = 5000  # over all samples of a task: bounds the time that many tasks and large groups take
_SAMPLES = (4, 8)  # at least and at most
_MANY = 64  # samples of slices so small that this many cost no more
_FIRST_TRY = 0.995  # of the tokens: packing seldom leaves less


def token_stream(
    texts: ExampleIndex, rows: Int64[np.ndarray, "rows"], shape: GroupShape, groups: int, key: int
) -> TaskStream:
    """Returns a task's stream with slices that fill groups with tokens.

    Args:
        texts: Texts of the examples of all tasks.
        rows: Numbers of the task's examples.
        shape: Shape of a group, with room for two examples at least.
        groups: Largest number of slices of one step.
        key: Key that decides the order.
    """
    cost = texts.costs(shape.negatives, -(-shape.length // shape.segments_per_row), rows)
    total = int(cost.sum(dtype=np.int64))
    if len(rows) <= shape.examples and total <= shape.tokens and _rows_needed(texts, rows, shape) <= shape.rows:
        return TaskStream(cost, total, 1, key)  # all of it fits into one group
    budget = min(total, int(_FIRST_TRY * shape.tokens))
    least = min(budget, int(cost.max()))  # so that no slice stays without an example
    while True:
        limited = _limited(cost, budget, shape)
        total = int(limited.sum(dtype=np.int64))
        stream = TaskStream(limited, min(budget, total), min(groups, max(1, total // budget)), key)
        expected = _expected_rows(stream, texts, rows, shape)
        if expected <= shape.rows or budget == least:
            return stream
        budget = max(least, int(budget * 0.998 * shape.rows / expected))


def examples_needed(
    texts: ExampleIndex,
    tasks: Mapping[str, range | Int64[np.ndarray, "rows"]],
    weights: Sequence[float] | Float64[np.ndarray, "tasks"],
    tokens: int,
    negatives: int,
    lost: float = 0.005,
) -> int:
    """Returns the fewest examples, a multiple of 8, that a group's shape must allow so that tokens are what limits it.

    Tasks of short texts have many examples to a group. Room for them costs next to nothing, beside the encoder: unused
    slots are masked. Too little room leaves the rows of those tasks half empty. Never more than a `GroupShape` with
    the usual number of segments takes.

    Args:
        texts: Texts of the examples of all tasks.
        tasks: Numbers of the examples of each task, by its name.
        weights: Weight of each task; only ratios count.
        tokens: Number of tokens of a group.
        negatives: Largest number of negatives of an example.
        lost: Fraction of the tokens that may be lost to the limit, 0 to 1.

    Raises:
        ValueError: `lost` is out of range.
    """
    if not 0 < lost < 1:
        raise ValueError(f"lost={lost} must be between 0 and 1.")
    costs = [texts.costs(negatives, 1, np.asarray(rows, np.int64)) for rows in tasks.values()]
    fractions = np.asarray(weights, np.float64) / np.sum(weights)

    def kept(examples: int) -> float:
        least = tokens / (examples - 1)
        return sum(
            fraction * cost.sum() / np.maximum(cost, least).sum()
            for fraction, cost in zip(fractions, costs, strict=True)
        )

    low, high = 0, max(1, tokens // (64 * (2 + negatives)))  # in eights; rows have room for a text every 8 tokens
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if kept(8 * middle) >= 1 - lost else (middle, high)
    return 8 * high


def _limited(cost: Int32[np.ndarray, "rows"], budget: int, shape: GroupShape) -> Int32[np.ndarray, "rows"]:
    """Returns costs such that no slice of a stream with this token budget has more than `shape.examples` examples."""
    return np.maximum(cost, math.ceil(budget / (shape.examples - 1))).astype(np.int32)


def _expected_rows(
    stream: TaskStream, texts: ExampleIndex, rows: Int64[np.ndarray, "rows"], shape: GroupShape
) -> float:
    """Returns the number of packed sequences that nearly all slices of the stream get along with."""
    first = rows[stream.slice(0)[0]]
    affordable = _SAMPLED_TEXTS // max(1, len(first) * shape.texts_per_example)
    samples = _MANY if affordable >= _MANY else min(max(_SAMPLES[0], affordable), _SAMPLES[1])
    needed = [_rows_needed(texts, rows[stream.slice(number)[0]], shape) for number in range(samples)]
    return float(np.quantile(needed, 0.95)) if samples == _MANY else float(np.mean(needed) + 3 * np.std(needed, ddof=1))


def _rows_needed(texts: ExampleIndex, rows: Int64[np.ndarray, "n"], shape: GroupShape) -> float:
    """Returns the number of packed sequences that these examples take; the emptiest one counts with its used part."""
    numbers = texts.of(rows, np.zeros_like(rows), shape.negatives)
    lengths = texts.lengths[numbers[numbers >= 0]]
    places = fill_rows(lengths, shape.length, shape.segments_per_row)
    used = np.bincount(places.row, lengths, minlength=1)
    return places.rows - 1 + used.min() / shape.length
