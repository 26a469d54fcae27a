"""`PairBatch`: what one training step sees, as static arrays on the devices.

Queries, positives and negatives are packed apart, each group on its own, so that a host builds only its devices'
groups and pooling needs no communication. Scores between rows of different tasks are masked, and so are texts that are
equal by their 64-bit hash: those are no negatives of one another.
"""

import dataclasses
from typing import Any

import jax
from jaxtyping import Bool, Float, Int, UInt32

from instructor_jax.batches import TokenBatch


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PairBatch:
    """A global batch of `groups x n` rows, each a query, a positive and up to `k` negatives.

    The texts of a group lie in the slots of its TokenBatch in row order; those of negatives as row * k + index.
    Rows and negatives that are only there to fill the static shape have `valid` (`negative_valid`) False.

    Attributes:
        queries: n texts per group.
        positives: n texts per group.
        negatives: n * k texts per group; None where the mixture has none at all (k = 0).
        task: task number of each row; in-batch negatives come only from rows of the same task.
        query_id: hash of each query's instruction and text, as two words.
        positive_id: likewise of each positive.
        negative_id: likewise of each negative.
        valid: whether the row is real.
        negative_valid: whether the row has this negative.
        score: similarity label in [0, 1]; None where the recipe's loss needs none.
        weight: weight of the row in the loss; None for equal weights.
        teacher: teacher vectors of query and positive for distillation; None without a teacher.
    """

    queries: TokenBatch
    positives: TokenBatch
    negatives: TokenBatch | None
    task: Int[Any, "groups n"]
    query_id: UInt32[Any, "groups n 2"]
    positive_id: UInt32[Any, "groups n 2"]
    negative_id: UInt32[Any, "groups n k 2"] | None
    valid: Bool[Any, "groups n"]
    negative_valid: Bool[Any, "groups n k"] | None
    score: Float[Any, "groups n"] | None = None
    weight: Float[Any, "groups n"] | None = None
    teacher: Float[Any, "groups n two dim"] | None = None
