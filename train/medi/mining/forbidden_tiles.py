"""Pairs of a query and a document that must not meet, by the tile of scores that they lie in."""

import numpy as np
from jaxtyping import Int, Int32


class ForbiddenTiles:
    """Forbidden pairs sorted by tile; every tile gets equally many, filled up with pairs that lie outside of it."""

    def __init__(self, pairs: Int[np.ndarray, "pairs 2"] | None, rows: int, columns: int) -> None:
        pairs = np.zeros((0, 2), np.int64) if pairs is None else np.unique(pairs, axis=0)
        tile = np.stack([pairs[:, 0] // rows, pairs[:, 1] // columns], axis=1)
        order = np.lexsort((tile[:, 1], tile[:, 0]))
        self._local = (pairs - tile * (rows, columns))[order].astype(np.int32)
        tiles, starts, counts = np.unique(tile[order], axis=0, return_index=True, return_counts=True)
        self._span = {
            (int(a), int(b)): slice(int(s), int(s + n)) for (a, b), s, n in zip(tiles, starts, counts, strict=True)
        }
        self._size = 1 << int(counts.max() - 1).bit_length() if len(counts) else 0
        self._outside = np.array([rows, columns], np.int32)

    def of(self, row: int, column: int) -> Int32[np.ndarray, "pairs 2"]:
        """Returns local (query, document) pairs of the tile; entries outside of the tile mean nothing."""
        filled = np.tile(self._outside, (self._size, 1))
        found = self._local[self._span.get((row, column), slice(0))]
        filled[: len(found)] = found
        return filled
