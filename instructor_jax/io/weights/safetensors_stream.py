"""A safetensors file written tensor by tensor: the header first, then every tensor at its place, in any order.

So no more than one tensor is in memory at a time. The bytes are those that the safetensors library writes: tensors of
one dtype lie in the order of their names, and spaces fill the header up to a multiple of eight bytes
(https://github.com/huggingface/safetensors, "Format").
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Shaped

from instructor_jax.io.printable import few, shown
from instructor_jax.io.weights.safetensors_files import DTYPES

_ALIGNED = 8


class SafetensorsStream:
    """A safetensors file that is being written; a context, which ends with all tensors written or an error.

    Args:
        path: Where to write; the file must not be there. It is whole only when the context has ended.
        shapes: Shape of every tensor by name.
        dtype: Type of all of them.

    Raises:
        ValueError: The format does not have the type.
        OSError: The file is there, or cannot be written.
    """

    def __init__(self, path: Path, shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype) -> None:
        kind = next((name for name, known in DTYPES.items() if known == dtype), None)
        if kind is None:
            raise ValueError(f"tensors of dtype {dtype} are not written to {path}; safetensors does not have it.")
        self._path, self._dtype, self._shapes = path, np.dtype(dtype), dict(shapes)
        header, offset = {"__metadata__": {"format": "pt"}}, 0
        self._offsets: dict[str, int] = {}
        for name in sorted(self._shapes):
            size = math.prod(self._shapes[name]) * self._dtype.itemsize
            place = {"dtype": kind, "shape": list(self._shapes[name]), "data_offsets": [offset, offset + size]}
            self._offsets[name], header[name] = offset, place  # type: ignore[assignment]
            offset += size
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % _ALIGNED)
        self._file = open(path, "xb")  # noqa: SIM115 - closed by `__exit__`
        self._start = 8 + len(text)
        self._file.write(len(text).to_bytes(8, "little") + text)

    def __enter__(self) -> "SafetensorsStream":
        """Returns itself."""
        return self

    def write(self, name: str, array: Shaped[np.ndarray, "..."]) -> None:
        """Writes one tensor at its place.

        Raises:
            ValueError: It is none of the file's, was written already, or has another shape or type.
            OSError: It cannot be written.
        """
        if name not in self._offsets:
            raise ValueError(f"tensor {shown(name, 80)} is none of {self._path}, or was written already.")
        if array.shape != self._shapes[name] or array.dtype != self._dtype:
            raise ValueError(
                f"tensor {shown(name, 80)} has shape {array.shape} and dtype {array.dtype}; {self._path} has "
                f"{self._shapes[name]} and {self._dtype}."
            )
        self._file.seek(self._start + self._offsets.pop(name))
        self._file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file.

        Raises:
            ValueError: A tensor is missing, and no other error is on its way.
        """
        self._file.close()
        if self._offsets and error is None:
            raise ValueError(f"{self._path} lacks {len(self._offsets)} tensors: {few(sorted(self._offsets))}.")
