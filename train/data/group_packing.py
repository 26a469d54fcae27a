"""Packing a group's texts into rows of one static shape, whatever the texts: the shape every training step has.

`instructor_jax.text.packing` chooses among shapes for given texts; here the shape is given, and a batch is cut so that
its texts fit (`budget`). Should they fail to, because lengths happen not to combine, the longest texts are shortened to
a common limit until they do: no row is ever lost, at the price of a few tokens' reading.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Int, Int32, Int64, Integer

from instructor_jax.text.best_fit import Places, best_fit
from instructor_jax.text.row_arrays import PlacedTexts, row_arrays


@dataclasses.dataclass(frozen=True)
class GroupShape:
    """Static shape of one group of a step.

    Attributes:
        rows: Number of packed sequences.
        length: Number of tokens of a packed sequence; at least those of the longest text.
        examples: Largest number of examples (query, positive, negatives); n of the `PairBatch`.
        negatives: Largest number of negatives of an example; k of the `PairBatch`.
        segments: Largest number of texts of a packed sequence; 0 means one for every 8 tokens.
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
        """Returns the largest number of texts of a packed sequence."""
        return self.segments or max(4, self.length // 8)

    @property
    def texts_per_example(self) -> int:
        """Returns the number of texts of an example: query, positive and negatives."""
        return 2 + self.negatives

    @property
    def tokens(self) -> int:
        """Returns the number of tokens of a group, padding included."""
        return self.rows * self.length


def fill_rows(lengths: Int[np.ndarray, "texts"], length: int, segments: int) -> Places:
    """Packs texts, the longest first, each into the fullest sequence that has room (best fit decreasing).

    Args:
        lengths: Number of tokens of each text, 1 to `length`.
        length: Number of tokens of a sequence.
        segments: Largest number of texts of a sequence.

    Raises:
        ValueError: A text is empty or longer than a row.
    """
    if len(lengths) and not (lengths.min() >= 1 and lengths.max() <= length):
        raise ValueError(f"texts of {lengths.min()} to {lengths.max()} tokens must have 1 to {length}, the row length.")
    return best_fit(lengths, lambda _: length, lambda _: segments)


def fit(lengths: Int[np.ndarray, "texts"], shape: GroupShape) -> tuple[Places, int]:
    """Packs texts into at most `shape.rows` sequences.

    Returns their places and the length that longer texts are cut to.

    Raises:
        ValueError: There are more texts than the shape has room for.
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
        texts: Numbers of the texts in the order of the group's slots; -1 leaves the slot empty.
        tokens: Token ids of all stored texts, end to end.
        ends: Place where each stored text ends.
        unpooled: Number of leading tokens of each stored text that are not pooled.
        shape: Shape that they are packed into.
    """
    given = np.flatnonzero(texts >= 0)
    text = texts[given]
    first = np.where(text > 0, ends[text - 1], 0)
    full = ends[text] - first
    places, limit = fit(full, shape)
    kept = np.minimum(full, limit)
    begin = places.row.astype(np.int64) * shape.length + places.start
    order = np.argsort(begin)
    read = np.minimum(unpooled[text], kept - 1)
    placed = PlacedTexts(tokens, first[order], kept[order], read[order], begin[order], places.segment[order])
    filled = row_arrays(shape.rows, shape.length, placed)
    filled.tokens.reshape(-1)[begin + kept - 1] = tokens[ends[text] - 1]
    slots = np.full(len(texts), -1, np.int32)
    slots[given] = places.row * shape.segments_per_row + places.segment
    return PackedGroup(filled.tokens, filled.segments, filled.pooled, slots, cut=int(full.sum() - kept.sum()))
