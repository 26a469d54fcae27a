"""What an evaluation asks of a model."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float


@runtime_checkable  # beartype asks in tests
class Embedder(Protocol):
    """A model under evaluation.

    Attributes:
        name: "org/model"; "local/<folder>" for a folder, "sentence-transformers/<folder>" through that library.
        revision: changes whenever the vectors may: the hash of the folder's files.
        dimension: of the vectors.
        max_length: most tokens of instruction and text together.
        parameters: how many numbers the model has.
    """

    name: str
    revision: str
    dimension: int
    max_length: int
    parameters: int

    def encode(self, texts: Sequence[str], instruction: str) -> Float[np.ndarray, "texts dim"]:
        """One float32 row per text, in their order; the instruction "" is none."""
        ...

    def count_tokens(self, texts: Sequence[str], instruction: str) -> list[int]:
        """Tokens of instruction and text together, end-of-sequence included, before any truncation."""
        ...
