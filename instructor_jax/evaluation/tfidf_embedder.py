"""TF-IDF under evaluation: the floor that a model has to beat, on the same tasks, in the same report."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from instructor_jax.evaluation.local.texts import local_texts
from instructor_jax.text.tfidf import Tfidf

logger: logging.Logger = logging.getLogger(__name__)

_DIM = 4096
_UNLIMITED = 1_000_000  # tokens


class TfidfEmbedder:
    """Words and character n-grams, weighed by how rare they are in the evaluation texts themselves.

    That is a favour to the baseline: it knows the vocabulary of what it is tested on. No label is read. Instructions
    are not read either.
    """

    name: str
    revision: str
    dimension: int
    max_length: int
    parameters: int

    def __init__(self, data: Path) -> None:
        texts = sorted({text for _, text in local_texts(data)})
        logger.info("TF-IDF: fitted to %d evaluation texts", len(texts))
        self._tfidf = Tfidf(dim=_DIM).fit(texts)
        self.name, self.revision = "baseline/tfidf", self._tfidf.digest()
        self.dimension, self.max_length, self.parameters = _DIM, _UNLIMITED, 0

    def encode(self, texts: Sequence[str], instruction: str) -> Float[np.ndarray, "texts dim"]:
        """See `Embedder`; the instruction is not read."""
        return self._tfidf.transform(list(texts))

    def count_tokens(self, texts: Sequence[str], instruction: str) -> list[int]:
        """See `Embedder`; words."""
        return [len(text.split()) for text in texts]
