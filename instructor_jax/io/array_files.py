"""Arrays that a run keeps in `.npy` files, read without trust: never pickles, and of the expected type and shape."""

from pathlib import Path
from typing import Any

import numpy as np


def read_array(path: Path, dtype: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    """An array, memory-mapped.

    Args:
        path: a `.npy` file.
        dtype: that it must have.
        shape: that it must have.
        what: what is to be deleted where it is damaged, for the message.

    Raises:
        ValueError: it is damaged, or of another type or shape.
    """
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        good = isinstance(found, np.ndarray) and found.dtype == dtype and found.shape == shape
    except (ValueError, OSError, EOFError, SyntaxError) as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__}); delete {what} to have it made again.") from error
    if not good:
        raise ValueError(
            f"{path} is not what it should be, {np.dtype(dtype)} {shape}; delete {what} to have it made again."
        )
    return found
