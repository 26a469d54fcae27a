"""The one table between PyTorch's T5 names and our parameters, read in both directions.

PyTorch keeps one matrix [out, in] per layer; we keep all layers stacked, as [layers, in, ...out]. Every entry of the
table says how a matrix of one layer is turned; the way back is its exact inverse, so conversion there and back is the
identity bit for bit, in whatever dtype the weights came. Names that are unknown, missing, repeated or misshapen are
errors that quote the name; only the decoder of a whole T5 model is left out, by name.
"""

import dataclasses
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.io.printable import one_line
from instructor_jax.io.weights.tensor_files import few

logger: logging.Logger = logging.getLogger(__name__)

Arrays = Mapping[str, np.ndarray]
PROJECTION = "projection.weight"  # the Dense module's linear.weight, under a name of its own among the encoder's
EMBEDDING = "shared.weight"
_EMBEDDING_COPIES = ("encoder.embed_tokens.weight",)
FLOATS = tuple(map(np.dtype, (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)))
_LEFT_OUT = re.compile(r"(decoder\..*|lm_head\.weight)")
_ATTENTION = "encoder.block.{layer}.layer.0"
_MLP = "encoder.block.{layer}.layer.1"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One parameter: where it lies in our tree, its PyTorch name, both shapes (of one layer), how they relate.

    `{layer}` in the name marks a parameter that every layer has.
    """

    path: tuple[str, ...]
    name: str
    torch_shape: tuple[int, ...]
    shape: tuple[int, ...]
    from_torch: Callable[[np.ndarray], np.ndarray]
    to_torch: Callable[[np.ndarray], np.ndarray]

    @property
    def per_layer(self) -> bool:
        return "{layer}" in self.name


def _same(array: np.ndarray) -> np.ndarray:
    return array


def table(config: ModelConfig) -> list[Entry]:
    """All parameters of a model with this configuration, in a fixed order."""
    encoder = config.encoder
    embed, heads, head_dim, ffn = encoder.embed, encoder.heads, encoder.head_dim, encoder.ffn
    inner = heads * head_dim

    def same(path: str, name: str, *shape: int) -> Entry:
        return Entry(tuple(path.split(".")), name, shape, shape, _same, _same)

    def linear(path: str, name: str, *shape: int, split: tuple[int, ...] | None = None) -> Entry:
        """[out, in] -> [in, out], with the in or out axis split into heads where `split` is the full shape."""
        ours = split or shape[::-1]
        return Entry(
            tuple(path.split(".")),
            name,
            shape,
            ours,
            lambda array: array.T.reshape(ours),
            lambda array: array.reshape(shape[::-1]).T,
        )

    entries = [same("encoder.embed.embedding", EMBEDDING, encoder.vocab, embed)]
    for ours, theirs in (("query", "q"), ("key", "k"), ("value", "v")):
        path, name = f"encoder.layers.attention.{ours}", f"{_ATTENTION}.SelfAttention.{theirs}.weight"
        entries.append(linear(path, name, inner, embed, split=(embed, heads, head_dim)))
    name = f"{_ATTENTION}.SelfAttention.o.weight"
    entries.append(linear("encoder.layers.attention.out", name, embed, inner, split=(heads, head_dim, embed)))
    bias = f"{_ATTENTION}.SelfAttention.relative_attention_bias.weight"
    if encoder.shared_relative_bias:  # transformers keeps the shared table in the first block
        name = bias.format(layer=0)
        entries.append(same("encoder.relative_bias.embedding", name, encoder.relative_buckets, heads))
    else:
        path = "encoder.layers.attention.relative_bias.embedding"
        entries.append(same(path, bias, encoder.relative_buckets, heads))
    entries.append(same("encoder.layers.attention_norm.scale", f"{_ATTENTION}.layer_norm.weight", embed))
    for wi in ("wi_0", "wi_1") if encoder.gated else ("wi",):
        entries.append(linear(f"encoder.layers.mlp.{wi}", f"{_MLP}.DenseReluDense.{wi}.weight", ffn, embed))
    entries.append(linear("encoder.layers.mlp.wo", f"{_MLP}.DenseReluDense.wo.weight", embed, ffn))
    entries.append(same("encoder.layers.mlp_norm.scale", f"{_MLP}.layer_norm.weight", embed))
    entries.append(same("encoder.final_norm.scale", "encoder.final_layer_norm.weight", embed))
    if config.projection is not None:
        entries.append(linear("projection", PROJECTION, config.projection, embed))
    return entries


def torch_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every PyTorch name with its shape."""
    return {name: entry.torch_shape for entry in table(config) for name in _names(entry, config.encoder)}


