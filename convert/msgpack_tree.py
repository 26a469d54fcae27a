"""Reads Flax's msgpack files, which hold a tree of arrays, as flat dictionaries with names joined by `/`.

The format (msgpack's specification, and three types of Flax's own) has no code in it, but lengths that a reader takes
memory for before it has seen what they promise. This one takes none: every length is compared with what is left of the
file, arrays are views of the mapped file, and the numbers of entries and levels are bounded.
"""

import math
import mmap
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from instructor_jax.io.bounds import AXES, AXIS, MIB, TREE_DEPTH, TREE_ENTRIES
from instructor_jax.io.json_files import shown_value
from instructor_jax.io.printable import one_line
from instructor_jax.io.weights.git_lfs import LFS_POINTER

_CHUNKED = "__msgpack_chunked_array__"  # Flax cuts arrays above 1 GiB into pieces
_ARRAY, _SCALAR = 1, 3  # Flax's types; 2 is a complex number
_DTYPES = {
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "bool": np.dtype(np.bool_),
    **{f"float{bits}": np.dtype(f"float{bits}") for bits in (16, 32, 64)},
    **{f"{kind}{bits}": np.dtype(f"{kind}{bits}") for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
}
# First byte of a value -> how many bytes its length has, by kind.
_TEXT = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_LIST = {0xDC: 2, 0xDD: 4}
_MAP = {0xDE: 2, 0xDF: 4}
_TYPED = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_FIXED_TYPED = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


def is_msgpack_map(path: Path) -> bool:
    """Whether a file begins as a msgpack tree does."""
    with path.open("rb") as file:
        first = file.read(1)
    return bool(first) and (0x80 <= first[0] <= 0x8F or first[0] in _MAP)


def read_msgpack(path: Path) -> dict[Any, Any]:
    """The tree in a Flax msgpack file: nested dictionaries with arrays, numbers, text or None at the leaves.

    Arrays are read-only views of the mapped file.

    Raises:
        ValueError: the file is empty, damaged, not a tree, or larger or deeper than a model's.
        OSError: it cannot be opened.
    """
    with path.open("rb") as file:
        head = file.read(len(LFS_POINTER))
        if head == LFS_POINTER:
            raise ValueError(f"{path} is a Git LFS pointer, not the weights; run 'git lfs pull' in its repository.")
        if not head:
            raise ValueError(f"{path} is not a whole Flax msgpack file: it is empty.")
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    reader = _Reader(content)
    try:
        tree = reader.value()
        if reader.at != len(content):
            raise ValueError(f"{len(content) - reader.at:,} bytes follow its end")
    except (ValueError, struct.error) as error:
        at = f" (below {one_line('/'.join(reader.path), 200)})" if reader.path else ""
        raise ValueError(f"{path} is not a whole Flax msgpack file: {error}{at}.") from error
    if not isinstance(tree, dict):
        raise ValueError(f"{path} holds a {type(tree).__name__}, not a tree of named arrays.")
    return tree


def flatten(
    tree: Mapping[Any, Any], is_leaf: Callable[[Mapping[Any, Any]], bool] = lambda node: False, depth: int = 0
) -> dict[str, Any]:
    """The leaves of a tree by their path, joined with `/`. Empty subtrees vanish; a name with `/` in it is refused.

    Args:
        tree: nested dictionaries.
        is_leaf: which dictionaries are values rather than subtrees.
        depth: levels above this tree.

    Raises:
        ValueError: a key is no text, or contains `/`; or there are more than `TREE_DEPTH` levels.
    """
    if depth > TREE_DEPTH:
        raise ValueError(f"a tree of arrays nests deeper than {TREE_DEPTH} levels.")
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if not isinstance(key, str) or "/" in key:
            raise ValueError(f"{shown_value(key)} cannot be a part of an array's name.")
        if isinstance(value, Mapping) and not is_leaf(value):
            leaves |= {f"{key}/{name}": leaf for name, leaf in flatten(value, is_leaf, depth + 1).items()}
        else:
            leaves[key] = value
    return leaves


class _Reader:
    """A walk through msgpack bytes.

    Args:
        content: the bytes.
        entries: how many entries of maps and lists are allowed.
        typed: whether Flax's own types may appear; an array has none inside.

    Attributes:
        path: where it is, for messages.
    """

    def __init__(self, content: memoryview, entries: int = TREE_ENTRIES, *, typed: bool = True) -> None:
        self.content, self.at, self.entries, self.typed = content, 0, entries, typed
        self.path: list[str] = []

    def value(self) -> Any:
        code = self.take(1)[0]
        if code < 0x80 or code >= 0xE0:
            return code if code < 0x80 else code - 0x100
        if code in _CONSTANTS:
            return _CONSTANTS[code]
        if code in _NUMBERS:
            return struct.unpack(_NUMBERS[code], self.take(struct.calcsize(_NUMBERS[code])))[0]
        if 0x80 <= code <= 0x8F or code in _MAP:
            return self.map(code & 0x0F if code <= 0x8F else self.length(_MAP[code]))
        if 0x90 <= code <= 0x9F or code in _LIST:
            return self.list(code & 0x0F if code <= 0x9F else self.length(_LIST[code]))
        if 0xA0 <= code <= 0xBF or code in _TEXT:
            return self.text(code & 0x1F if code <= 0xBF else self.length(_TEXT[code]))
        if code in _BYTES:
            return self.take(self.length(_BYTES[code]))
        if code in _TYPED or code in _FIXED_TYPED:
            size = self.length(_TYPED[code]) if code in _TYPED else _FIXED_TYPED[code]
            kind = self.take(1)[0]
            return _typed(kind if self.typed else 0, self.take(size))
        raise ValueError(f"the byte {code:#x} begins no value")

    def take(self, size: int) -> memoryview:
        if size > len(self.content) - self.at:
            raise ValueError(f"it promises {size:,} bytes where {len(self.content) - self.at:,} are left")
        self.at += size
        return self.content[self.at - size : self.at]

    def length(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def count(self, entries: int) -> int:
        self.entries -= entries
        if self.entries < 0:
            raise ValueError("it has more entries than any model's tree")
        if len(self.path) > TREE_DEPTH:
            raise ValueError(f"it nests deeper than {TREE_DEPTH} levels")
        return entries

    def text(self, size: int) -> str:
        if size > MIB:
            raise ValueError(f"it has a text of {size:,} bytes")
        return bytes(self.take(size)).decode("utf-8")

    def list(self, size: int) -> list[Any]:
        self.count(size)
        self.path.append("[]")
        items = [self.value() for _ in range(size)]
        self.path.pop()
        return items

    def map(self, size: int) -> Any:
        self.count(size)
        result: dict[Any, Any] = {}
        for _ in range(size):
            key = self.value()
            if not isinstance(key, str | int):
                raise ValueError(f"a key is a {type(key).__name__}, not a name")
            if key in result:
                raise ValueError(f"it has the key {shown_value(key)} twice")
            self.path.append(str(key))
            result[key] = self.value()
            self.path.pop()
        return _joined(result) if _CHUNKED in result else result


def _typed(kind: int, payload: memoryview) -> Any:
    """An array or scalar of Flax: a list of shape, name of the dtype, and bytes, as a msgpack value of its own."""
    if kind not in (_ARRAY, _SCALAR):
        raise ValueError(f"it has a value of the type {kind}, which is no array of real numbers")
    match _Reader(payload, AXES + 3, typed=False).value():
        case [list(shape), name, memoryview() as data]:
            dtype = _DTYPES.get(bytes(name).decode("utf-8", "replace") if isinstance(name, memoryview) else str(name))
            if dtype is None:
                raise ValueError(f"it has an array of the dtype {shown_value(str(name))}, which weights never have")
            _check_shape(shape, len(data), dtype.itemsize)
            array = np.frombuffer(data, dtype).reshape(shape)
            return array if kind == _ARRAY else array[()]
    raise ValueError("an array is not given by shape, dtype and bytes")


def _check_shape(shape: list[Any], size: int, itemsize: int) -> None:
    if len(shape) > AXES or not all(type(length) is int and 0 <= length <= AXIS for length in shape):
        raise ValueError("an array has a shape that no weight has")
    if math.prod(shape) * itemsize != size:
        raise ValueError(f"an array of shape {tuple(shape)} has {size:,} bytes")


def _joined(pieces: dict[Any, Any]) -> np.ndarray:
    """An array that Flax cut into pieces: its shape and its flat pieces, each a dictionary with the keys 0, 1, ..."""
    match pieces:
        case {"shape": dict(shape), "chunks": dict(chunks)}:
            lengths: list[Any] = [shape.get(str(axis)) for axis in range(len(shape))]
            flat: list[Any] = [chunks.get(str(part)) for part in range(len(chunks))]
            one_dtype = {part.dtype if isinstance(part, np.ndarray) and part.ndim == 1 else None for part in flat}
            if len(one_dtype) == 1 and None not in one_dtype:
                _check_shape(lengths, sum(part.nbytes for part in flat), flat[0].itemsize)
                return np.concatenate(flat).reshape(lengths)
    raise ValueError("an array that was cut into pieces does not have them all")
