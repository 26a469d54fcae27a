"""Exact nearest neighbours of many vectors among many: query blocks x document blocks, a running top-k on the device.

Only one block of each side and one tile of scores are ever on the device, so the memory does not depend on the number
of vectors, and every tile has the same shape, so that it compiles once. Inside a tile the k best of a row are found in
two exact steps, because `top_k` over thousands of columns costs as much as the product that made them: the k groups of
columns with the largest maxima hold the k largest entries (if an entry's group is not among them, k other groups each
hold a better one), so only k groups are looked at.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Int, Int32, Int64

from instructor_jax.inference.quantization import unit_length
from instructor_jax.progress import progress

from .forbidden_tiles import ForbiddenTiles

_GROUP = 32  # columns whose maximum is taken first; 16 to 128 are equally fast on a CPU for k = 10

Groups = tuple[Int[np.ndarray, " query"], Int[np.ndarray, " document"]]


@dataclasses.dataclass(frozen=True)
class Rules:
    """Which documents a query may meet.

    Attributes:
        equal: Pairs of integer arrays (of the queries, of the documents): only documents whose number equals the
            query's are allowed, e.g. the same class.
        unequal: The same, but documents with the query's number are left out, e.g. the same row or the same text.
        forbidden: (query, document) index pairs that are left out, e.g. known positives.
        ceiling: Largest score allowed for each query.
        floor: (dimensions, least value for each query) of the part of the score that the first dimensions make up.
    """

    equal: Sequence[Groups] = ()
    unequal: Sequence[Groups] = ()
    forbidden: Int[np.ndarray, "pairs 2"] | None = None
    ceiling: Float[np.ndarray, " query"] | None = None
    floor: tuple[int, Float[np.ndarray, " query"]] | None = None


class Neighbours(NamedTuple):
    """The k best documents of every query, best first; equal scores are ordered by document index.

    Attributes:
        scores: Inner products; -inf where fewer than k documents were allowed.
        indices: Rows of `documents`; -1 where fewer than k were allowed.
    """

    scores: Float32[np.ndarray, "query k"]
    indices: Int64[np.ndarray, "query k"]


def unit_rows(vectors: Float[np.ndarray, "rows dim"]) -> Float32[np.ndarray, "rows dim"]:
    """Scales rows to length one, so that inner products are cosines; zero rows stay zero.

    Raises:
        ValueError: A row holds NaN or infinity.
    """
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise ValueError(f"row {bad[0]} of the vectors is not finite ({len(bad)} such rows); check what made them.")
    return unit_length(vectors)


def nearest(
    queries: Float[np.ndarray, "query dim"],
    documents: Float[np.ndarray, "document dim"],
    k: int,
    rules: Rules = Rules(),
    blocks: tuple[int, int] = (2048, 8192),
) -> Neighbours:
    """Finds the k documents with the largest inner product for every query, among those that it may meet.

    For unit rows (`unit_rows`) the inner product is the cosine. Memory-mapped arrays are read block by block.

    Args:
        queries: Vectors that search.
        documents: Vectors that are searched.
        k: Number of documents to return for each query, at least 1.
        rules: Which documents a query may meet; by default all.
        blocks: Number of queries and of documents on the device at a time; rounded down to a power of two for smaller
            inputs. A tile of scores is the product of both.

    Raises:
        ValueError: Sizes that do not fit together, or k below 1.
    """
    _check(queries, documents, k, rules)
    count, total = len(queries), len(documents)
    scores, indices = np.full((count, k), -np.inf, np.float32), np.full((count, k), -1, np.int64)
    if not count or not total:
        return Neighbours(scores, indices)
    rows, columns = _block_size(count, blocks[0]), _block_size(total, blocks[1])
    tiles = ForbiddenTiles(rules.forbidden, rows, columns)
    split, floors = (0, np.full(count, -np.inf)) if rules.floor is None else rules.floor
    ceiling = np.full(count, np.inf) if rules.ceiling is None else rules.ceiling
    bounds = np.stack([floors, ceiling], axis=1).astype(np.float32)
    pairs = (*rules.equal, *rules.unequal)
    query_arrays = queries, _numbers(count, [ours for ours, _ in pairs]), bounds
    document_arrays = documents, _numbers(total, [theirs for _, theirs in pairs])
    static = _Static(("equal",) * len(rules.equal) + ("unequal",) * len(rules.unequal), split)
    with progress("nearest neighbours", count, "row", leave=False) as bar:
        for start in range(0, count, rows):
            query_side = tuple(_on_device(array, start, rows) for array in query_arrays)
            best = jnp.full((rows, k), -jnp.inf, jnp.float32), jnp.full((rows, k), -1, jnp.int32)
            for first in range(0, total, columns):
                previous = best
                document_side = tuple(_on_device(array, first, columns) for array in document_arrays)
                here = jnp.array([first, min(columns, total - first)], jnp.int32)
                forbidden_here = jnp.asarray(tiles.of(start // rows, first // columns))
                best = _merge_tile(best, query_side, document_side, here, forbidden_here, static)
                jax.block_until_ready(previous)  # at most one block is in flight while the next one is prepared
            valid = min(rows, count - start)
            scores[start : start + valid], indices[start : start + valid] = (np.asarray(one)[:valid] for one in best)
            bar.update(valid)
    indices[np.isneginf(scores)] = -1
    return Neighbours(scores, indices)


class _Static(NamedTuple):
    """What a tile's program is compiled for: the kinds of the conditions, and the first dimensions of the floor."""

    kinds: tuple[str, ...]
    split: int


