"""Hugging Face's Flax weights (`flax_model.msgpack`, whole or sharded) to PyTorch-named arrays.

The tree has PyTorch's names with `kernel` [in, out] for a linear layer's weight [out, in], and `embedding`, which keeps
its orientation, for an embedding table: also for the relative bias, which is [buckets, heads] in both.
"""

import logging
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from instructor_jax.config import EncoderConfig
from instructor_jax.io.bounds import INDEX_BYTES, SHARDS
from instructor_jax.io.json_files import read_json
from instructor_jax.io.printable import one_line
from instructor_jax.io.weights.tensor_files import few, is_file_name

from .msgpack_tree import flatten, read_msgpack
from .shapes import encoder_config_of

_log = logging.getLogger(__name__)

_WHOLE = "flax_model.msgpack"
_INDEX = "flax_model.msgpack.index.json"
_LEFT_OUT = re.compile(r"decoder/.*|lm_head/kernel")
_ATTENTION = r"layer/0/(SelfAttention/([qkvo]/kernel|relative_attention_bias/embedding)|layer_norm/weight)"
_FEED_FORWARD = r"layer/1/(DenseReluDense/(wi|wi_0|wi_1|wo)/kernel|layer_norm/weight)"
_BLOCK = rf"encoder/block/(0|[1-9]\d{{0,3}})/({_ATTENTION}|{_FEED_FORWARD})"
_KNOWN = re.compile(rf"shared/embedding|encoder/final_layer_norm/weight|{_BLOCK}")


def recognises(folder: Path) -> bool:
    """Whether the folder has Flax weights; nothing is read."""
    return (folder / _WHOLE).is_file() or (folder / _INDEX).is_file()


def read(place: Path) -> tuple[EncoderConfig, dict[str, Shaped[np.ndarray, "..."]]]:
    """The encoder in a folder or file with Flax weights: configuration and PyTorch-named arrays in the stored dtype.

    The configuration comes from the `config.json` beside the weights, else from the shapes. Decoder and output layer
    are left out, and counted in the log.

    Raises:
        ValueError: there are no Flax weights or two sets of them, a shard is missing, or an array is unknown, missing,
            misshapen, repeated, or not of floating point; each with its name.
    """
    folder = place.parent if place.is_file() else place
    leaves = _tree(place) if place.is_file() else _leaves(folder)
    left_out = [name for name in leaves if _LEFT_OUT.fullmatch(name)]
    if left_out:
        _log.info("left out %d arrays of %s; an embedding model needs only the encoder", len(left_out), place)
    origins: dict[str, str] = {}
    tensors: dict[str, np.ndarray] = {}
    for name, leaf in leaves.items():
        if _LEFT_OUT.fullmatch(name):
            continue
        if not _KNOWN.fullmatch(name):
            raise ValueError(
                f"{few([name])} in {place} is no part of a T5 encoder that is known here; nothing was converted."
            )
        if not isinstance(leaf, np.ndarray):
            raise ValueError(f"{name} in {place} is a {type(leaf).__name__}, not an array.")
        stem, _, kind = name.rpartition("/")
        torch_name = f"{stem.replace('/', '.')}.weight"
        origins[torch_name] = name
        tensors[torch_name] = np.ascontiguousarray(leaf.T) if kind == "kernel" else leaf
    return encoder_config_of(folder, tensors, origins), tensors


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
