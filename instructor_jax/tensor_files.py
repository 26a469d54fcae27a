"""The weights of a folder as one dictionary of PyTorch-named arrays: safetensors or `.bin`, whole or sharded.

Reading is lazy: the arrays are views of mapped files, so the decoder of a full T5 costs nothing until somebody looks at
it. The safetensors library checks a file's header; the views are then cut where that header says.
"""

import json
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

from instructor_jax.io.json_files import read_json
from instructor_jax.torch_files import LFS_POINTER, read_torch_file

_DTYPES = {
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
# In order of preference: a safetensors file cannot hold code, and needs no checksum pass.
_LAYOUTS = (
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
)


def find_weights(folder: Path) -> Path | None:
    """The weight file of a folder, or the index of its shards; None where it has neither.

    Raises:
        ValueError: a whole file and an index of the same format lie side by side.
    """
    for whole, index in _LAYOUTS:
        present = [folder / name for name in (whole, index) if (folder / name).is_file()]
        if len(present) == 2:
            raise ValueError(f"{folder} has both {whole} and {index}; remove the one that is not the model's.")
        if present:
            return present[0]
    return None


def read_tensors(folder: Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    """All weights of a folder by their PyTorch names, in the dtypes on disk, as read-only views of the mapped files.

    Raises:
        ValueError: there are no weights, two sets of them, a missing or damaged shard, a tensor in two shards, or an
            index that disagrees with its shards; nothing from a file is ever executed.
        OSError: a file cannot be opened.
    """
    source = find_weights(folder)
    if source is None:
        names = ", ".join(name for layout in _LAYOUTS for name in layout)
        raise ValueError(f"{folder} holds no PyTorch weights; looked for {names}.")
    return _read_shards(source) if source.suffix == ".json" else _read_file(source)


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
            with safe_open(path, framework="np"):
                pass  # opening verifies that the header is well formed and covers the file without gaps or overlaps
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:start], object_pairs_hook=_without_repeats)
        header.pop("__metadata__", None)
        return {name: _view(content, start, name, entry) for name, entry in header.items()}
    except (ValueError, SafetensorError) as error:
        raise ValueError(f"{path} is not a safetensors file that can be read: {str(error).rstrip('.')}.") from error


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
        if array.dtype not in _DTYPES.values():
            raise ValueError(f"tensor {name!r} has dtype {array.dtype}, which is not written to {path}.")
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


def _read_file(path: Path) -> dict[str, np.ndarray]:
    return read_safetensors(path) if path.suffix == ".safetensors" else read_torch_file(path)


def _read_shards(index: Path) -> dict[str, np.ndarray]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError(f"{index} has no 'weight_map' from tensor names to shard files.")
    suffix = index.name.removesuffix(".index.json").rpartition(".")[2]
    for name, shard in weight_map.items():
        if not isinstance(shard, str) or Path(shard).name != shard or not shard.endswith(f".{suffix}"):
            raise ValueError(f"{index} places {name!r} in {shard!r}, which is not a .{suffix} file beside it.")
    shards = sorted(set(weight_map.values()))
    missing = [shard for shard in shards if not (index.parent / shard).is_file()]
    if missing:
        raise ValueError(f"{index} lists {len(shards)} shards, but these are missing: {', '.join(missing)}.")
    tensors: dict[str, np.ndarray] = {}
    for shard in shards:
        content = _read_file(index.parent / shard)
        _check_shard(index, shard, set(content), weight_map)
        tensors.update(content)
    return {name: tensors[name] for name in weight_map}


def _check_shard(index: Path, shard: str, found: set[str], weight_map: Mapping[str, str]) -> None:
    expected = {name for name, file in weight_map.items() if file == shard}
    if absent := sorted(expected - found):
        raise ValueError(f"{index} places {_few(absent)} in {shard}, which does not hold it.")
    if surplus := sorted(found - expected):
        places = sorted({weight_map.get(name, "no shard") for name in surplus})
        raise ValueError(f"{shard} holds {_few(surplus)}, which {index} places in {', '.join(places)}.")


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"its header names {key!r} twice")
        result[key] = value
    return result


def _view(content: mmap.mmap, start: int, name: str, entry: Mapping[str, Any]) -> np.ndarray:
    dtype, shape, (begin, end) = _DTYPES.get(entry["dtype"]), entry["shape"], entry["data_offsets"]
    if dtype is None:
        raise ValueError(f"tensor {name!r} has the dtype {entry['dtype']}; known are {', '.join(_DTYPES)}")
    if begin == end:
        return np.empty(shape, dtype)
    return np.frombuffer(content, dtype, count=(end - begin) // dtype.itemsize, offset=start + begin).reshape(shape)
