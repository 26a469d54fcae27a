"""Reads Flax's msgpack files, which hold a tree of arrays, as flat dictionaries with names joined by `/`.

The format has no code in it, but a damaged or hostile file makes the decoder fail in many ways; here all of them become
one error that names the file.
"""

import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from instructor_jax.torch_files import LFS_POINTER


def read_msgpack(path: Path) -> dict[Any, Any]:
    """The tree in a Flax msgpack file: nested dictionaries with arrays, numbers, text or None at the leaves.

    Raises:
        ValueError: the file is empty, damaged, or not a tree.
        OSError: it cannot be opened.
    """
    from flax import serialization

    with path.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise ValueError(f"{path} is a Git LFS pointer, not the weights; run 'git lfs pull' in its repository.")
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                tree = serialization.msgpack_restore(cast(bytes, content))  # any buffer does; arrays are copied out
        except Exception as error:  # whatever the decoders of msgpack and of NumPy raise on damaged input
            raise ValueError(f"{path} is not a whole Flax msgpack file: {type(error).__name__}: {error}.") from error
    if not isinstance(tree, dict):
        raise ValueError(f"{path} holds a {type(tree).__name__}, not a tree of named arrays.")
    return tree


def flatten(
    tree: Mapping[Any, Any], is_leaf: Callable[[Mapping[Any, Any]], bool] = lambda node: False
) -> dict[str, Any]:
    """The leaves of a tree by their path, joined with `/`. Empty subtrees vanish; a name with `/` in it is refused.

    Args:
        tree: nested dictionaries.
        is_leaf: which dictionaries are values rather than subtrees.

    Raises:
        ValueError: a key is no text, or contains `/`.
    """
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if not isinstance(key, str) or "/" in key:
            raise ValueError(f"{key!r} cannot be a part of an array's name.")
        if isinstance(value, Mapping) and not is_leaf(value):
            leaves |= {f"{key}/{name}": leaf for name, leaf in flatten(value, is_leaf).items()}
        else:
            leaves[key] = value
    return leaves
