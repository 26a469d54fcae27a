"""The endless stream of one task's examples, pass after pass, cut into slices that are found without those before.

A pass is a line as long as all examples' costs, and each example a stretch of it; slice s is the examples that begin in
[s * budget, (s + 1) * budget) of the passes laid end to end. So every example is in exactly one slice of each pass,
whatever the order, and slices may reach from one pass into the next. At a cut a few examples change sides, so that both
sides cost what they should to within a few tokens; without that, every slice would have to leave room for an example.

All passes go through the rows in one keyed order, but each shuffles within segments of it, and the segments of odd
passes begin in the middle of those of even ones, like bricks. So other rows meet in every pass, and yet a row never
comes twice in the slices of one step, because no row moves further than the stream's slack allows.
"""

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int32, Int64

from .permutation import key_of, keyed_order

_LARGEST_HALF = 2**15  # rows of half a segment: bounds what is kept of a task, and the time to shuffle it
_EXCHANGED = 5  # rows on each side of a cut; 252 ways to exchange them
_HALVES = (4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128)


class TaskStream:
    """The slices of one task. Safe to use from several threads; may be pickled."""

    total: int
    budget: int
    slices_at_once: int

    def __init__(
        self, cost: Int32[np.ndarray, "rows"], budget: int, slices_at_once: int, key: int, shuffle: bool = True
    ) -> None:
        """
        Args:
            cost: Cost of each example, positive.
            budget: Cost of a slice.
            slices_at_once: Largest number of successive slices of one step, which must not hold an example twice.
            key: Key that decides the order.
            shuffle: Whether examples are shuffled; False takes them in the order given, in every pass.

        Raises:
            ValueError: There are no rows, or fewer than `slices_at_once` slices need.
        """
        if not len(cost) or cost.min() < 1:
            raise ValueError("a task needs rows, each of a cost of at least 1.")
        self.total = int(cost.sum(dtype=np.int64))
        if slices_at_once * budget > self.total:
            raise ValueError(
                f"{slices_at_once} slices of {budget} do not fit into a pass of {self.total}; a row would come twice."
            )
        self._cost, self._key, self._shuffle = cost, key, shuffle
        self.budget, self.slices_at_once = budget, slices_at_once
        self._segment = functools.lru_cache(maxsize=2)(self._shuffled)  # a slice lies in one segment or two
        self._cut = functools.lru_cache(maxsize=2)(self._exchange)  # and ends where the next one begins

    def __reduce__(self) -> tuple[Any, ...]:
        return TaskStream, (self._cost, self.budget, self.slices_at_once, self._key, self._shuffle)

    def slice(self, index: int) -> tuple[Int64[np.ndarray, "n"], Int64[np.ndarray, "n"]]:
        """Returns the examples of a slice, as indices into `cost`, and the pass each belongs to.

        There is at most one row more than fit into the budget at the least cost of a row.
        """
        first, last = self._cut(index * self.budget), self._cut((index + 1) * self.budget)
        order, _ = self._segment(first.number, first.segment)
        parts = [(first.number, order[first.begin : first.end][~first.left])]
        number, segment, begin = first.number, first.segment, first.end
        while (number, segment) < (last.number, last.segment):
            order, _ = self._segment(number, segment)
            parts.append((number, order[begin:]))
            begin, segment = 0, segment + 1
            if segment == len(self._ends[number % 2]):
                number, segment = number + 1, 0
        order, _ = self._segment(number, segment)
        parts += [(number, order[begin : last.begin]), (number, order[last.begin : last.end][last.left])]
        rows = np.concatenate([rows for _, rows in parts], dtype=np.int64)
        return rows, np.repeat([number for number, _ in parts], [len(rows) for _, rows in parts])

    def _exchange(self, position: int) -> "_Cut":
        """Returns where all passes are cut in two: as close to the position as exchanging examples allows."""
        number, offset = divmod(position, self.total)
        segment = int(np.searchsorted(self._ends[number % 2], offset, side="right"))
        order, starts = self._segment(number, segment)
        middle = int(np.searchsorted(starts, offset))
        begin = max(middle - _EXCHANGED, int(np.searchsorted(starts, offset - self._reach)))
        end = min(middle + _EXCHANGED, int(np.searchsorted(starts, offset + self._reach)))
        if offset == 0 or begin >= middle or end <= middle:  # a pass begins here, or there is nothing to exchange
            return _Cut(number, segment, middle, middle, np.empty(0, np.bool_))
        choices = _choices(end - begin, middle - begin)
        error = choices @ self._cost[order[begin:end]].astype(np.int64) - (offset - starts[begin])
        return _Cut(number, segment, begin, end, choices[np.argmin(np.abs(error))])

    def _shuffled(self, number: int, segment: int) -> tuple[Int32[np.ndarray, "part"], Int64[np.ndarray, "part"]]:
        """Returns a segment's examples in the order of a pass, and where each begins in the pass."""
        bounds = self._bounds[number % 2]
        rows = self._order[bounds[segment] : bounds[segment + 1]]
        if self._half > 1:
            rows = rows[keyed_order(key_of("pass", self._key, number, segment), len(rows))]
        ends = np.cumsum(self._cost[rows], dtype=np.int64)
        return rows, int(self._ends[number % 2][segment]) - ends[-1] + ends - self._cost[rows]

    @functools.cached_property
    def _order(self) -> Int32[np.ndarray, "rows"]:
        """Returns the order that every pass shuffles a little."""
        if not self._shuffle:
            return np.arange(len(self._cost), dtype=np.int32)
        return keyed_order(key_of("order", self._key), len(self._cost))

    @functools.cached_property
    def _half(self) -> int:
        """Returns the number of examples of half a segment; 1 means that passes are not shuffled.

        The two places of a row in successive passes lie in two overlapping segments, three halves long together. If
        those cost no more than what a pass has beyond the slices of one step and their cuts' reach, both cannot be in
        one step.
        """
        slack = self.total - self.slices_at_once * self.budget - 2 * self._reach
        for halves in _HALVES if self._shuffle else ():
            half = min(-(-len(self._cost) // halves), _LARGEST_HALF)
            parts = np.add.reduceat(self._cost[self._order], np.arange(0, len(self._cost), half), dtype=np.int64)
            ends = np.append(0, parts.cumsum())
            if half > 1 and (ends[3:] - ends[:-3]).max() <= slack:
                return half
        return 1

    @functools.cached_property
    def _reach(self) -> int:
        """Returns how far from a cut an example may begin that is exchanged; cuts' reaches do not overlap."""
        if not self._shuffle:
            return 0
        return min(self.budget // 2, (self.total - self.slices_at_once * self.budget) // 4)

    @functools.cached_property
    def _bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the first examples of the segments of even and of odd passes, and the number of examples."""
        size, half = len(self._order), self._half if self._half > 1 else _LARGEST_HALF
        even, odd = np.arange(0, size, 2 * half), np.arange(half, size, 2 * half)
        return np.append(even, size), np.concatenate([[0], odd, [size]])

    @functools.cached_property
    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns where the segments of even and of odd passes end in their pass."""
        cost = self._cost[self._order]
        even, odd = (np.add.reduceat(cost, bounds[:-1], dtype=np.int64).cumsum() for bounds in self._bounds)
        return even, odd


def row_stream(rows: int, rows_per_slice: int, slices_at_once: int, key: int, shuffle: bool = True) -> TaskStream:
    """Returns a stream whose slices have a fixed number of examples, whatever their length."""
    budget = min(rows, rows_per_slice)
    return TaskStream(np.ones(rows, np.int32), budget, min(slices_at_once, rows // budget), key, shuffle)


class _Cut(NamedTuple):
    """A place in a segment: rows before `begin` lie left of it, from `end` on right, and between as `left` says."""

    number: int
    segment: int
    begin: int
    end: int
    left: Bool[np.ndarray, "between"]


@functools.lru_cache
def _choices(size: int, taken: int) -> Bool[np.ndarray, "choices size"]:
    """Returns all ways to take `taken` of `size` examples or one fewer, a line each."""
    ways = [way for number in (taken, taken - 1) for way in itertools.combinations(range(size), number)]
    return np.array([[row in way for row in range(size)] for way in ways])
