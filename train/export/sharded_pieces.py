"""Weights that lie in parts on many devices, piece by piece on the first process.

A piece is one layer of one parameter. It is put together on every device and fetched by the first process, so a device
holds one piece of a layer besides its own part, and no host holds more than that.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jax
import numpy as np

from instructor_jax.backbones.weight_names import Entry
from instructor_jax.config import ModelConfig
from instructor_jax.io.weights.pieces import Piece, pieces
from instructor_jax.nn.model import Params
from instructor_jax.sharding import named_sharding


def sharded_pieces(params: Params, config: ModelConfig, mesh: jax.sharding.Mesh) -> Iterator[Piece]:
    """Yields all weights, each piece as a NumPy array; every process must go through them all, in step.

    Args:
        params: Arrays on the mesh.
        config: Their configuration.
        mesh: Mesh of all devices of all processes.
    """

    def read(entry: Entry) -> Callable[[int | None], np.ndarray]:
        value: Any = params
        for key in entry.path:
            value = value[key]
        return lambda layer: on_host(whole_on(mesh)(value) if layer is None else layer_on(mesh)(value, layer))

    return pieces(config, read)


def on_host(array: jax.Array) -> np.ndarray:
    """Returns an array that every device has whole."""
    return np.asarray(array.addressable_data(0))


@cache
def whole_on(mesh: jax.sharding.Mesh) -> Any:
    """Returns what puts an array together on every device.

    It is one function per mesh, since a new one at every call would be compiled at every call.
    """
    return jax.jit(lambda array: array, out_shardings=named_sharding(mesh))


@cache
def layer_on(mesh: jax.sharding.Mesh) -> Any:
    """Returns what puts a layer of an array together on every device."""
    return jax.jit(
        lambda array, layer: jax.lax.dynamic_index_in_dim(array, layer, keepdims=False),
        out_shardings=named_sharding(mesh),
    )
