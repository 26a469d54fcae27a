"""Hugging Face's Flax weights (`flax_model.msgpack`, whole or sharded) to PyTorch-named arrays.

The tree has PyTorch's names with `kernel` [in, out] for a linear layer's weight [out, in], and `embedding`, which keeps
its orientation, for an embedding table: also for the relative bias, which is [buckets, heads] in both.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from instructor_jax.backbones.registry import Backbone, backbones
from instructor_jax.config import BackboneConfig
from instructor_jax.io.bounds import INDEX_BYTES, SHARDS
from instructor_jax.io.json_files import read_json
from instructor_jax.io.printable import few, one_line
from instructor_jax.io.weights.tensor_files import is_file_name

from .msgpack_tree import flatten, read_msgpack
from .shapes import encoder_config_of

_log = logging.getLogger(__name__)

_WHOLE = "flax_model.msgpack"
_INDEX = "flax_model.msgpack.index.json"


def recognises(folder: Path) -> bool:
    """Whether the folder has Flax weights; nothing is read."""
    return (folder / _WHOLE).is_file() or (folder / _INDEX).is_file()


def read(place: Path) -> tuple[BackboneConfig, dict[str, Shaped[np.ndarray, "..."]]]:
    """The encoder in a folder or file with Flax weights: configuration and PyTorch-named arrays in the stored dtype.

    The configuration comes from the `config.json` beside the weights, else from the shapes. Decoder and output layer
    are left out, and counted in the log.

    Raises:
        ValueError: there are no Flax weights or two sets of them, a shard is missing, or an array is unknown, missing,
            misshapen, repeated, or not of floating point; each with its name.
    """
    folder = place.parent if place.is_file() else place
    leaves = _tree(place) if place.is_file() else _leaves(folder)
    backbone, known, left_out = _family(leaves)
    if left_out:
        _log.info("left out %d arrays of %s; an embedding model needs only the encoder", len(left_out), place)
    origins: dict[str, str] = {}
    tensors: dict[str, np.ndarray] = {}
    for name, leaf in leaves.items():
        if name in left_out:
            continue
        if name not in known:
            raise ValueError(
                f"{few([name])} in {place} is no part of a {backbone.title} encoder that is known here; nothing was "
                "converted."
            )
        if not isinstance(leaf, np.ndarray):
            raise ValueError(f"{name} in {place} is a {type(leaf).__name__}, not an array.")
        stem, _, kind = name.rpartition("/")
        torch_name = f"{stem.replace('/', '.')}.weight"
        origins[torch_name] = name
        tensors[torch_name] = np.ascontiguousarray(leaf.T) if kind == "kernel" else leaf
    return encoder_config_of(folder, tensors, origins, backbone), tensors


def _family(names: Iterable[str]) -> tuple[Backbone, set[str], set[str]]:
    """Returns the family that most of the names are of, which of them it knows, and which of them it leaves out."""
    found = []
    for backbone in backbones():
        patterns = backbone.weights.flax, backbone.weights.flax_left_out
        known, left_out = ({name for name in names if one is not None and one.fullmatch(name)} for one in patterns)
        found.append((backbone, known, left_out))
    return max(found, key=lambda one: len(one[1]))


def _leaves(folder: Path) -> dict[str, object]:
    if not (folder / _INDEX).is_file():
        if not (folder / _WHOLE).is_file():
            raise ValueError(f"{folder} holds no Flax weights; looked for {_WHOLE} and {_INDEX}.")
        return _tree(folder / _WHOLE)
    if (folder / _WHOLE).is_file():
        raise ValueError(f"{folder} has both {_WHOLE} and {_INDEX}; remove the one that is not the model's.")
    weight_map = read_json(folder / _INDEX, limit=INDEX_BYTES).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError(f"{folder / _INDEX} has no 'weight_map' from array names to shard files.")
    leaves: dict[str, object] = {}
    listed_in: dict[str, set[str]] = defaultdict(set)
    for name, shard in weight_map.items():
        if not is_file_name(shard, ".msgpack") or not (folder / shard).is_file():
            shown = one_line(str(shard), 80)
            raise ValueError(f"{folder / _INDEX} lists the shard {shown}, which is missing beside it.")
        listed_in[shard].add(name)
    if len(listed_in) > SHARDS:
        raise ValueError(f"{folder / _INDEX} lists {len(listed_in):,} files; at most {SHARDS} are opened.")
    for shard, listed in sorted(listed_in.items()):
        content = _tree(folder / shard)
        if differing := sorted(listed.symmetric_difference(content)):
            raise ValueError(f"{folder / _INDEX} and {shard} disagree about {few(differing)}.")
        leaves |= content
    return leaves


def _tree(path: Path) -> dict[str, object]:
    tree = read_msgpack(path)
    return flatten(tree["params"] if set(tree) == {"params"} and isinstance(tree["params"], dict) else tree)
