"""The check that every vector is made of numbers.

Broken weights and overflowing activations give NaN or infinity, and both pass through everything behind: similarities
are NaN, integers of quantised vectors look like any others, and a search finds nothing or the wrong thing. A NaN of one
text spreads to the texts that are packed into its row; `batch_size=1` keeps them apart.
"""

import numpy as np
from jaxtyping import Float, Int


def check_finite(
    vectors: Float[np.ndarray, "n dim"], first: int = 0, texts: Int[np.ndarray, " n"] | None = None
) -> None:
    """Looks at the sum of squares, one pass at the speed of memory; number by number only where that is not finite.

    Args:
        vectors: what the model computed.
        first: index of the first text among the caller's.
        texts: which text each row belongs to, counted from `first`; row by row if None.

    Raises:
        ValueError: a number is NaN or infinite; the message names the text.
    """
    flat = vectors.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.dot(flat, flat)):
            return
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if not len(broken):
        return  # numbers so large that only their squares overflow
    text = first + int(broken[0] if texts is None else texts[broken[0]])
    count = len(broken if texts is None else np.unique(texts[broken]))
    more = f", and {count - 1} more of these texts' are not either" if count > 1 else ""
    raise ValueError(
        f"the vector of text {text} is not finite (NaN or infinity){more}. The model's weights are broken, or its "
        "activations overflow: fetch or convert the weights again; where dtype='bfloat16' was chosen, try 'float32'."
    )
