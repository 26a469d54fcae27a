"""Parameters on the way between a folder, the mesh and the host."""

from typing import Any

import jax
import numpy as np

from instructor_jax.config import ModelConfig
from instructor_jax.io.folders import read_params
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.weights.pieces import assembled
from instructor_jax.nn.model import Params, param_shardings

from ..export.sharded_pieces import sharded_pieces


def placed_params(folder: ModelFolder, model: ModelConfig, mesh: jax.sharding.Mesh) -> Params:
    """Reads the parameters of a folder in float32 and places each where it belongs on the mesh."""

    def place(array: Any, sharding: jax.sharding.Sharding) -> jax.Array:
        host = np.asarray(array, np.float32)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    return jax.tree.map(place, read_params(folder), param_shardings(model, mesh))


def gathered(params: Params, config: ModelConfig, mesh: jax.sharding.Mesh) -> Params:
    """Returns all parameters as NumPy arrays on every process, put together piece by piece.

    A device holds no more than one layer of one parameter besides its own part.
    """
    return assembled(sharded_pieces(params, config, mesh), config)
