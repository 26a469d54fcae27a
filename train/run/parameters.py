"""Parameters on the way between a folder, the mesh and the host."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import numpy as np

from instructor_jax.config import ModelConfig
from instructor_jax.io.folders import read_params
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.nn.model import Params, param_shardings
from instructor_jax.sharding import named_sharding


def placed_params(folder: ModelFolder, model: ModelConfig, mesh: jax.sharding.Mesh) -> Params:
    """Reads the parameters of a folder in float32 and places each where it belongs on the mesh."""

    def place(array: Any, sharding: jax.sharding.Sharding) -> jax.Array:
        host = np.asarray(array, np.float32)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    return jax.tree.map(place, read_params(folder), param_shardings(model, mesh))


def gathered(params: Params, mesh: jax.sharding.Mesh) -> Params:
    """Returns all parameters as NumPy arrays on every process."""
    return jax.device_get(_replicate(mesh)(params))


@cache
def _replicate(mesh: jax.sharding.Mesh) -> Callable[[Params], Params]:
    """Returns one function per mesh, since a new one at every call would be compiled at every call."""
    return jax.jit(lambda params: params, out_shardings=named_sharding(mesh))
