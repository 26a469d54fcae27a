"""`PairBatch`: what one training step sees, as static arrays on the devices.

Queries, positives and negatives of a group share its rows: tasks differ tenfold in how long their queries are beside
their positives, and only one common shape can be full for all of them. So a step makes one call of the encoder, and
`split` takes its vectors apart. Every group is packed on its own: a host builds only its devices' groups, and pooling
needs no communication. Scores between rows of different tasks are masked, and so are texts that are equal by their
64-bit hash: those are no negatives of one another.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from instructor_jax.text.batches import TokenBatch


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PairBatch:
    """A global batch of `groups x n` examples, each a query, a positive and up to `k` negatives.

    The slots of a group hold n queries, then n positives, then n * k negatives (at row * k + index).
    Rows and negatives that are only there to fill the static shape have `valid` (`negative_valid`) False.

    Attributes:
        texts: The n * (2 + k) texts of each group: queries, positives and negatives.
        task: Task number of each example; in-batch negatives come only from examples of the same task.
        query_id: Hash of each query's instruction and text, as two words.
        positive_id: The same hash of each positive.
        negative_id: The same hash of each negative; None where the mixture has no negatives at all (k = 0).
        valid: Whether the example is real.
        negative_valid: Whether the example has this negative.
        score: Similarity of query and positive in [0, 1], NaN for examples that have none; None where no example has
            one.
        weight: Weight of the example in the loss; None for equal weights.
        label: Hash of the class each row's query and positive belong to, 0 where it is unknown (a hash of 0 becomes 1);
            None where no row has one. Rows of one class are never each other's negatives.
        teacher: A teacher's vectors of all texts, in the order of their slots, of unit length, zeros in empty slots;
            None without a teacher.
    """

    texts: TokenBatch
    task: Int[Any, "groups n"]
    query_id: UInt32[Any, "groups n 2"]
    positive_id: UInt32[Any, "groups n 2"]
    negative_id: UInt32[Any, "groups n k 2"] | None
    valid: Bool[Any, "groups n"]
    negative_valid: Bool[Any, "groups n k"] | None
    score: Float[Any, "groups n"] | None = None
    weight: Float[Any, "groups n"] | None = None
    label: UInt32[Any, "groups n"] | None = None
    teacher: Float[Any, "groups texts teacher_dim"] | None = None

    def split(
        self, vectors: Float[Array, "groups texts dim"]
    ) -> tuple[Float[Array, "groups n dim"], Float[Array, "groups n dim"], Float[Array, "groups n k dim"] | None]:
        """Splits the vectors of `texts` into those of queries, positives and negatives (None where k = 0)."""
        groups, n = self.valid.shape
        query, positive, rest = vectors[:, :n], vectors[:, n : 2 * n], vectors[:, 2 * n :]
        if self.negative_valid is None:
            return query, positive, None
        return query, positive, rest.reshape(groups, n, self.negative_valid.shape[-1], vectors.shape[-1])


def per_example(table: np.ndarray, task: Int[Array, "groups n"]) -> Array:
    """Returns the entry of every row's task; that of some task for filler rows, which may carry any number.

    Args:
        table: An entry for every task.
        task: Task of each row, as in a batch.
    """
    return jnp.asarray(table).at[task].get(mode="clip")
