"""The check that every vector is made of numbers.

Broken weights and overflowing activations give NaN or infinity, and both pass through everything behind: similarities
are NaN, integers of quantised vectors look like any others, and a search finds nothing or the wrong thing. A NaN of one
text spreads to the texts that are packed into its row, since zero times NaN is NaN; `culprits.py` tells them apart.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int


class NotFinite(ValueError):
    """Vectors hold NaN or infinity.

    Attributes:
        rows: Rows of the checked array that do.
        first: Index of the array's first text among the caller's.
        texts: Text that each row of the array belongs to, counted from `first`; None where row n is text n.
    """

    def __init__(
        self, rows: Sequence[int], first: int = 0, texts: Int[np.ndarray, " n"] | None = None, note: str = ""
    ) -> None:
        self.rows: list[int] = list(rows)
        self.first: int = first
        self.texts: Int[np.ndarray, " n"] | None = texts
        named = sorted({first + (row if texts is None else int(texts[row])) for row in rows})
        more = f", and {len(named) - 1} more of these texts' are not either" if len(named) > 1 else ""
        super().__init__(
            f"the vector of text {named[0]} is not finite (NaN or infinity){more}{note}. The model's weights are "
            "broken, or its activations overflow: fetch or convert the weights again; where dtype='bfloat16' was "
            "chosen, try 'float32'."
        )

    def of(self, rows: Sequence[int], note: str = "") -> "NotFinite":
        """Returns the same error for some of the rows.

        Args:
            rows: rows of the checked array.
            note: what else there is to say of them.
        """
        return NotFinite(rows, self.first, self.texts, note)


def check_finite(
    vectors: Float[np.ndarray, "n dim"], first: int = 0, texts: Int[np.ndarray, " n"] | None = None
) -> None:
    """Looks at the sum of squares, one pass at the speed of memory; number by number only where that is not finite.

    Args:
        vectors: what the model computed.
        first: index of the first text among the caller's.
        texts: which text each row belongs to, counted from `first`; row by row if None.

    Raises:
        NotFinite: a number is NaN or infinite; the message names the text.
    """
    flat = vectors.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.dot(flat, flat)):
            return
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(broken):  # otherwise numbers are so large that only their squares overflow
        raise NotFinite(broken.tolist(), first, texts)
