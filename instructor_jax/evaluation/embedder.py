"""What an evaluation asks of a model."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float


@runtime_checkable  # beartype asks in tests
class Embedder(Protocol):
    """A model under evaluation.

    Attributes:
        name: Name of the model: "org/model", "local/<folder>", or "sentence-transformers/<folder>" through that one.
        revision: Hash of the folder's files, which changes whenever the vectors may.
        dimension: Dimension of the vectors.
        max_length: Largest number of tokens of instruction and text together.
        parameters: Number of the model's parameters.
    """

    name: str
    revision: str
    dimension: int
    max_length: int
    parameters: int

    def encode(self, texts: Sequence[str], instruction: str) -> Float[np.ndarray, "texts dim"]:
        """Returns one float32 row per text, in their order; the instruction "" is none."""
        ...

    def count_tokens(self, texts: Sequence[str], instruction: str) -> list[int]:
        """Tokens of instruction and text together, end-of-sequence included, before any truncation."""
        ...
