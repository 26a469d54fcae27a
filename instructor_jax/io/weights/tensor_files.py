"""The weights of a folder as one dictionary of PyTorch-named arrays: safetensors or `.bin`, whole or sharded.

Reading is lazy: the arrays are views of mapped files, so the decoder of a full T5 costs nothing until somebody looks at
it.
"""

from collections import defaultdict
from collections.abc import Mapping, Set
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from instructor_jax.io.bounds import INDEX_BYTES, SHARDS
from instructor_jax.io.json_files import read_json, shown_value
from instructor_jax.io.printable import few, one_line
from instructor_jax.io.weights.safetensors_files import read_safetensors
from instructor_jax.io.weights.torch_files import read_torch_file

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


def _others(folder: Path) -> str:
    found = sorted({path.name for pattern in _OTHERS for path in folder.glob(pattern)})
    return f" (it has {few(found)}, which are not known as a whole model's weights)" if found else ""


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
