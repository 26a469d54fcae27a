"""Weights piece by piece: one layer of one parameter at a time, so that no whole copy is needed to write them."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from instructor_jax.backbones.weight_names import Entry
from instructor_jax.config import ModelConfig
from instructor_jax.io.weights.names import check_params, table


@dataclasses.dataclass(frozen=True)
class Piece:
    """One layer of a parameter, or a parameter that layers do not have.

    Attributes:
        entry: The parameter.
        layer: Number of the layer; None where the parameter is not of layers.
        array: Its values, in the entry's shape.
    """

    entry: Entry
    layer: int | None
    array: np.ndarray

    @property
    def torch_name(self) -> str:
        """Returns its name in PyTorch."""
        return self.entry.torch_name(self.layer or 0)

    def for_torch(self, dtype: Any) -> np.ndarray:
        """Returns its values as PyTorch keeps them, contiguous, in this type."""
        with np.errstate(over="ignore"):  # what float16 cannot hold becomes infinite, as in a cast of the whole
            return np.ascontiguousarray(self.entry.to_torch(np.asarray(self.array, dtype)))


def pieces(config: ModelConfig, read: Callable[[Entry], Callable[[int | None], np.ndarray]]) -> Iterator[Piece]:
    """Yields all pieces of a model, parameter by parameter, in a fixed order.

    Args:
        config: The model.
        read: Opens a parameter; what it returns is called with each layer's number, or once with None.
    """
    for entry in table(config):
        layer_of = read(entry)
        for layer in range(entry.count(config.encoder.layers)) if entry.per_layer else (None,):
            yield Piece(entry, layer, layer_of(layer))


def pieces_of(config: ModelConfig, params: Mapping[str, Any]) -> Iterator[Piece]:
    """Yields the pieces of parameters that are in memory.

    Raises:
        ValueError: A parameter is missing or has another shape than the configuration says.
    """
    check_params(config, params)

    def read(entry: Entry) -> Callable[[int | None], np.ndarray]:
        value: Any = params
        for key in entry.path:
            value = value[key]
        return lambda layer: np.asarray(value if layer is None else value[layer])

    return pieces(config, read)


def assembled(found: Iterable[Piece], config: ModelConfig) -> dict[str, Any]:
    """Returns the nested parameters that all pieces of a model make, in the pieces' dtype."""
    params: dict[str, Any] = {}
    for piece in found:
        node = params
        for key in piece.entry.path[:-1]:
            node = node.setdefault(key, {})
        name = piece.entry.path[-1]
        if piece.layer is None:
            node[name] = piece.array
            continue
        if name not in node:
            node[name] = np.empty(piece.entry.stacked_shape(config.encoder.layers), piece.array.dtype)
        node[name][piece.layer] = piece.array
    return params
