"""The packer: which texts share a row. Longest first, each text into the fullest row that has room for it.

Texts of one length are placed at once, a run of them to a row, which gives the same rows as one by one: the row that
took a text is the fullest that may take the next. So the loop runs over runs, and what is done per text is NumPy.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Int, Int32, Int64


@dataclasses.dataclass(frozen=True)
class Places:
    """Where each text lies.

    Attributes:
        row: Number of its row.
        start: First token in the row.
        segment: Number within the row; texts of a row lie side by side in this order.
        rows: How many rows they take.
    """

    row: Int32[np.ndarray, "texts"]
    start: Int32[np.ndarray, "texts"]
    segment: Int32[np.ndarray, "texts"]
    rows: int


def best_fit(
    lengths: Int[np.ndarray, "texts"], capacity: Callable[[int], int], segments: Callable[[int], int]
) -> Places:
    """Places texts into as many rows as they need.

    Args:
        lengths: Tokens of each text, at least 1.
        capacity: Tokens of the row that is opened for a text of so many tokens, at least as many.
        segments: Most texts of a row of so many tokens.
    """
    size_of: list[int] = []  # tokens of each row
    places: list[int] = []  # how many more texts each row may take
    most: list[int] = []  # and how many at first
    room: dict[int, list[int]] = {}  # free tokens -> rows that may still take a text
    free_sizes = 0  # bit n is set when some row in `room` has n free tokens
    runs: list[tuple[int, int, int, int, int]] = []  # first row, rows, texts of each, first token, first segment
    sizes, counts = np.unique(lengths, return_counts=True)
    for size, left in zip(sizes[::-1].tolist(), counts[::-1].tolist(), strict=True):
        while left:
            fitting = free_sizes >> size
            if fitting:
                free = size + (fitting & -fitting).bit_length() - 1
                row = room[free].pop()
                if not room[free]:
                    free_sizes &= ~(1 << free)
                taken = min(left, free // size, places[row])
                runs.append((row, 1, taken, size_of[row] - free, most[row] - places[row]))
                opened = [row]
            else:  # as many rows as these texts fill, and one for the rest
                free = capacity(size)
                limit = segments(free)
                taken = min(free // size, limit)
                fresh = max(left // taken, 1)
                taken = min(left, taken)
                opened = range(len(size_of), len(size_of) + fresh)
                runs.append((len(size_of), fresh, taken, 0, 0))
                size_of += [free] * fresh
                places += [limit] * fresh
                most += [limit] * fresh
            left -= taken * len(opened)
            free -= taken * size
            for row in opened:
                places[row] -= taken
            if free and places[opened[0]]:
                room.setdefault(free, []).extend(opened)
                free_sizes |= 1 << free
    return _of_each_text(np.array(runs, np.int64).reshape(-1, 5), lengths, len(size_of))


def _of_each_text(runs: Int64[np.ndarray, "runs 5"], lengths: Int[np.ndarray, "texts"], rows: int) -> Places:
    """Spreads runs of texts, taken longest first, to the place of each text."""
    first, _, taken, start, segment = np.repeat(runs, runs[:, 1], axis=0).T
    row = first + np.arange(len(first)) - np.repeat(np.cumsum(runs[:, 1]) - runs[:, 1], runs[:, 1])
    order = np.argsort(-lengths, kind="stable")
    run = np.repeat(np.arange(len(row)), taken)
    within = np.arange(len(order)) - np.repeat(np.cumsum(taken) - taken, taken)
    places = np.empty((3, len(order)), np.int32)
    places[:, order] = row[run], start[run] + within * lengths[order], segment[run] + within
    return Places(*places, rows=rows)
