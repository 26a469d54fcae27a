"""Where T5X checkpoints keep their arrays: the `checkpoint` index with zarr folders beside it, and Orbax folders.

The index is a msgpack tree. Under the trained parameters (`optimizer/target`) stand small arrays themselves, for large
ones a TensorStore specification, and in the first Orbax versions the text `PLACEHOLDER://folder`. A specification comes
from the file, so only its relative path is used: the store that is opened is always a zarr array inside the folder.
Finding, opening and loading are three steps, so that optimizer state and decoder are never touched. A checkpoint in one
file is an index that has all arrays in it.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import ml_dtypes
import numpy as np
from jaxtyping import Shaped

from instructor_jax.io.bounds import INDEX_BYTES, MIB
from instructor_jax.io.json_files import read_json, shown_value
from instructor_jax.io.printable import one_line

from .msgpack_tree import flatten, is_msgpack_map, read_msgpack

_INDEX = "checkpoint"
_ORBAX = "_METADATA"
# T5X saves its Orbax item as `state`; the others are habits of Orbax and Flax.
_ITEMS = ("", "state", "default", "params")
# Where the parameters stand in the tree: T5X, T5X with the first Orbax, T5X with Orbax, Flax twice, nothing but them.
_ROOTS = (("optimizer", "target"), ("_optimizer", "target"), ("target",), ("params", "params"), ("params",), ())
_PLACEHOLDER = "PLACEHOLDER://"


@dataclasses.dataclass(frozen=True)
class StoredArray:
    """An array of a checkpoint that has been opened, but not loaded."""

    shape: tuple[int, ...]
    dtype: np.dtype
    load: Callable[[], Shaped[np.ndarray, "..."]]


def find_checkpoints(folder: Path) -> list[Path]:
    """The folders that hold an index or Orbax metadata: `folder` itself, an item in it, or else the steps of a run.

    A step of a run may be a single file; it is its own checkpoint.
    """
    for place in (folder / item for item in _ITEMS):
        if (place / _ORBAX).is_file() or _is_index(place / _INDEX):
            return [place]
    found: list[Path] = []
    for step in sorted(folder.glob("checkpoint_*")):
        found += [step] * is_msgpack_map(step) if step.is_file() else find_checkpoints(step)
    return found


def stored_parameters(checkpoint: Path) -> dict[str, Callable[[], StoredArray]]:
    """For each parameter, by its T5X name joined with `/`, a function that opens it; optimizer state is left out.

    Opening raises ValueError if the array is absent, outside the folder, or of another shape than the index says;
    loading, if it is damaged or copied only in part.

    Raises:
        ValueError: the index is damaged or has no encoder.
    """
    if (checkpoint / _ORBAX).is_file():
        return _orbax_parameters(checkpoint)
    index = checkpoint if checkpoint.is_file() else checkpoint / _INDEX
    tree = read_msgpack(index)
    leaves = flatten(_parameter_tree(tree, index), _is_specification)
    if checkpoint.is_file() and (elsewhere := [name for name, leaf in leaves.items() if not _is_inside(leaf)]):
        raise ValueError(
            f"{checkpoint} keeps {one_line(elsewhere[0], 120)} in a folder beside it; give the checkpoint's folder."
        )
    open_leaf = functools.partial(_open_leaf, checkpoint, tree.get("version"))
    return {name: functools.partial(open_leaf, name, leaf) for name, leaf in leaves.items()}


def check_plausible(checkpoint: Path, arrays: Iterable[StoredArray]) -> None:
    """Refuses declared sizes that the files could not hold, before memory is taken for them.

    Raises:
        ValueError: the arrays would be 1100 times as large as all files together; deflate reaches 1032.
    """
    declared = sum(math.prod(array.shape) * array.dtype.itemsize for array in arrays)
    files = [checkpoint] if checkpoint.is_file() else checkpoint.rglob("*")
    stored = sum(file.stat().st_size for file in files if file.is_file())
    if declared > 1100 * stored:
        raise ValueError(f"{checkpoint} declares arrays of {declared} bytes, but its files have only {stored}.")


def _is_index(path: Path) -> bool:
    """Whether this is a T5X index. TensorFlow has a text file of the same name."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return not file.read(32).startswith(b"model_checkpoint_path")


def _is_inside(leaf: Any) -> bool:
    return not isinstance(leaf, str | Mapping)


def _parameter_tree(tree: Mapping[Any, Any], source: Path) -> Mapping[Any, Any]:
    for root in _ROOTS:
        node: Any = tree
        for key in root:
            node = node.get(key) if isinstance(node, Mapping) else None
        if isinstance(node, Mapping) and "encoder" in node:
            return node
    roots = ", ".join("/".join((*root, "encoder")) for root in _ROOTS)
    raise ValueError(f"{source} has no encoder; looked for {roots}.")


def _is_specification(node: Mapping[Any, Any]) -> bool:
    return "driver" in node and "kvstore" in node


