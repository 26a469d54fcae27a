"""Which of the texts that share a row broke it: each is encoded once more, in a row of its own.

A NaN reaches every text of its row through attention, so a vector that is not finite may belong to a neighbour. Rows do
not meet, so that a batch of the shape that is compiled already tries as many texts at once as it has rows.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from instructor_jax.inference.finite import NotFinite
from instructor_jax.inference.stages import Call, Prepared
from instructor_jax.text.batches import TokenBatch
from instructor_jax.text.packing import build_batches

_CALLS = 32  # device calls that are spent on it; a chunk of short texts takes hundreds


def culprits(prepared: Prepared, embed: Callable[[TokenBatch], Any], error: NotFinite) -> NotFinite:
    """Returns the error that names the texts which are not finite by themselves.

    Where it cannot be known which they are, because there are too many to try or because none is broken when it is
    alone, the message says so.

    Args:
        prepared: the chunk that was encoded.
        embed: computes the vectors of a batch.
        error: rows that are not finite, as texts of the chunk (windows, where it has some).
    """
    tried: list[int] = []
    alone: list[int] = []
    for (call, texts), _ in zip(_trials(prepared, set(error.rows)), range(_CALLS), strict=False):
        groups = [[[text] for text in texts], *([] for _ in call.texts[1:])]
        (batch,) = build_batches(prepared.texts, [(call.bucket, groups)])
        vectors = np.asarray(jax.device_get(embed(batch)))[0, : len(texts)]
        tried += texts
        alone += [text for text, vector in zip(texts, vectors, strict=True) if not np.isfinite(vector).all()]
    left = sorted(set(error.rows) - set(tried))
    if alone and left:
        note = "; of these not all were tried alone, and a text breaks those that are packed with it"
        return error.of(sorted([*alone, *left]), note)
    if alone:
        return error.of(sorted(alone))
    if left:
        return error.of(error.rows, "; which of them breaks the others that are packed with it is not known")
    return error.of(error.rows, ", though each is when it is encoded alone (batch_size=1)")


def _trials(prepared: Prepared, suspects: set[int]) -> Iterator[tuple[Call, list[int]]]:
    """Yields suspects that fit into the rows of one batch, with the call whose shape it has."""
    for call in prepared.calls:
        texts = [text for group in call.texts for text in group if text in suspects]
        for start in range(0, len(texts), call.bucket.rows):
            yield call, texts[start : start + call.bucket.rows]
