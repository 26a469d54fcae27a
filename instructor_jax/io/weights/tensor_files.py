"""The weights of a folder as one dictionary of PyTorch-named arrays: safetensors or `.bin`, whole or sharded.

Reading is lazy: the arrays are views of mapped files, so the decoder of a full T5 costs nothing until somebody looks at
it. The safetensors library checks a file's header; the views are then cut where that header says.
"""

import mmap
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from jaxtyping import Shaped
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from instructor_jax.io.bounds import AXES, AXIS, INDEX_BYTES, SHARDS
from instructor_jax.io.json_files import parse_json, read_json, shown_value
from instructor_jax.io.printable import one_line
from instructor_jax.io.weights.torch_files import LFS_POINTER, read_torch_file

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
# What else people keep weights in; transformers does not open these by itself either.
_OTHERS = ("*.safetensors", "*.bin", "*.gguf", "*.h5", "*.ot", "*.onnx", "*.pt", "*.pth", "*.ckpt")


def find_weights(folder: Path) -> Path | None:
    """The weight file of a folder, or the index of its shards; None where it has neither.

    Of safetensors and `.bin` side by side safetensors are taken, as transformers does; variants such as
    `model.fp16.safetensors` are nobody's default.

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
        raise ValueError(f"{folder} holds no PyTorch weights; looked for {names}{_others(folder)}.")
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
            raise ValueError(f"tensor {shown_value(name)} has dtype {array.dtype}, which is not written to {path}.")
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


def few(names: Sequence[str]) -> str:
    """Returns up to five names for a message, printable and cut."""
    listed = ", ".join(one_line(name, 120) for name in names[:5])
    return listed + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")


def _others(folder: Path) -> str:
    found = sorted({path.name for pattern in _OTHERS for path in folder.glob(pattern)})
    return f" (it has {few(found)}, which are not known as a whole model's weights)" if found else ""


def _check_header(path: Path) -> None:
    """Lets the library verify that the header is well formed and covers the file without gaps or overlaps."""
    try:
        with safe_open(path, framework="np"):
            return
    except (OSError, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # SafetensorError, and panics of the library, which are no Exceptions
        raise ValueError(one_line(str(error))) from error


def _read_file(path: Path) -> dict[str, np.ndarray]:
    return read_safetensors(path) if path.suffix == ".safetensors" else read_torch_file(path)


def _read_shards(index: Path) -> dict[str, np.ndarray]:
    weight_map = read_json(index, limit=INDEX_BYTES).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError(f"{index} has no 'weight_map' from tensor names to shard files.")
    suffix = index.name.removesuffix(".index.json").rpartition(".")[2]
    expected: dict[str, list[str]] = defaultdict(list)
    for name, shard in weight_map.items():
        if not is_file_name(shard, f".{suffix}"):
            raise ValueError(
                f"{index} places {shown_value(name)} in {shown_value(shard)}, which is not a .{suffix} file beside it."
            )
        expected[shard].append(name)
    if len(expected) > SHARDS:
        raise ValueError(
            f"{index} lists {len(expected):,} files; at most {SHARDS} are opened. Save fewer, larger ones."
        )
    if missing := sorted(shard for shard in expected if not (index.parent / shard).is_file()):
        raise ValueError(f"{index} lists {len(expected)} shards, but these are missing: {few(missing)}.")
    tensors: dict[str, np.ndarray] = {}
    for shard, names in sorted(expected.items()):
        content = _read_file(index.parent / shard)
        _check_shard(index, shard, content.keys(), set(names), weight_map)
        tensors.update(content)
    return {name: tensors[name] for name in weight_map}


def is_file_name(value: object, suffix: str) -> bool:
    """Whether a value from an index is the bare name of a file with this suffix: no folder, no way out of one."""
    return (
        isinstance(value, str)
        and len(value) <= 255
        and value.endswith(suffix)
        and not any(character in value for character in "/\\\0")
        and Path(value).name == value
    )


def _check_shard(index: Path, shard: str, found: Set[str], expected: Set[str], weight_map: Mapping[str, str]) -> None:
    if absent := sorted(expected - found):
        raise ValueError(f"{index} places {few(absent)} in {one_line(shard, 80)}, which does not hold it.")
    if surplus := sorted(found - expected):
        places = sorted({weight_map.get(name, "no shard") for name in surplus})
        raise ValueError(f"{one_line(shard, 80)} holds {few(surplus)}, which {index} places in {few(places)}.")


def _view(content: mmap.mmap, start: int, name: str, entry: Mapping[str, Any]) -> np.ndarray:
    dtype, shape, (begin, end) = _DTYPES.get(entry["dtype"]), entry["shape"], entry["data_offsets"]
    if dtype is None:
        raise ValueError(
            f"tensor {shown_value(name)} has the dtype {one_line(entry['dtype'], 40)}; known are {', '.join(_DTYPES)}"
        )
    if len(shape) > AXES or any(size > AXIS for size in shape):
        raise ValueError(f"tensor {shown_value(name)} has {len(shape)} axes, up to {max(shape):,} long; no weight has")
    if begin == end:
        return np.empty(shape, dtype)
    return np.frombuffer(content, dtype, count=(end - begin) // dtype.itemsize, offset=start + begin).reshape(shape)
