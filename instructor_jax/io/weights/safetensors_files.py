"""Safetensors files: PyTorch-named arrays read as views of the mapped file, and written.

The safetensors library checks a file's header; the views are then cut where that header says.
"""

import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from jaxtyping import Shaped
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from instructor_jax.io.bounds import AXES, AXIS, INDEX_BYTES
from instructor_jax.io.json_files import parse_json
from instructor_jax.io.printable import one_line, shown
from instructor_jax.io.weights.git_lfs import LFS_POINTER

DTYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}


def read_safetensors(path: Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The tensors of one safetensors file, in the order of its header, as read-only views of the mapped file.

    Raises:
        ValueError: the header is damaged, does not match the file's size, repeats a name, or has an unknown dtype.
        OSError: the file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(LFS_POINTER)) == LFS_POINTER:
                raise ValueError("it is a Git LFS pointer, not the weights; run 'git lfs pull' in its repository")
            file.seek(0)
            length = int.from_bytes(file.read(8), "little")
            if length > INDEX_BYTES and length + 8 <= os.fstat(file.fileno()).st_size:
                raise ValueError(f"its header has {length:,} bytes, more than the {INDEX_BYTES:,} that a model needs")
            _check_header(path)
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        header = parse_json(content[8 : 8 + length], "its header", unique=True)
        header.pop("__metadata__", None)
        return {name: _view(content, 8 + length, name, entry) for name, entry in header.items()}
    except ValueError as error:
        raise ValueError(f"{path} is not a safetensors file that can be read: {str(error).rstrip('.')}.") from error


def _check_header(path: Path) -> None:
    """Lets the library verify that the header is well formed and covers the file without gaps or overlaps."""
    try:
        with safe_open(path, framework="np"):
            return
    except (OSError, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # SafetensorError, and panics of the library, which are no Exceptions
        raise ValueError(one_line(str(error))) from error


def _view(content: mmap.mmap, start: int, name: str, entry: Mapping[str, Any]) -> np.ndarray:
    dtype, shape, (begin, end) = DTYPES.get(entry["dtype"]), entry["shape"], entry["data_offsets"]
    if dtype is None:
        raise ValueError(
            f"tensor {shown(name, 80)} has the dtype {one_line(entry['dtype'], 40)}; known are {', '.join(DTYPES)}"
        )
    if len(shape) > AXES or any(size > AXIS for size in shape):
        raise ValueError(f"tensor {shown(name, 80)} has {len(shape)} axes, up to {max(shape):,} long; no weight has")
    if begin == end:
        return np.empty(shape, dtype)
    return np.frombuffer(content, dtype, count=(end - begin) // dtype.itemsize, offset=start + begin).reshape(shape)


def write_safetensors(
    path: Path, tensors: Mapping[str, Shaped[np.ndarray, "..."]], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes arrays as PyTorch reads them; the file appears under its name only when it is complete.

    Args:
        path: where to write; an existing file is replaced.
        tensors: float, integer or boolean arrays by name, bfloat16 included; any memory layout.
        metadata: text for the header, added to `format: pt`, without which transformers refuses a file.

    Raises:
        ValueError: a dtype that the format does not have.
        OSError: the file cannot be written.
    """
    for name, array in tensors.items():
        if array.dtype not in DTYPES.values():
            raise ValueError(f"tensor {shown(name, 80)} has dtype {array.dtype}, which is not written to {path}.")
    # The library writes an array's memory as it lies, so a transposed view would come out scrambled.
    dense = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.touch()
        mode = partial.stat().st_mode  # the library makes files that only their owner can read
        save_file(dense, partial, {"format": "pt", **(metadata or {})})
        partial.chmod(mode)
        os.replace(partial, path)
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
