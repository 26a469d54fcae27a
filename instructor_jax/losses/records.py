"""What every loss takes and gives: the embedded rows of a global batch, and what the loss says of each of them."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Bool, Float, Int, UInt32


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Pairs:
    """The embedded rows of a global batch: query, positive and up to k hard negatives each, and what is known of them.

    Attributes:
        query, positive, negatives: unit vectors; negatives None where no row has one (k = 0).
        valid, negative_valid: whether the row, the negative, is real; others neither count nor are candidates.
        temperature: what the row's cosines are divided by, positive.
        in_batch: whether other rows' texts are candidates of this row, or only its own hard negatives.
        task: number of the row's task.
        query_id, positive_id, negative_id: 64-bit hashes of the texts, as two words.
        label: hash of the class of query and positive, 0 where unknown; None where no row has one.
    """

    query: Float[Any, "groups n dim"]
    positive: Float[Any, "groups n dim"]
    negatives: Float[Any, "groups n k dim"] | None
    valid: Bool[Any, "groups n"]
    negative_valid: Bool[Any, "groups n k"] | None
    temperature: Float[Any, "groups n"]
    in_batch: Bool[Any, "groups n"]
    task: Int[Any, "groups n"]
    query_id: UInt32[Any, "groups n 2"]
    positive_id: UInt32[Any, "groups n 2"]
    negative_id: UInt32[Any, "groups n k 2"] | None
    label: UInt32[Any, "groups n"] | None = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class RowLosses:
    """What a loss says of every row; rows that are not valid have loss 0 and are not contrasted.

    Attributes:
        loss: in nats.
        correct: Whether the partner scores higher than every candidate, of which there is at least one.
        contrasted: Whether there was any candidate, so that the example counts in the accuracy.
    """

    loss: Float[Any, "groups n"]
    correct: Bool[Any, "groups n"]
    contrasted: Bool[Any, "groups n"]


@dataclasses.dataclass(frozen=True)
class Scoring:
    """How scores are computed; changes memory and speed, and the loss only by rounding.

    Attributes:
        rows_at_a_time: rows of the score matrix that a device holds at once.
        precision: of products of vectors; full float32 unless the vectors come from bfloat16 computation anyway.
    """

    rows_at_a_time: int = 512
    precision: jax.lax.Precision = jax.lax.Precision.HIGHEST


Loss = Callable[[Pairs], RowLosses]
