"""The nearest rows of a large corpus for each query, from one pass over its blocks.

Memory is bounded by queries x k, not by the corpus: after each block only the best k of each query are kept, with their
texts. Equal scores go to the earlier row, so that the answer does not depend on how the corpus is cut into blocks.
"""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from instructor_jax.inference.quantization import unit_length

_SCORES_AT_ONCE = 1 << 24  # float32: 64 MiB of query x row scores


@dataclasses.dataclass(frozen=True)
class Hit:
    """One found row: its cosine similarity to the query, its number in the corpus from 0, and what it holds."""

    score: float
    row: int
    payload: Any


class NearestRows:
    """The k best rows so far for each query.

    Args:
        queries: one vector a query, of any length but zero.
        k: how many rows to keep for each, at least 1.
    """

    def __init__(self, queries: Float[np.ndarray, "query dim"], k: int) -> None:
        if k < 1:
            raise ValueError(f"top k={k} must be at least 1")
        self._queries, self._k = unit_length(queries), k
        self._scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        self._rows = np.full((len(queries), k), -1, dtype=np.int64)
        self._payloads: dict[int, Any] = {}

    def add(self, vectors: Float[np.ndarray, "document dim"], first_row: int, payloads: list[Any]) -> None:
        """Take the next block of the corpus; blocks come in the order of their rows.

        Args:
            vectors: one vector a row, float32.
            first_row: number of the block's first row.
            payloads: what a hit shall carry, one for each row.

        Raises:
            ValueError: the vectors have another dimension than the queries.
        """
        if vectors.shape[1] != self._queries.shape[1]:
            raise ValueError(
                f"corpus vectors have {vectors.shape[1]} dimensions, query vectors {self._queries.shape[1]}"
            )
        documents = unit_length(vectors)
        step = max(_SCORES_AT_ONCE // max(len(documents), 1), 1)
        for start in range(0, len(self._queries), step):
            scores = self._queries[start : start + step] @ documents.T
            # Most blocks hold nothing better for most queries.
            for local in np.flatnonzero(scores.max(axis=1) > self._scores[start : start + step, -1]):
                self._merge(start + int(local), scores[local], first_row)
        kept = set(self._rows[self._rows >= first_row].tolist())
        self._payloads.update({row: payloads[row - first_row] for row in kept})
        if len(self._payloads) > 2 * self._rows.size:
            still = set(self._rows.ravel().tolist())
            self._payloads = {row: payload for row, payload in self._payloads.items() if row in still}

    def _merge(self, query: int, scores: Float[np.ndarray, " document"], first_row: int) -> None:
        # Earlier rows win ties with strict >; among the block's own candidates the stable sort keeps their order.
        candidates = np.flatnonzero(scores > self._scores[query, -1])
        if len(candidates) > self._k:
            kth = np.partition(scores[candidates], -self._k)[-self._k]
            candidates = candidates[scores[candidates] >= kth]
        joined = np.concatenate([self._scores[query], scores[candidates]])
        rows = np.concatenate([self._rows[query], candidates + first_row])
        best = np.argsort(-joined, kind="stable")[: self._k]
        self._scores[query], self._rows[query] = joined[best], rows[best]

    def hits(self) -> list[list[Hit]]:
        """For each query its rows, best first; fewer than k where the corpus has fewer."""
        return [
            [
                Hit(float(score), int(row), self._payloads[int(row)])
                for score, row in zip(self._scores[query], self._rows[query], strict=True)
                if row >= 0
            ]
            for query in range(len(self._queries))
        ]