@functools.partial(jax.jit, static_argnames="static")
def _merge_tile(
    best: tuple[Float32[Array, "query k"], Int32[Array, "query k"]],
    query_side: tuple[Float32[Array, "query dim"], Int32[Array, "query conditions"], Float32[Array, "query 2"]],
    document_side: tuple[Float32[Array, "document dim"], Int32[Array, "document conditions"]],
    here: Int32[Array, "2"],
    forbidden: Int32[Array, "pairs 2"],
    static: _Static,
) -> tuple[Float32[Array, "query k"], Int32[Array, "query k"]]:
    """Returns the k best of the k best so far and of one tile.

    `here` is the number of its first document and of documents.
    """
    kinds, split = static
    (query, query_groups, bounds), (document, document_groups), (first, valid) = query_side, document_side, here
    k = best[0].shape[1]
    scores = jnp.einsum("qe,de->qd", query[:, split:], document[:, split:], precision="highest")
    allowed = (jnp.arange(document.shape[0]) < valid)[None, :]
    if split:  # the two parts cost what the whole would
        part = jnp.einsum("qe,de->qd", query[:, :split], document[:, :split], precision="highest")
        allowed &= part >= bounds[:, 0, None]
        scores += part
    allowed &= scores <= bounds[:, 1, None]
    allowed &= _conditions(query_groups, document_groups, kinds)
    if forbidden.shape[0]:
        allowed = allowed.at[forbidden[:, 0], forbidden[:, 1]].set(False, mode="drop")
    values, columns = _best_columns(jnp.where(allowed, scores, -jnp.inf), k)
    # The earlier documents come first, and top_k is stable: equal scores stay ordered by index.
    values, places = jax.lax.top_k(jnp.concatenate([best[0], values], axis=1), k)
    return values, jnp.take_along_axis(jnp.concatenate([best[1], columns + first], axis=1), places, axis=1)


def _conditions(
    query_groups: Int32[Array, "query conditions"],
    document_groups: Int32[Array, "document conditions"],
    kinds: tuple[str, ...],
) -> Bool[Array, "#query #document"]:
    allowed = jnp.ones((1, 1), bool)
    for i, kind in enumerate(kinds):
        same = query_groups[:, i][:, None] == document_groups[:, i][None, :]
        allowed &= same if kind == "equal" else ~same
    return allowed


def _best_columns(
    scores: Float32[Array, "query document"], k: int
) -> tuple[Float32[Array, "query kept"], Int32[Array, "query kept"]]:
    """Returns the min(k, documents) largest entries of each row and their columns, largest first, ties by column."""
    query, document = scores.shape
    if document % _GROUP or k * _GROUP >= document:
        values, columns = jax.lax.top_k(scores, min(k, document))
        return values, columns
    grouped = scores.reshape(query, document // _GROUP, _GROUP)
    _, groups = jax.lax.top_k(grouped.max(axis=-1), k)
    groups = jnp.sort(groups, axis=1)  # candidates in column order, so that the stable top_k breaks ties by column
    candidates = jnp.take_along_axis(grouped, groups[:, :, None], axis=1).reshape(query, k * _GROUP)
    values, places = jax.lax.top_k(candidates, k)
    return values, jnp.take_along_axis(groups, places // _GROUP, axis=1) * _GROUP + places % _GROUP


def _numbers(rows: int, groups: Sequence[Int[np.ndarray, " rows"]]) -> Int32[np.ndarray, "rows conditions"]:
    return (
        np.stack([np.asarray(group, np.int32) for group in groups], axis=1) if groups else np.zeros((rows, 0), np.int32)
    )


def _block_size(count: int, block: int) -> int:
    """Returns `block`, or for fewer rows the next power of two: inputs of many sizes share a handful of compiled
    shapes.
    """
    return min(block, max(256, 1 << (count - 1).bit_length()))


def _on_device(array: np.ndarray, start: int, rows: int) -> Array:
    """Returns `rows` rows of the array from `start` on, filled up with zeros behind its end, as int32 or float32."""
    block = array[start : start + rows].astype(np.int32 if array.dtype.kind in "iu" else np.float32, copy=False)
    if len(block) < rows:
        block = np.concatenate([block, np.zeros((rows - len(block), *block.shape[1:]), block.dtype)])
    return jnp.asarray(block)


def _check(queries: np.ndarray, documents: np.ndarray, k: int, rules: Rules) -> None:
    sizes = (len(queries), len(documents))
    if k < 1:
        raise ValueError(f"k={k} must be at least 1.")
    if queries.shape[1] != documents.shape[1]:
        raise ValueError(
            f"queries have {queries.shape[1]} dimensions and documents {documents.shape[1]}; both need the same scorer."
        )
    for lengths in ((len(ours), len(theirs)) for ours, theirs in (*rules.equal, *rules.unequal)):
        if lengths != sizes:
            raise ValueError(f"group numbers of {lengths} (queries, documents) must have the vectors' {sizes} rows.")
    forbidden, floor = rules.forbidden, rules.floor
    for name, bound in (("ceiling", rules.ceiling), ("floor", None if floor is None else floor[1])):
        if bound is not None and len(bound) != sizes[0]:
            raise ValueError(f"{name} has {len(bound)} rows, but there are {sizes[0]} queries.")
    if floor is not None and not 1 <= floor[0] <= queries.shape[1]:
        raise ValueError(f"floor is over the first {floor[0]} dimensions, but the vectors have {queries.shape[1]}.")
    if forbidden is not None and len(forbidden) and (forbidden.min() < 0 or (forbidden.max(axis=0) >= sizes).any()):
        raise ValueError(
            f"forbidden pairs reach {forbidden.max(axis=0).tolist()} but there are {sizes} (queries, documents)."
        )
