"""Weights between PyTorch's names and our parameters, by the table of the model's family, read in both directions.

Conversion there and back is the identity bit for bit, in whatever dtype the weights came. Names that are unknown,
missing, repeated or misshapen are errors that quote the name; only what the family's record leaves out, such as the
decoder of a whole model, is left out, by name.
"""

import logging
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np

from instructor_jax.backbones.configuration import BackboneConfig
from instructor_jax.backbones.registry import Backbone, backbone_of
from instructor_jax.backbones.weight_names import PROJECTION, Entry, dense_name, dense_weight, linear, same
from instructor_jax.config import ModelConfig
from instructor_jax.io.printable import few, one_line
from instructor_jax.io.weights.stored_arrays import StoredArray

__all__ = [
    "FLOATS",
    "PROJECTION",
    "check_float",
    "check_params",
    "encoder_arrays",
    "params_from_torch",
    "params_to_torch",
    "same_bits",
    "stored_params",
    "table",
    "torch_shapes",
]

logger: logging.Logger = logging.getLogger(__name__)

Arrays = Mapping[str, np.ndarray]
FLOATS = tuple(map(np.dtype, (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)))


def table(config: ModelConfig) -> list[Entry]:
    """All parameters of a model with this configuration, in a fixed order."""
    entries = backbone_of(config.encoder).weights.table(config.encoder)
    widths = config.dense_widths
    for index, layer in enumerate(config.dense):
        path = f"dense.{dense_name(index)}"
        entries.append(linear(f"{path}.weight", dense_weight(index, "weight"), layer.size, widths[index]))
        if layer.bias:
            entries.append(same(f"{path}.bias", dense_weight(index, "bias"), layer.size))
    if config.projection is not None:
        entries.append(linear("projection", PROJECTION, config.projection, widths[-1]))
    return entries


def torch_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every PyTorch name with its shape."""
    return {name: entry.torch_shape for entry in table(config) for name in _names(entry, config.encoder)}


def params_from_torch(config: ModelConfig, arrays: Arrays) -> dict[str, Any]:
    """Our nested parameters from PyTorch-named arrays, in the arrays' own dtype.

    Args and errors: as for `stored_params`.
    """
    return _read(stored_params(config, arrays))


def stored_params(config: ModelConfig, arrays: Arrays) -> dict[str, Any]:
    """The same parameters as arrays that are read when they are needed, the layers of each one by one.

    Args:
        config: the model's shape.
        arrays: the encoder's names as in transformers, the embedding under one of its names or several, the projection
            as `projection.weight`; what the family leaves out, such as a decoder, is left out.

    Raises:
        ValueError: a name is unknown or missing, a shape is wrong, a dtype is not of floating point, layers differ in
            dtype, or two copies of the embedding differ.
    """
    arrays = encoder_arrays(arrays, backbone_of(config.encoder))
    wanted = torch_shapes(config)
    unknown = sorted(set(arrays) - set(wanted))
    missing = sorted(set(wanted) - set(arrays))
    if unknown or missing:
        raise ValueError(
            f"the weights do not fit the configuration: {_listing('unknown', unknown)}{_listing('missing', missing)}"
            f"expected is an encoder of {config.encoder.layers} layers"
            f"{', with a projection' if config.projection else ''}."
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
        value = _stored(entry, [np.asarray(arrays[name]) for name in names])
        node = params
        for key in entry.path[:-1]:
            node = node.setdefault(key, {})
        node[entry.path[-1]] = value
    return params


def _stored(entry: Entry, arrays: list[np.ndarray]) -> StoredArray:
    """A parameter that is made of these arrays, one of each layer, or the only one."""
    layers = tuple(
        StoredArray(entry.shape, array.dtype, (array,), partial(entry.from_torch, array)) for array in arrays
    )
    if not entry.per_layer:
        return layers[0]

    def stacked() -> np.ndarray:
        return np.stack([np.asarray(layer) for layer in layers])

    return StoredArray((len(layers), *entry.shape), arrays[0].dtype, tuple(arrays), stacked, layers)


def _read(tree: Any) -> Any:
    """Parameters as contiguous arrays in memory."""
    if isinstance(tree, StoredArray):
        return np.ascontiguousarray(tree)
    return {name: _read(value) for name, value in tree.items()}


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
        expected = entry.stacked_shape(config.encoder.layers)
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


def _names(entry: Entry, config: BackboneConfig) -> Iterator[str]:
    return (entry.torch_name(index) for index in range(entry.count(config.layers)))


def encoder_arrays(arrays: Arrays, backbone: Backbone) -> dict[str, np.ndarray]:
    """Leaves out what is no part of the encoder, and keeps one of the embedding's names where a file has several.

    Raises:
        ValueError: two copies of the embedding differ.
    """
    names = backbone.weights
    result = {name: array for name, array in arrays.items() if not names.left_out.fullmatch(name)}
    if len(result) < len(arrays):
        logger.info("left out %d arrays that are no part of the encoder", len(arrays) - len(result))
    for copy in names.embedding_copies:
        if copy not in result:
            continue
        value = result.pop(copy)
        kept = result.setdefault(names.embedding, value)
        if kept is not value and not same_bits(kept, value):
            raise ValueError(
                f"{names.embedding} and {copy} differ; {backbone.title} ties them, so one of the two is not what was "
                "trained."
            )
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
