"""Packing a group's texts into rows of one static shape, whatever the texts: the shape every training step has.

`instructor_jax.text.packing` chooses among shapes for given texts; here the shape is given, and a batch is cut so that
its texts fit (`budget`). Should they fail to, because lengths happen not to combine, the longest texts are shortened to
a common limit until they do: no row is ever lost, at the price of a few tokens' reading.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Int, Int32, Int64, Integer


@dataclasses.dataclass(frozen=True)
class GroupShape:
    """Static shape of one group of a step.

    Attributes:
        rows: packed rows.
        length: tokens of a packed row; at least the longest text.
        examples: most examples (query, positive, negatives); n of the `PairBatch`.
        negatives: most negatives of an example; k of the `PairBatch`.
        segments: most texts of a packed row; 0 means one for every 8 tokens.
    """

    rows: int
    length: int
    examples: int
    negatives: int = 1
    segments: int = 0

    def __post_init__(self) -> None:
        if min(self.rows, self.length, self.examples) < 1 or self.negatives < 0 or self.segments < 0:
            raise ValueError(f"{self}: rows, length and examples must be at least 1, the others not negative.")
        if self.rows < self.texts_per_example:
            raise ValueError(
                f"{self}: rows={self.rows} must be at least {self.texts_per_example}, so that one example with texts "
                "of full length fits."
            )
        if self.rows * self.segments_per_row < self.examples * self.texts_per_example:
            raise ValueError(
                f"{self}: {self.rows} rows of {self.segments_per_row} texts cannot hold {self.examples} examples of "
                f"{self.texts_per_example} texts; take fewer examples, or more rows or segments."
            )

    @property
    def segments_per_row(self) -> int:
        """Most texts of a packed row."""
        return self.segments or max(4, self.length // 8)

    @property
    def texts_per_example(self) -> int:
        """Query, positive and negatives."""
        return 2 + self.negatives

    @property
    def tokens(self) -> int:
        """Tokens of a group, padding included."""
        return self.rows * self.length


@dataclasses.dataclass(frozen=True)
class Places:
    """Where texts lie: row, first token in the row, and number within the row. `rows` is how many rows they take."""

    row: Int32[np.ndarray, "texts"]
    start: Int32[np.ndarray, "texts"]
    segment: Int32[np.ndarray, "texts"]
    rows: int


def fill_rows(lengths: Int[np.ndarray, "texts"], length: int, segments: int) -> Places:
    """Longest first, each text into the fullest row that has room (best fit decreasing); texts of one length at once.

    Args:
        lengths: tokens of each text, 1 to `length`.
        length: tokens of a row.
        segments: most texts of a row.

    Raises:
        ValueError: a text is empty or longer than a row.
    """
    if len(lengths) and not (lengths.min() >= 1 and lengths.max() <= length):
        raise ValueError(f"texts of {lengths.min()} to {lengths.max()} tokens must have 1 to {length}, the row length.")
    used: list[int] = []  # texts of each row
    room: dict[int, list[int]] = {}  # free tokens -> rows that may still take a text
    free_sizes = 0  # bit n is set when some row in `room` has n free tokens
    runs: list[tuple[int, int, int, int]] = []  # row, texts, first token, first segment
    sizes, counts = np.unique(lengths, return_counts=True)
    for size, count in zip(sizes[::-1].tolist(), counts[::-1].tolist(), strict=True):
        left = count
        while left:
            fitting = free_sizes >> size
            if fitting:
                free = size + (fitting & -fitting).bit_length() - 1
                row = room[free].pop()
                if not room[free]:
                    free_sizes &= ~(1 << free)
            else:
                row, free = len(used), length
                used.append(0)
            taken = min(left, free // size, segments - used[row])
            runs.append((row, taken, length - free, used[row]))
            used[row] += taken
            free -= taken * size
            left -= taken
            if free and used[row] < segments:
                room.setdefault(free, []).append(row)
                free_sizes |= 1 << free
    return _spread(runs, lengths, len(used))


def _spread(runs: list[tuple[int, int, int, int]], lengths: Int[np.ndarray, "texts"], rows: int) -> Places:
    """The place of each text, from runs of texts taken longest first."""
    order = np.argsort(-lengths, kind="stable")
    row, taken, start, segment = np.array(runs, np.int64).reshape(-1, 4).T
    run = np.repeat(np.arange(len(runs)), taken)
    within = np.arange(len(order)) - np.repeat(np.cumsum(taken) - taken, taken)
    places = np.empty((3, len(order)), np.int32)
    places[:, order] = row[run], start[run] + within * lengths[order], segment[run] + within
    return Places(*places, rows=rows)


def fit(lengths: Int[np.ndarray, "texts"], shape: GroupShape) -> tuple[Places, int]:
    """Places in at most `shape.rows` rows, and the length that longer texts must be cut to (usually none is longer).

    Raises:
        ValueError: there are more texts than the shape has room for.
    """
    limit = int(lengths.max(initial=1))
    places = fill_rows(lengths, shape.length, shape.segments_per_row)
    if places.rows <= shape.rows:
        return places, limit
    low, high = 0, limit  # the longest limit that fits lies in [low, high); 0 is too small to be one
    while high - low > 1:
        middle = (low + high) // 2
        tried = fill_rows(np.minimum(lengths, middle), shape.length, shape.segments_per_row)
        if tried.rows <= shape.rows:
            low, places = middle, tried
        else:
            high = middle
    if not low:
        raise ValueError(f"{len(lengths)} texts do not fit into {shape}.")
    return places, low


@dataclasses.dataclass(frozen=True)
class PackedGroup:
    """The arrays of one group of a `TokenBatch`, and how many tokens had to be cut off."""

    tokens: Int32[np.ndarray, "rows len"]
    segments: Int32[np.ndarray, "rows len"]
    pooled: Bool[np.ndarray, "rows len"]
    slots: Int32[np.ndarray, "texts"]
    cut: int


def pack_group(
    texts: Int64[np.ndarray, "texts"],
    tokens: Integer[np.ndarray, "stored"],
    ends: Int64[np.ndarray, "all_texts"],
    unpooled: Int[np.ndarray, "all_texts"],
    shape: GroupShape,
) -> PackedGroup:
    """Packs texts of a token store; a text that must be cut keeps its last token, the end of sequence.

    Args:
        texts: numbers of the texts in the order of the group's slots; -1 leaves the slot empty.
        tokens: ids of all stored texts, end to end.
        ends: where each stored text ends.
        unpooled: how many leading tokens of each stored text are not pooled.
        shape: what they are packed into.
    """
    given = np.flatnonzero(texts >= 0)
    text = texts[given]
    first = np.where(text > 0, ends[text - 1], 0)
    full = ends[text] - first
    places, limit = fit(full, shape)
    kept = np.minimum(full, limit)
    within = np.arange(kept.sum()) - np.repeat(np.cumsum(kept) - kept, kept)
    begin = places.row.astype(np.int64) * shape.length + places.start
    target = np.repeat(begin, kept) + within
    flat = np.zeros(shape.tokens, np.int32)
    flat[target] = tokens[np.repeat(first, kept) + within]
    flat[begin + kept - 1] = tokens[ends[text] - 1]
    segments = np.full(shape.tokens, -1, np.int32)
    segments[target] = np.repeat(places.segment, kept)
    pooled = np.zeros(shape.tokens, np.bool_)
    pooled[target] = within >= np.repeat(np.minimum(unpooled[text], kept - 1), kept)
    slots = np.full(len(texts), -1, np.int32)
    slots[given] = places.row * shape.segments_per_row + places.segment
    size = (shape.rows, shape.length)
    cut = int(full.sum() - kept.sum())
    return PackedGroup(flat.reshape(size), segments.reshape(size), pooled.reshape(size), slots, cut)
