"""Parameters of a folder on the mesh of a run."""

from functools import partial

import jax
import numpy as np

from instructor_jax.config import ModelConfig
from instructor_jax.io.folders import open_params
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.nn.model import Params, param_shardings
from instructor_jax.nn.placement import placed


def placed_params(folder: ModelFolder, model: ModelConfig, mesh: jax.sharding.Mesh) -> Params:
    """Reads the parameters of a folder in float32 and places each where it belongs on the mesh, one part at a time."""
    put = partial(placed, rounded=np.dtype(np.float32), dtype=np.dtype(np.float32))
    return jax.tree.map(put, open_params(folder), param_shardings(model, mesh))