def _open_leaf(checkpoint: Path, version: Any, name: str, leaf: Any) -> StoredArray:
    if isinstance(leaf, np.ndarray):
        return StoredArray(leaf.shape, leaf.dtype, lambda: leaf)
    if isinstance(leaf, str) and leaf.startswith(_PLACEHOLDER):
        return _open_zarr(checkpoint, name, leaf.removeprefix(_PLACEHOLDER))
    if not isinstance(leaf, Mapping):
        raise ValueError(f"{checkpoint / _INDEX} holds a {type(leaf).__name__} for {name}, not an array.")
    kvstore = leaf["kvstore"] if isinstance(leaf["kvstore"], Mapping) else {}
    # TensorStore before 0.1.14 had the path beside the kvstore. The kvstore's driver (gfile, gcs, file) says where the
    # checkpoint was written, not where it lies now.
    path = kvstore.get("path", leaf.get("path"))
    if leaf["driver"] != "zarr" or not isinstance(path, str):
        store = shown_value(leaf["driver"])
        raise ValueError(f"{checkpoint / _INDEX} keeps {name} in a {store} store; only zarr is read.")
    array = _open_zarr(checkpoint, name, path)
    declared = leaf["metadata"].get("shape") if isinstance(leaf.get("metadata"), Mapping) else None
    if declared is not None and not (isinstance(declared, list) and declared == list(array.shape)):
        raise ValueError(
            f"{checkpoint / _INDEX} gives {name} the shape {one_line(str(declared), 80)}, its zarr array has "
            f"{array.shape}."
        )
    if version == 2 and array.dtype == np.uint16:  # that version wrote the bits of bfloat16 as integers
        half = np.dtype(ml_dtypes.bfloat16)
        return StoredArray(array.shape, half, lambda: array.load().view(half))
    return array


def _open_zarr(checkpoint: Path, name: str, relative: str, driver: str = "zarr") -> StoredArray:
    import tensorstore

    place = PurePosixPath(relative)
    if place.is_absolute() or ".." in place.parts or not place.parts or "\0" in relative or "\\" in relative:
        raise ValueError(
            f"{checkpoint} places {one_line(name, 120)} at {shown_value(relative)}, which is not inside the "
            "checkpoint's folder."
        )
    root = {"driver": "file", "path": f"{checkpoint.absolute()}/"}
    packed = (checkpoint / "manifest.ocdbt").is_file()
    kvstore = {"driver": "ocdbt", "base": root, "path": f"{place}/"} if packed else {**root}
    if not packed:
        kvstore["path"] += f"{place}/"
    # Without the last option a chunk that is not there reads as zeros: an interrupted copy would be silent damage.
    specification = {"driver": driver, "kvstore": kvstore, "fill_missing_data_reads": False}
    try:
        for file in (".zarray", "zarr.json"):  # before TensorStore believes them: bounded in size and depth
            if (checkpoint / place / file).is_file():
                read_json(checkpoint / place / file, limit=MIB)
        store = tensorstore.open(specification, open=True, read=True).result()
    except (ValueError, OSError) as error:
        raise ValueError(f"{name} in {checkpoint} cannot be opened: {one_line(str(error), 400)}") from error
    chunk = store.chunk_layout.read_chunk.shape or store.shape
    if any((size or 0) > max(length, 1) for size, length in zip(chunk, store.shape, strict=True)):
        # A chunk is unpacked whole: a small file could claim any amount of memory.
        raise ValueError(f"{name} in {checkpoint} has chunks of {tuple(chunk)}, larger than the array {store.shape}.")

    def load() -> np.ndarray:
        try:
            return np.asarray(store.read().result())
        except (ValueError, OSError) as error:
            reason = one_line(str(error), 400)
            raise ValueError(f"{name} in {checkpoint} is damaged or copied only in part: {reason}") from error

    return StoredArray(tuple(store.shape), store.dtype.numpy_dtype, load)


def _orbax_parameters(checkpoint: Path) -> dict[str, Callable[[], StoredArray]]:
    import orbax.checkpoint as ocp

    read_json(checkpoint / _ORBAX, limit=INDEX_BYTES)  # bounded in size and depth, before Orbax believes it
    try:
        found = ocp.PyTreeCheckpointHandler().metadata(checkpoint.absolute())  # pyright: ignore[reportArgumentType]
    except Exception as error:  # a damaged file fails in Orbax in many ways
        reason = one_line(f"{type(error).__name__}: {error}", 400)
        raise ValueError(f"{checkpoint / _ORBAX} cannot be read by the installed Orbax: {reason}.") from error
    leaves = flatten(_parameter_tree(found.tree, checkpoint / _ORBAX))
    driver = "zarr3" if found.use_zarr3 else "zarr"
    return {name: functools.partial(_open_orbax, checkpoint, name, leaf, driver) for name, leaf in leaves.items()}


def _open_orbax(checkpoint: Path, name: str, leaf: Any, driver: str) -> StoredArray:
    path = getattr(leaf, "name", None)
    if not isinstance(path, str):
        raise ValueError(f"{checkpoint / _ORBAX} has a {type(leaf).__name__} for {name}, not an array.")
    return _open_zarr(checkpoint, name, path, driver)
