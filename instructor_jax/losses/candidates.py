"""Who is a candidate of whom: the rules that decide whether a text of the batch counts as a wrong answer to another.

A wrong answer that is in truth right (the same text in another row, another answer to the same query, a row of the same
class) pushes apart what belongs together; in a large batch of one task there are many of them, so they are left out.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Texts:
    """Texts of one kind, arrays [groups, m, ...], with what decides whether one is a candidate of another.

    `row` numbers the rows of the global batch; `partner` is what a query's positive is to it, and the other way round.
    Hashes are pairs of arrays: a last axis of size two would be padded to a full vector register on TPUs.
    """

    vector: Array
    row: Array
    valid: Array
    negative: Array
    task: Array
    text: tuple[Array, Array]
    partner: tuple[Array, Array]
    label: Array


def other_rows(text: Texts, in_batch: Array, others: Texts) -> Array:
    """The original's rule: every real text but one's own partner."""
    return others.valid & (others.negative | (others.row != text.row))


def same_task(text: Texts, in_batch: Array, others: Texts, mask_false_negatives: bool) -> Array:
    """Real texts of the task, own hard negatives always, all else unless `in_batch` is off or they are right too."""
    allowed = others.valid & (others.task == text.task) & jnp.where(others.row == text.row, others.negative, in_batch)
    return allowed & ~known_right(text, others) if mask_false_negatives else allowed


def known_right(text: Texts, others: Texts) -> Array:
    """Texts that must not count as wrong for this one, although they come from another row or are a hard negative.

    - The text is the right answer, or this text itself.
    - It is the partner of this very text in another row.
    - Another row has the same label: its query and positive are of the same class. Its hard negatives are not, but the
      class of those of rows with *another* label is unknown; they may well be of this one's.
    """
    by_text = _equal(others.text, text.partner) | _equal(others.text, text.text)
    by_row = ~others.negative & _equal(others.partner, text.text)
    by_label = (text.label != 0) & jnp.where(others.negative, others.label != text.label, others.label == text.label)
    return by_text | by_row | by_label


def _equal(hashes: tuple[Array, Array], other: tuple[Array, Array]) -> Array:
    return (hashes[0] == other[0]) & (hashes[1] == other[1])
