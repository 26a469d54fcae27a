"""The nearest rows of a corpus with what they hold: of each block only the texts of rows that were found are kept."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float


@dataclasses.dataclass(frozen=True)
class Hit:
    """One found row: its cosine similarity to the query, its number in the corpus from 0, and what it holds."""

    score: float
    row: int
    payload: Any


class NearestTexts:
    """The k best rows so far for each query, with their payloads; memory is bounded by queries x k, not by the corpus.

    Args:
        queries: one vector a query.
        k: how many rows to keep for each, at least 1.
    """

    def __init__(self, queries: Float[np.ndarray, "query dim"], k: int) -> None:
        from instructor_jax.inference.nearest import NearestRows  # imports JAX

        self._nearest = NearestRows(queries, k)
        self._payloads: dict[int, Any] = {}

    def add(self, vectors: Float[np.ndarray, "document dim"], first_row: int, payloads: list[Any]) -> None:
        """Takes the next block of the corpus; blocks come in the order of their rows.

        Args:
            vectors: one vector a row, float32.
            first_row: number of the block's first row.
            payloads: what a hit shall carry, one for each row.

        Raises:
            ValueError: the vectors have another dimension than the queries.
        """
        self._nearest.add(vectors)
        rows = self._nearest.rows()
        self._payloads.update({row: payloads[row - first_row] for row in set(rows[rows >= first_row].tolist())})
        if len(self._payloads) > 2 * rows.size:
            still = set(rows.ravel().tolist())
            self._payloads = {row: payload for row, payload in self._payloads.items() if row in still}

    def hits(self) -> list[list[Hit]]:
        """Returns for each query its rows, best first; fewer than k where the corpus has fewer."""
        return [
            [
                Hit(score, row, self._payloads[row])
                for score, row in zip(scores.tolist(), rows.tolist(), strict=True)
                if row >= 0
            ]
            for scores, rows in zip(self._nearest.scores(), self._nearest.rows(), strict=True)
        ]
