"""Arrays that stay in their files until they are needed, so that loading a model never holds its weights twice.

Files are mapped. Pages that were read count as memory of the process until they are given back, which the system may
do at any time; `release` does it at once.
"""

import dataclasses
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class StoredArray:
    """An array of known shape whose numbers are read when `numpy.asarray` asks for them.

    Attributes:
        shape: Its shape.
        dtype: Its type.
        sources: The mapped arrays that it is made of.
        read: Makes it, as a view of its sources where that is possible.
        layers: Its parts along the first axis, where these are read apart.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    sources: tuple[np.ndarray, ...]
    read: Callable[[], np.ndarray]
    layers: tuple["StoredArray", ...] = ()

    def __getitem__(self, key: Any) -> "StoredArray":
        """Returns a part, which is not read either."""
        if self.layers and isinstance(key, int):
            return self.layers[key]
        shape = np.broadcast_to(np.zeros((), self.dtype), self.shape)[key].shape
        return StoredArray(shape, self.dtype, self.sources, lambda: self.read()[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Reads it."""
        array = self.read()
        return array.copy() if copy else array if dtype is None else array.astype(dtype, copy=False)

    def release(self) -> None:
        """Gives back the memory of what was read; reading it again takes it from the file again."""
        for source in self.sources:
            release_pages(source)


def release_pages(array: np.ndarray) -> None:
    """Gives back the pages of the mapped file that an array is a view of; does nothing where there is none.

    Only the process's own claim to them ends: the numbers stay as they are. Where the system has no such call (Windows)
    it takes them back when it needs them.
    """
    owner: Any = array
    while isinstance(owner, np.ndarray | memoryview):
        owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)
