"""The training step as it is compiled: what the loop runs, and what a plan compiles for devices that nobody has."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jax.sharding import Mesh

from instructor_jax.compilation import compiler_options
from instructor_jax.sharding import named_sharding

from .config import TrainConfig
from .data.batches import PairBatch
from .metrics import Metrics
from .own_loss import OwnLoss
from .step import TrainState, state_shardings, train_step


def compiled_step(
    config: TrainConfig, mesh: Mesh, shardings: TrainState | None = None, loss: OwnLoss | None = None
) -> Callable[[TrainState, PairBatch], tuple[TrainState, Metrics]] | Any:
    """Compiles `train_step`, which takes over the memory of the old state and leaves metrics on every device.

    Args:
        config: Configuration of the run.
        mesh: Mesh of the devices; call the step under `jax.set_mesh(mesh)`.
        shardings: Result of `state_shardings(config, mesh)`, where it is at hand.
        loss: Loss in the place of the configured one.
    """
    return jax.jit(
        partial(train_step, config, loss=loss),
        out_shardings=(shardings or state_shardings(config, mesh), named_sharding(mesh)),
        donate_argnums=0,
        compiler_options=compiler_options(mesh.devices.flat[0].platform, config.dtype),
    )
