"""Contrastive losses on embeddings: pure functions from the vectors of a batch to one loss per row.

Every loss here asks of a row: how much of the softmax over its own partner and its candidates falls on the partner?
The losses differ only in who is a candidate. The original INSTRUCTOR counts the hard negatives of the batch for a query
and the other queries for a positive; the modern one counts all texts of all devices that are not known to be right
answers too. The partner's score is computed apart, so a row without candidates has the loss 0, exactly.

Vectors are of unit length, so that products are cosines. Arrays [groups, n, ...] are global: split by groups over the
devices that hold different examples. The only gather is in `against_all`, of all candidates' vectors and ids.
Computation is in the vectors' own dtype.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, UInt32

from instructor_jax.losses.blockwise import against_all
from instructor_jax.losses.candidates import Texts, other_rows, same_task
from instructor_jax.losses.records import Loss, Pairs, RowLosses, Scoring
from instructor_jax.numerics import MASKED, normalize


def original_loss(pairs: Pairs, scoring: Scoring = Scoring()) -> RowLosses:
    """The loss of INSTRUCTOR's published training code, per row; its mean over the rows is the original's value.

    With queries q, positives p, negatives n and s = cosine / temperature, row i has the loss
    `-log softmax {s(q_i, p_i), s(q_i, every n of the batch)}` at its first entry, plus
    `-log softmax {s(p_i, q_i), s(p_i, q_j) for j != i}`. Other rows' positives are not candidates of a query, negatives
    take no part in the second term, and without any negatives the first one is 0. Nothing is masked but filler rows.
    """
    queries, positives, negatives = _texts(pairs)
    of_positive = _contrast(pairs, positives, queries, queries, other_rows, scoring)
    if negatives is None:
        return of_positive
    return _sum(_contrast(pairs, queries, positives, negatives, other_rows, scoring), of_positive)


def in_batch_loss(
    pairs: Pairs,
    scoring: Scoring = Scoring(),
    *,
    both_directions: bool = True,
    mask_false_negatives: bool = True,
) -> RowLosses:
    """InfoNCE in which every positive and hard negative of the row's task, on all devices, is a candidate of a query.

    Args:
        pairs: the batch; rows with `in_batch` False are contrasted with their own hard negatives alone.
        scoring: how scores are computed.
        both_directions: adds the same of every positive, with the queries of its task as candidates.
        mask_false_negatives: leaves out candidates that are known to be right answers, see `known_right`.
    """
    queries, positives, negatives = _texts(pairs)
    documents = positives if negatives is None else jax.tree.map(_beside, positives, negatives)
    candidates = functools.partial(same_task, mask_false_negatives=mask_false_negatives)
    of_query = _contrast(pairs, queries, positives, documents, candidates, scoring)
    if not both_directions:
        return of_query
    return _sum(of_query, _contrast(pairs, positives, queries, queries, candidates, scoring))


def matryoshka(loss: Loss, pairs: Pairs, dims: Sequence[int], weights: Sequence[float]) -> RowLosses:
    """Weighted sum of the loss over nested prefixes of the vectors, each normalised again.

    So that a vector cut to one of the sizes is worth something (Kusupati et al. 2022, Matryoshka Representation
    Learning, equation 1). `correct` is that of the largest size.

    Args:
        loss: any of this file, its options bound.
        pairs: the batch.
        dims: sizes, descending, at most the vectors' own.
        weights: weight of each size.

    Raises:
        ValueError: sizes are not descending, do not fit the vectors, or are not as many as the weights.
    """
    full = pairs.query.shape[-1]
    if not dims or len(dims) != len(weights) or list(dims) != sorted(set(dims), reverse=True):
        raise ValueError(f"dims={tuple(dims)} must be descending, with one of weights={tuple(weights)} each.")
    if dims[0] > full or dims[-1] < 1:
        raise ValueError(f"dims={tuple(dims)} must be between 1 and the size of the vectors, {full}.")
    parts = [loss(_prefix(pairs, dim)) for dim in dims]
    total = sum(weight * part.loss for weight, part in zip(weights, parts, strict=True))
    return dataclasses.replace(parts[0], loss=total)


def _prefix(pairs: Pairs, dim: int) -> Pairs:
    """The first entries of all vectors, of unit length again; the whole vectors as they are."""
    if dim == pairs.query.shape[-1]:
        return pairs
    cut = jax.tree.map(lambda x: normalize(x[..., :dim]), (pairs.query, pairs.positive, pairs.negatives))
    return dataclasses.replace(pairs, query=cut[0], positive=cut[1], negatives=cut[2])


# --- The softmax that both directions of both losses share -----------------------------------------------------------


def _texts(pairs: Pairs) -> tuple[Texts, Texts, Texts | None]:
    """Queries, positives and negatives in the common form; negatives of a row lie side by side."""
    groups, n = pairs.valid.shape
    row = jnp.arange(groups * n, dtype=jnp.int32).reshape(groups, n)
    no = jnp.zeros((groups, n), bool)
    label = jnp.zeros((groups, n), jnp.uint32) if pairs.label is None else pairs.label
    query, positive = _words(pairs.query_id), _words(pairs.positive_id)
    queries = Texts(pairs.query, row, pairs.valid, no, pairs.task, query, positive, label)
    positives = Texts(pairs.positive, row, pairs.valid, no, pairs.task, positive, query, label)
    if pairs.negatives is None or pairs.negative_valid is None or pairs.negative_id is None:
        return queries, positives, None
    k = pairs.negatives.shape[2]
    owner = jax.tree.map(lambda x: jnp.repeat(x, k, axis=1), (row, pairs.valid, ~no, pairs.task, query, label))
    vectors, real, text = (
        x.reshape(groups, n * k, *x.shape[3:]) for x in (pairs.negatives, pairs.negative_valid, pairs.negative_id)
    )
    row, valid, yes, task, query, label = owner
    return queries, positives, Texts(vectors, row, valid & real, yes, task, _words(text), query, label)


def _words(hashes: UInt32[Array, "groups m 2"]) -> tuple[UInt32[Array, "groups m"], UInt32[Array, "groups m"]]:
    return hashes[..., 0], hashes[..., 1]


def _beside(x: Array, y: Array) -> Array:
    return jnp.concatenate([x, y], axis=1)


def _contrast(
    pairs: Pairs,
    texts: Texts,
    partners: Texts,
    others: Texts,
    candidates: Callable[[Texts, Array, Texts], Array],
    scoring: Scoring,
) -> RowLosses:
    """-log softmax at the partner, over the partner and those of `others` (of all devices) that are candidates."""
    partner_score = jnp.sum(texts.vector * partners.vector, axis=-1) / pairs.temperature

    def one_row(row: tuple[Texts, Array, Array, Array], others: Texts) -> tuple[Array, Array, Array]:
        text, partner_score, temperature, in_batch = row
        scores = jnp.einsum("d,cd->c", text.vector, others.vector, precision=scoring.precision) / temperature
        allowed = candidates(text, in_batch, others)
        scores = jnp.where(allowed, scores, MASKED)
        best = scores.max()
        top = jax.lax.stop_gradient(jnp.maximum(best, partner_score))
        total = jnp.exp(partner_score - top) + jnp.exp(scores - top).sum()
        return top + jnp.log(total) - partner_score, partner_score > best, allowed.any()

    rows = (texts, partner_score, pairs.temperature, pairs.in_batch)
    loss, correct, contrasted = against_all(one_row, rows, others, scoring.rows_at_a_time)
    return RowLosses(jnp.where(pairs.valid, loss, 0.0), correct & contrasted & pairs.valid, contrasted & pairs.valid)


def _sum(of_query: RowLosses, of_positive: RowLosses) -> RowLosses:
    """Both directions; a row is judged by its query, or by its positive where the query has no candidate."""
    return RowLosses(
        of_query.loss + of_positive.loss,
        jnp.where(of_query.contrasted, of_query.correct, of_positive.correct),
        of_query.contrasted | of_positive.contrasted,
    )
