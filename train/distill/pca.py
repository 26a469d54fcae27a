"""Principal axes of unit vectors: the coordinates in which the first few keep cosines best.

Not centred: cosines are about the origin, and what all vectors share is part of them. (Of all orthonormal axes, those
with the largest second moments lose least of the vectors' squared length, by Eckart and Young.)
"""

import numpy as np
from jaxtyping import Float, Float32


def principal_axes(
    vectors: Float[np.ndarray, "rows dim"], count: int, weights: Float[np.ndarray, "rows"] | None = None
) -> Float32[np.ndarray, "dim count"]:
    """Returns the `count` orthonormal directions with the largest second moments, the largest first.

    Each is turned so that its largest entry is positive, which makes them the same on every machine, to rounding.

    Args:
        vectors: Vectors of any length.
        count: Number of directions, 1 to dim.
        weights: Weight of each vector; None for equal weights.

    Raises:
        ValueError: There are fewer dimensions than directions.
    """
    dim = vectors.shape[1]
    if not 1 <= count <= dim:
        raise ValueError(f"count={count} principal axes must be 1 to {dim}, the size of the vectors.")
    weighted = vectors if weights is None else vectors * weights[:, None]
    moments = weighted.astype(np.float64).T @ vectors.astype(np.float64)
    _, axes = np.linalg.eigh((moments + moments.T) / 2)  # ascending
    axes = axes[:, ::-1][:, :count]
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(count)])
    return np.ascontiguousarray(axes * signs, np.float32)