def params_from_torch(config: ModelConfig, arrays: Arrays) -> dict[str, Any]:
    """Our nested parameters from PyTorch-named arrays, in the arrays' own dtype.

    Args:
        config: the model's shape.
        arrays: the encoder's names as in transformers (`encoder.block.0...`), the embedding as `shared.weight`,
            `encoder.embed_tokens.weight` or both, the projection as `projection.weight`; a decoder is left out.

    Raises:
        ValueError: a name is unknown or missing, a shape is wrong, a dtype is not of floating point, layers differ in
            dtype, or two copies of the embedding differ.
    """
    arrays = encoder_arrays(arrays)
    wanted = torch_shapes(config)
    unknown = sorted(set(arrays) - set(wanted))
    missing = sorted(set(wanted) - set(arrays))
    if unknown or missing:
        raise ValueError(
            f"the weights do not fit the configuration: {_listing('unknown', unknown)}{_listing('missing', missing)}"
            f"expected is an encoder of {config.encoder.layers} layers"
            f"{', gated' if config.encoder.gated else ''}{', with a projection' if config.projection else ''}."
        )
    for name, shape in wanted.items():
        if tuple(arrays[name].shape) != shape:
            raise ValueError(f"{name} has shape {tuple(arrays[name].shape)}; the configuration says {shape}.")
        check_float(name, arrays[name].dtype)
    params: dict[str, Any] = {}
    for entry in table(config):
        names = list(_names(entry, config.encoder))
        for name in names:
            if arrays[name].dtype != arrays[names[0]].dtype:
                raise ValueError(
                    f"{name} has dtype {arrays[name].dtype}, {names[0]} has {arrays[names[0]].dtype}; layers share one "
                    "array, so they must have one dtype."
                )
        parts = [entry.from_torch(np.asarray(arrays[name])) for name in names]
        value = np.stack(parts) if entry.per_layer else np.ascontiguousarray(parts[0])
        node = params
        for key in entry.path[:-1]:
            node = node.setdefault(key, {})
        node[entry.path[-1]] = value
    return params


def params_to_torch(config: ModelConfig, params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """PyTorch-named contiguous arrays from our parameters; the exact inverse of `params_from_torch`.

    Raises:
        ValueError: a parameter is missing or has another shape than the configuration says.
    """
    check_params(config, params)
    arrays: dict[str, np.ndarray] = {}
    for entry in table(config):
        value = np.asarray(_at(params, entry.path))
        for index, name in enumerate(_names(entry, config.encoder)):
            arrays[name] = np.ascontiguousarray(entry.to_torch(value[index] if entry.per_layer else value))
    return arrays


def check_params(config: ModelConfig, params: Mapping[str, Any]) -> None:
    """Compares names, shapes and kinds of our nested parameters with the configuration.

    Raises:
        ValueError: a parameter is missing, unknown, has another shape, or is not of floating point.
    """
    entries = table(config)
    unknown = _paths(params) - {entry.path for entry in entries}
    if unknown:
        first = one_line(".".join(map(str, min(unknown, key=str))), 200)
        raise ValueError(f"unknown parameter {first}; the configuration has no such weight.")
    for entry in entries:
        expected = (config.encoder.layers,) * entry.per_layer + entry.shape
        value = _at(params, entry.path)
        shape = tuple(getattr(value, "shape", ()))
        if shape != expected:
            raise ValueError(f"parameter {'.'.join(entry.path)} has shape {shape}; expected is {expected}.")
        check_float(f"parameter {'.'.join(entry.path)}", value.dtype)


def check_float(name: str, dtype: Any) -> None:
    """Raises a `ValueError` that names a weight of integers, booleans or complex numbers, which would load as nonsense.

    Integers are what quantised checkpoints hold; without their scales, which lie elsewhere, they are not weights.
    """
    if np.dtype(dtype) not in FLOATS:
        raise ValueError(
            f"{name} has dtype {np.dtype(dtype).name}; weights must be float16, bfloat16, float32 or float64. A "
            "quantised checkpoint must be saved again in one of these by the library that wrote it."
        )


def _at(params: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    node: Any = params
    for key in path:
        if not isinstance(node, Mapping) or key not in node:
            raise ValueError(f"parameter {'.'.join(path)} is missing.")
        node = node[key]
    return node


def _paths(tree: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    paths = set()
    for key, value in tree.items():
        paths |= _paths(value, (*prefix, key)) if isinstance(value, Mapping) else {(*prefix, key)}
    return paths


def _names(entry: Entry, config: EncoderConfig) -> Iterator[str]:
    layers = range(config.layers) if entry.per_layer else range(1)
    return (entry.name.format(layer=layer) for layer in layers)


def encoder_arrays(arrays: Arrays) -> dict[str, np.ndarray]:
    """Leaves out a decoder, and keeps one of the embedding's names: transformers writes `shared`, the other, or both.

    Raises:
        ValueError: two copies of the embedding differ.
    """
    result = {name: array for name, array in arrays.items() if not _LEFT_OUT.fullmatch(name)}
    if len(result) < len(arrays):
        logger.info("left out the %d arrays of the decoder", len(arrays) - len(result))
    for copy in _EMBEDDING_COPIES:
        if copy not in result:
            continue
        value = result.pop(copy)
        kept = result.setdefault(EMBEDDING, value)
        if kept is not value and not same_bits(kept, value):
            raise ValueError(f"{EMBEDDING} and {copy} differ; T5 ties them, so one of the two is not what was trained.")
    return result


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays are equal with their NaNs, which `==` never finds equal."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    bits = f"u{one.dtype.itemsize}"
    return np.array_equal(np.ascontiguousarray(one).view(bits), np.ascontiguousarray(other).view(bits))


def _listing(word: str, names: list[str]) -> str:
    if not names:
        return ""
    return f"{len(names)} {word} ({few(names)}), "
