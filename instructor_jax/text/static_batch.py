"""Texts -> one batch of a shape that the caller chooses: what a step or a loss of your own is compiled for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int32, Int64

from instructor_jax.arguments import whole_number
from instructor_jax.io.bounds import SIZE
from instructor_jax.text.batches import TokenBatch, TokenizedTexts
from instructor_jax.text.best_fit import best_fit
from instructor_jax.text.buckets import Bucket
from instructor_jax.text.row_arrays import PlacedTexts, RowArrays, row_arrays
from instructor_jax.text.tokenization import Tokenizer, as_pairs


def pack(
    texts: Sequence[Any] | np.ndarray,
    tokenizer: Any,
    *,
    rows: int,
    length: int,
    groups: int = 1,
    texts_per_group: int | None = None,
) -> TokenBatch:
    """Packs texts into one `TokenBatch` whose shape follows from the numbers given, not from the texts.

    `jax.jit(embed, static_argnums=0)(config, params, batch)` gives their vectors, [groups, texts_per_group, dim]. Texts
    are dealt out in order, the first `texts_per_group` of them to the first group, so that
    `vectors.reshape(-1, dim)[:len(texts)]` has the order of `texts`; what follows is zeros.

    Args:
        texts: Strings, or pairs [instruction, text], as `Instructor.encode` takes them.
        tokenizer: A `Tokenizer`, or a model that has one, such as an `Instructor`. Texts longer than its `max_length`
            are cut to it.
        rows: Packed rows of every group.
        length: Tokens of a row; at least the longest text, or the tokenizer's `max_length` to be sure.
        groups: Parts that are packed on their own, such as one for each device that holds different texts.
        texts_per_group: Most texts of a group; None means as many as it takes to deal out these.

    Returns:
        `tokens`, `segments` and `pooled` [groups, rows, length], and `slots` [groups, texts_per_group], in NumPy.

    Raises:
        ValueError: the texts do not fit; the message says what would hold them.
    """
    rows, length = whole_number("rows", rows, 1, SIZE), whole_number("length", length, 1, SIZE)
    groups = whole_number("groups", groups, 1, SIZE)
    if texts_per_group is not None:
        texts_per_group = whole_number("texts_per_group", texts_per_group, 0, SIZE)
    own: Tokenizer = tokenizer if isinstance(tokenizer, Tokenizer) else tokenizer.tokenizer
    tokenized = own(as_pairs(texts, None))
    count = len(tokenized)
    each = -(-count // groups) if texts_per_group is None else texts_per_group
    if count > groups * each:
        raise ValueError(f"{count} texts are more than groups={groups} of texts_per_group={each} hold.")
    if count and tokenized.lengths.max() > length:
        raise ValueError(
            f"text {tokenized.lengths.argmax()} has {tokenized.lengths.max()} tokens with its instruction, more than a "
            f"row of length={length}; take longer rows, or a tokenizer with a smaller max_length than {own.max_length}."
        )
    dealt = (np.arange(group * each, min((group + 1) * each, count)) for group in range(groups))
    filled = [_pack_group(tokenized, text, rows, length) for text in dealt]
    slots = np.full((groups, each), -1, np.int32)
    for group, (_, own_slots) in enumerate(filled):
        slots[group, : len(own_slots)] = own_slots
    tokens, segments, pooled = (
        np.stack([getattr(arrays, name) for arrays, _ in filled]) for name in ("tokens", "segments", "pooled")
    )
    return TokenBatch(tokens, segments, pooled, slots, Bucket(length, rows).segments_per_row)


def _pack_group(
    texts: TokenizedTexts, text: Int64[np.ndarray, "own"], rows: int, length: int
) -> tuple[RowArrays, Int32[np.ndarray, "own"]]:
    """Packs some of the texts into rows; the arrays, and the slot of each."""
    kept, segments = texts.lengths[text], Bucket(length, rows).segments_per_row
    places = best_fit(kept, lambda _: length, lambda _: segments)
    if places.rows > rows:
        raise ValueError(f"{len(text)} texts of a group need rows={places.rows} of {length} tokens, not rows={rows}.")
    begin = places.row.astype(np.int64) * length + places.start
    order = np.argsort(begin)
    first, unpooled = texts.offsets[text], texts.unpooled[text]
    placed = PlacedTexts(texts.tokens, first[order], kept[order], unpooled[order], begin[order], places.segment[order])
    return row_arrays(rows, length, placed), places.row * np.int32(segments) + places.segment
