"""What mining asks of a scorer: vectors whose cosines tell which texts are alike."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from ...data.examples import Side


@runtime_checkable
class Scorer(Protocol):
    """Any function from texts to vectors; `name` goes into the data version, so it must tell scorers apart."""

    @property
    def name(self) -> str:
        """Returns what vectors these are, e.g. `tfidf-256`."""
        ...

    def __call__(self, texts: Sequence[Side]) -> Float[np.ndarray, "rows dim"]:
        """Returns vectors of the texts, comparable within this call; any length, zero for a text without content."""
        ...
