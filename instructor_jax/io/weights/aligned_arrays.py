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
    copy = aligned_empty(array.shape, dtype)
    fill(copy, array, rounded)
    return copy


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Returns an array, to be filled, where JAX's CPU devices use it in place."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + size].view(dtype).reshape(shape)


def fill(target: np.ndarray, array: np.ndarray, rounded: Any) -> None:
    """Writes an array's numbers, rounded to a type, into an array of a type that has all of these."""
    np.copyto(target, array if np.dtype(rounded) == target.dtype else array.astype(rounded), casting="unsafe")
