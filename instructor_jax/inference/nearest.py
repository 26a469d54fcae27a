"""The nearest rows of a corpus for every query, on the device, from one pass over the corpus's blocks.

The device holds the queries, one block and the best k so far; scores never exist for a whole corpus. Equal scores go to
the earlier row, so that the answer does not depend on how the corpus is cut into blocks.
"""

from collections.abc import Iterable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from instructor_jax.inference.quantization import unit_length

_QUERIES = 512  # queries that meet a block in one call
_SMALLEST_BLOCK = 256  # blocks are padded to powers of two from here on, so that few shapes are compiled

Best = tuple[Float[Array, "query k"], Int32[Array, "query k"]]


class NearestRows:
    """The k rows most similar to each query by the cosine, among those that were added.

    Args:
        queries: one vector a query, of any length.
        k: how many rows to keep for each.

    Raises:
        ValueError: k is below 1.
    """

    def __init__(self, queries: Float[np.ndarray, "query dim"], k: int) -> None:
        if k < 1:
            raise ValueError(f"k={k} must be at least 1.")
        self._count, self._dim, self._k = len(queries), queries.shape[1], k
        self._added = 0
        size = min(_QUERIES, _power_of_two(len(queries)))
        starts = range(0, len(queries), size)
        parts = [_padded(unit_length(queries[start : start + size]), size) for start in starts]
        self._queries = [jax.device_put(part) for part in parts]
        self._best: list[Best] = [
            (jnp.full((size, k), -jnp.inf, jnp.float32), jnp.full((size, k), -1, jnp.int32)) for _ in parts
        ]

    def add(self, vectors: Float[np.ndarray, "document dim"]) -> None:
        """Takes the next block of the corpus, whose rows are counted on; there may be 2**31 in all.

        Raises:
            ValueError: the vectors have another dimension than the queries.
        """
        if vectors.shape[1] != self._dim:
            raise ValueError(f"corpus vectors have {vectors.shape[1]} dimensions, query vectors {self._dim}.")
        size = max(_SMALLEST_BLOCK, _power_of_two(len(vectors)))
        documents = jax.device_put(_padded(unit_length(np.asarray(vectors)), size))
        rows = np.arange(self._added, self._added + size, dtype=np.int32)
        rows[len(vectors) :] = -1
        self._best = [
            _merge(part, documents, rows, *kept) for part, kept in zip(self._queries, self._best, strict=True)
        ]
        self._added += len(vectors)

    def scores(self) -> Float[np.ndarray, "query k"]:
        """Returns the cosines, best first; -inf fills up where there are fewer than k rows."""
        found = [np.asarray(scores) for scores, _ in self._best]
        return np.concatenate([np.zeros((0, self._k), np.float32), *found])[: self._count]

    def rows(self) -> Int32[np.ndarray, "query k"]:
        """Returns the numbers of the rows, likewise; -1 fills up."""
        found = [np.asarray(rows) for _, rows in self._best]
        return np.concatenate([np.zeros((0, self._k), np.int32), *found])[: self._count]


def nearest(
    queries: Float[np.ndarray, "query dim"], blocks: Iterable[Float[np.ndarray, "_ dim"]], k: int
) -> tuple[Float[np.ndarray, "query k"], Int32[np.ndarray, "query k"]]:
    """Returns cosines and row numbers of the k rows most similar to each query; see `NearestRows`.

    Args:
        queries: one vector a query, of any length.
        blocks: the corpus's vectors, in the order of its rows.
        k: how many to find, at least 1.
    """
    found = NearestRows(queries, k)
    for block in blocks:
        found.add(block)
    return found.scores(), found.rows()


@partial(jax.jit, donate_argnums=(3, 4))
def _merge(
    queries: Float[Array, "query dim"],
    documents: Float[Array, "document dim"],
    rows: Int32[Array, " document"],
    scores: Float[Array, "query k"],
    found: Int32[Array, "query k"],
) -> Best:
    """Returns the best k of those kept and a block's; padding has row -1."""
    new = jnp.einsum("qd,nd->qn", queries, documents, precision=jax.lax.Precision.HIGHEST)
    new = jnp.where(rows >= 0, new, -jnp.inf)
    # Kept ones stand first: top_k prefers the earlier of equals.
    joined = jnp.concatenate([scores, new], axis=1)
    numbers = jnp.concatenate([found, jnp.broadcast_to(rows, new.shape)], axis=1)
    best, places = jax.lax.top_k(joined, scores.shape[1])
    return best, jnp.take_along_axis(numbers, places, axis=1)


def _power_of_two(count: int) -> int:
    return 1 << max(count - 1, 0).bit_length()


def _padded(vectors: Float[np.ndarray, "rows dim"], size: int) -> Float[np.ndarray, "size dim"]:
    return np.pad(vectors, ((0, size - len(vectors)), (0, 0)))
