"""Which pool rows become demonstrations of a prompt, and in which order: nearest last, as many as the budget holds.

The order of steps is the original's and decides what is chosen: only the `most` nearest are looked at, from the nearest
on; one that is too long is passed over; the first that does not fit any more ends the choice.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from instructor_jax.evaluation.prompt_retrieval.task import Budget

_EPSILON = 1e-6  # the smallest norm a cosine divides by, as in the original


def centred(vectors: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, "rows dim"]:
    """Returns the vectors less their mean."""
    return vectors - vectors.mean(axis=0, keepdims=True)


def cosines(
    queries: Float[np.ndarray, "queries dim"], pool: Float[np.ndarray, "rows dim"]
) -> Float[np.ndarray, "queries rows"]:
    """Returns the cosine of each query to each row of the pool; float32 stays float32."""

    def unit(vectors: np.ndarray) -> np.ndarray:
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _EPSILON)

    return unit(queries) @ unit(pool).T


def nearest_first(similarities: Float[np.ndarray, " rows"]) -> list[int]:
    """Rows from the most similar on; of equals the later one first, as walking a sorted list backwards gives them."""
    return np.argsort(similarities, kind="stable")[::-1].tolist()


def choose(
    similarities: Float[np.ndarray, " rows"],
    cost: Callable[[int], int],
    query_cost: int,
    budget: Budget,
    *,
    skip_identical: bool = False,
) -> list[int]:
    """Chooses the rows of the pool that go into a prompt, the most similar last.

    Args:
        similarities: similarity of the query to each row of the pool.
        cost: tokens of a row as a demonstration.
        query_cost: tokens of the query's input.
        budget: how many tokens there are for them; see `Budget`.
        skip_identical: pass over rows whose similarity is exactly 1.
    """
    order = nearest_first(similarities)[: budget.most]
    chosen, used = [], query_cost
    for row in order:
        if skip_identical and similarities[row] == 1:
            continue
        tokens = cost(row)
        if budget.each is not None and tokens > budget.each:
            continue
        used += tokens
        if used > budget.tokens:
            break
        chosen.append(row)
    return chosen[::-1]
