"""The arrays of packed rows, made of texts whose places are known.

Read from the first row to the last, packed rows are runs: padding, a text's instruction, its text, padding again. So
every array is one `numpy.repeat` over all rows, however many texts there are.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Int, Int32, Integer


@dataclasses.dataclass(frozen=True)
class PlacedTexts:
    """Texts within an array of token ids, in the order in which they lie in the rows.

    Attributes:
        tokens: Ids of all stored texts.
        first: Where each text begins among them.
        lengths: How many of its tokens are taken.
        unpooled: How many of these, from the first on, are not pooled.
        begin: Its first place in the rows, which are read one after the other; ascending.
        segment: Its number within its row.
    """

    tokens: Integer[np.ndarray, "stored"]
    first: Int[np.ndarray, "texts"]
    lengths: Int[np.ndarray, "texts"]
    unpooled: Int[np.ndarray, "texts"]
    begin: Int[np.ndarray, "texts"]
    segment: Int[np.ndarray, "texts"]


@dataclasses.dataclass(frozen=True)
class RowArrays:
    """The arrays of packed rows; those of a `TokenBatch` are made of them."""

    tokens: Int32[np.ndarray, "rows len"]
    segments: Int32[np.ndarray, "rows len"]
    pooled: Bool[np.ndarray, "rows len"]


def row_arrays(rows: int, length: int, texts: PlacedTexts) -> RowArrays:
    """Writes texts into rows; what no text takes is padding.

    Args:
        rows: Number of rows.
        length: Tokens of a row.
        texts: What is written, and where.
    """
    count, size = len(texts.begin), rows * length
    if not count:
        padding = np.zeros((rows, length), np.int32)
        return RowArrays(padding, padding - 1, padding > 0)
    ends = texts.begin + texts.lengths
    unpooled = np.minimum(texts.unpooled, texts.lengths)
    runs = np.zeros((count + 1, 3), np.int64)  # padding before each text, its unpooled tokens, its pooled ones
    runs[:-1, 0] = texts.begin - np.append(0, ends[:-1])
    runs[:-1, 1] = unpooled
    runs[:-1, 2] = texts.lengths - unpooled
    runs[-1, 0] = size - ends[-1]

    def spread(padding: int, of_unpooled: np.ndarray | bool, of_pooled: np.ndarray | bool, dtype: type) -> np.ndarray:
        values = np.full((count + 1, 3), padding, dtype)
        values[:-1, 1], values[:-1, 2] = of_unpooled, of_pooled
        return np.repeat(values.ravel(), runs.ravel())

    segments = spread(-1, texts.segment, texts.segment, np.int32)
    pooled = spread(0, False, True, np.bool_)
    shift = texts.first - texts.begin
    source = spread(0, shift, shift, np.int64)
    source += np.arange(size)
    tokens = texts.tokens.take(source, mode="clip").astype(np.int32, copy=False)
    tokens[segments < 0] = 0
    return RowArrays(*(array.reshape(rows, length) for array in (tokens, segments, pooled)))
