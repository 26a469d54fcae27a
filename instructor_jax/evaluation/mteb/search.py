"""The nearest documents of every query on the device, one block of documents at a time.

The device holds a slice of the queries, one block and the best k so far; scores never exist for a whole corpus. Equal
scores go to the earlier document, so that the answer does not depend on how the corpus is cut into blocks.
"""

from collections.abc import Iterable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from instructor_jax.inference.quantization import unit_length

_QUERIES = 512  # queries on the device at a time
_SMALLEST_BLOCK = 256  # blocks are padded to powers of two from here on, so that few shapes are compiled


def nearest(
    queries: Float[np.ndarray, "query dim"], blocks: Iterable[Float[np.ndarray, "_ dim"]], k: int
) -> tuple[Float[np.ndarray, "query k"], Int32[np.ndarray, "query k"]]:
    """The k documents most similar to each query, by the cosine.

    Args:
        queries: of any length but zero.
        blocks: the documents' vectors, in the order of their rows.
        k: at least 1.

    Returns:
        Cosines, best first, and row numbers; -inf and -1 fill up where there are fewer than k documents.
    """
    if k < 1:
        raise ValueError(f"k={k} must be at least 1.")
    starts = range(0, len(queries), _QUERIES)
    slices = [_padded(unit_length(queries[start : start + _QUERIES]), _QUERIES) for start in starts]
    on_device = [jax.device_put(part) for part in slices]
    best = [(jnp.full((_QUERIES, k), -jnp.inf), jnp.full((_QUERIES, k), -1, jnp.int32)) for _ in slices]
    first = 0
    for block in blocks:
        size = max(_SMALLEST_BLOCK, 1 << (len(block) - 1).bit_length())
        documents = jax.device_put(_padded(unit_length(np.asarray(block)), size))
        rows = np.arange(first, first + size, dtype=np.int32)
        rows[len(block) :] = -1
        best = [_merge(part, documents, rows, *kept) for part, kept in zip(on_device, best, strict=True)]
        first += len(block)
    if not best:
        return np.zeros((0, k), np.float32), np.zeros((0, k), np.int32)
    scores = np.concatenate([np.asarray(kept[0]) for kept in best])[: len(queries)]
    found = np.concatenate([np.asarray(kept[1]) for kept in best])[: len(queries)]
    return scores, found


@partial(jax.jit, donate_argnums=(3, 4))
def _merge(
    queries: Float[Array, "query dim"],
    documents: Float[Array, "document dim"],
    rows: Int32[Array, " document"],
    scores: Float[Array, "query k"],
    found: Int32[Array, "query k"],
) -> tuple[Float[Array, "query k"], Int32[Array, "query k"]]:
    """The best k of those kept and a block's; padding has row -1."""
    new = jnp.einsum("qd,nd->qn", queries, documents, precision=jax.lax.Precision.HIGHEST)
    new = jnp.where(rows >= 0, new, -jnp.inf)
    # Kept ones stand first: top_k prefers the earlier of equals.
    joined = jnp.concatenate([scores, new], axis=1)
    numbers = jnp.concatenate([found, jnp.broadcast_to(rows, new.shape)], axis=1)
    best, places = jax.lax.top_k(joined, scores.shape[1])
    return best, jnp.take_along_axis(numbers, places, axis=1)


def _padded(vectors: Float[np.ndarray, "rows dim"], size: int) -> Float[np.ndarray, "size dim"]:
    return np.pad(vectors, ((0, size - len(vectors)), (0, 0)))
