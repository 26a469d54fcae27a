"""The three stages of `encode`: prepare (CPU), run (device), finish (CPU).

Each is a plain function of its input, so that a server can schedule them itself and a test can call one alone;
`pipeline.py` overlaps them. Results are fetched two calls behind, so that the device always has the next one queued.
"""

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64

from instructor_jax.inference.device_errors import RAISED, explained
from instructor_jax.inference.finite import check_finite
from instructor_jax.text.batches import TokenBatch, TokenizedTexts
from instructor_jax.text.buckets import Bucket, PackingConfig
from instructor_jax.text.packing import build_batches, plan_calls
from instructor_jax.text.tokenization import OnOverflow, Pair, Tokenizer

_IN_FLIGHT = 2  # device calls queued behind the one that runs


@dataclasses.dataclass(frozen=True)
class Call:
    """One device call: its arrays, and for each group the texts in the order of the group's slots."""

    bucket: Bucket
    batch: TokenBatch
    texts: list[list[int]]


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A chunk of texts, tokenised and packed.

    Attributes:
        texts: what is encoded; with windows, more than the chunk has texts.
        owner: for windows, the chunk's text each belongs to; None where every text is one window.
        count: number of texts in the chunk.
        truncated: per text of the chunk, whether tokens were cut off.
        token_counts: per text of the chunk, its tokens before truncation.
        calls: the device calls that encode them.
        first: index of the chunk's first text among the caller's, for messages.
    """

    texts: TokenizedTexts
    owner: Int64[np.ndarray, "windows"] | None
    count: int
    truncated: Bool[np.ndarray, "count"]
    token_counts: Int32[np.ndarray, "count"]
    calls: list[Call]
    first: int = 0

    @property
    def real_tokens(self) -> int:
        """Tokens that are encoded."""
        return int(self.texts.offsets[-1])

    @property
    def computed_tokens(self) -> int:
        """Tokens that the device computes, padding included."""
        return sum(call.batch.tokens.size for call in self.calls)


@dataclasses.dataclass(frozen=True)
class Finished:
    """The vectors of one chunk in the caller's order, and what is known about its texts."""

    vectors: Float32[np.ndarray, "count dim"]
    token_counts: Int32[np.ndarray, "count"]
    truncated: Bool[np.ndarray, "count"]
    real_tokens: int
    computed_tokens: int
    calls: int


def prepare(
    tokenizer: Tokenizer,
    pairs: list[Pair],
    packing: PackingConfig,
    on_overflow: OnOverflow = "truncate",
    max_texts: int | None = None,
    first: int = 0,
) -> Prepared:
    """Tokenises and packs a chunk.

    Args:
        tokenizer: the model's.
        pairs: the chunk.
        packing: sizes of the device calls.
        on_overflow: what to do with texts that are too long.
        max_texts: the most texts in one call.
        first: index of the chunk's first text among the caller's, for messages.

    Raises:
        ValueError: an instruction fills the length limit, or a text exceeds it and `on_overflow` is "error".
    """
    owner = None
    if on_overflow == "mean_of_windows":
        texts, owner = tokenizer.windows(pairs, first)
        counts = texts.full_lengths[np.searchsorted(owner, np.arange(len(pairs)))]
        truncated = np.zeros(len(pairs), np.bool_)
    else:
        texts = tokenizer(pairs, on_overflow, first)
        counts = texts.full_lengths
        truncated = counts > tokenizer.max_length
    return Prepared(texts, owner, len(pairs), truncated, counts, packed_calls(texts, packing, max_texts), first)


def packed_calls(texts: TokenizedTexts, packing: PackingConfig, max_texts: int | None = None) -> list[Call]:
    """Packs tokenised texts into the device calls that encode them.

    Args:
        texts: token ids.
        packing: sizes of the device calls.
        max_texts: the most texts in one call.
    """
    plan = list(plan_calls(texts.lengths, packing, max_texts))
    return [
        Call(bucket, batch, [[text for row in rows for text in row] for rows in groups])
        for (bucket, groups), batch in zip(plan, build_batches(texts, plan), strict=True)
    ]


def finish(prepared: Prepared, results: list[Float32[np.ndarray, "groups _ dim"]], normalized: bool) -> Finished:
    """Brings the calls' vectors into the chunk's order; averages windows, weighted by the tokens they pool.

    Args:
        prepared: the chunk.
        results: one array per call.
        normalized: whether the model's vectors have unit length, so that an average must get it again.

    Raises:
        NotFinite: a vector has a NaN or an infinity; the message names its text.
    """
    vectors = np.empty((len(prepared.texts), results[0].shape[-1] if results else 0), np.float32)
    for call, result in zip(prepared.calls, results, strict=True):
        for group, texts in enumerate(call.texts):
            vectors[texts] = result[group, : len(texts)]
    check_finite(vectors, prepared.first, prepared.owner)
    if prepared.owner is not None:
        pooled = np.maximum(prepared.texts.lengths - prepared.texts.unpooled, 0).astype(np.float32)
        sums = np.zeros((prepared.count, vectors.shape[1]), np.float32)
        np.add.at(sums, prepared.owner, vectors * pooled[:, None])
        weights = np.bincount(prepared.owner, pooled, prepared.count).astype(np.float32)[:, None]
        single = np.bincount(prepared.owner, minlength=prepared.count) == 1
        means = sums / np.maximum(weights, 1.0)
        if normalized:
            means = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        means[single] = vectors[single[prepared.owner]]  # one window: exactly the text's own vector
        vectors = means
    return Finished(
        vectors,
        prepared.token_counts,
        prepared.truncated,
        real_tokens=prepared.real_tokens,
        computed_tokens=prepared.computed_tokens,
        calls=len(prepared.calls),
    )


def run_calls(prepared: Prepared, run: Callable[[TokenBatch], Any]) -> list[np.ndarray]:
    """Stage two for one chunk, with a few calls queued at a time; results on the host.

    Raises:
        MemoryError: the device's memory is too small.
        ValueError: JAX traces the caller.
    """
    results: list[np.ndarray] = []
    queued: deque[Any] = deque()
    size = 0
    try:
        for call in prepared.calls:
            size = call.batch.tokens.size
            queued.append(run(call.batch))
            if len(queued) > _IN_FLIGHT:
                results.append(np.asarray(jax.device_get(queued.popleft())))
        results += [np.asarray(jax.device_get(result)) for result in queued]
    except RAISED as error:
        said = explained(error, size)
        if said is error:
            raise
        raise said from error
    return results
