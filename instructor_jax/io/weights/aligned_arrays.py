"""Arrays in memory that JAX takes over as it is, without a second copy."""

import math
from typing import Any

import numpy as np

_ALIGNMENT = 64  # bytes; CPU buffers of XLA begin at multiples of it, and JAX copies an array that does not


def aligned_copy(array: np.ndarray, rounded: Any, dtype: Any) -> np.ndarray:
    """Copies an array, rounded to one type and stored in another, to where JAX's CPU devices use it in place.

    Args:
        array: Any strided array of floating-point numbers.
        rounded: Type whose numbers the copy holds.
        dtype: Type of the copy, which has all of these numbers.
    """
    size = math.prod(array.shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    copy = memory[begin : begin + size].view(dtype).reshape(array.shape)
    np.copyto(copy, array if np.dtype(rounded) == np.dtype(dtype) else array.astype(rounded), casting="unsafe")
    return copy
