"""The training step as it is compiled: what the loop runs, and what a plan compiles for devices that nobody has."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import jax
from jax.sharding import Mesh

from instructor_jax.compilation import compiler_options
from instructor_jax.io.printable import one_line
from instructor_jax.sharding import named_sharding

from .config import TrainConfig
from .data.batches import PairBatch
from .metrics import Metrics
from .own_loss import OwnLoss
from .step import TrainState, state_shardings, train_step


def compiled_step(
    config: TrainConfig,
    mesh: Mesh,
    shardings: TrainState | None = None,
    loss: OwnLoss | None = None,
    options: Mapping[str, str | bool | int] = MappingProxyType({}),
) -> Callable[[TrainState, PairBatch], tuple[TrainState, Metrics]] | Any:
    """Compiles `train_step`, which takes over the memory of the old state and leaves metrics on every device.

    Args:
        config: Configuration of the run.
        mesh: Mesh of the devices; call the step under `jax.set_mesh(mesh)`.
        shardings: Result of `state_shardings(config, mesh)`, where it is at hand.
        loss: Loss in the place of the configured one.
        options: Options of the compiler, over those of this package.

    Raises:
        ValueError: The compiler of these devices does not take such options.
    """
    _check(options, mesh)
    return jax.jit(
        partial(train_step, config, loss=loss),
        out_shardings=(shardings or state_shardings(config, mesh), named_sharding(mesh)),
        donate_argnums=0,
        compiler_options={**compiler_options(mesh.devices.flat[0].platform, config.dtype), **options},
    )


def _check(options: Mapping[str, str | bool | int], mesh: Mesh) -> None:
    """Compiles something small with the options: a misspelt one is told before the step is traced."""
    if not options:
        return
    tried = {name: value for name, value in options.items() if not name.startswith("xla_dump_")}
    # on all devices: under `jax.set_mesh`, where a run compiles, JAX refuses a program for one of them
    one = jax.ShapeDtypeStruct((1,), "float32", sharding=named_sharding(mesh))
    try:
        jax.jit(lambda x: x + 1, compiler_options=tried).lower(one).compile()
    except Exception as error:  # each compiler has its own words
        reason = one_line(str(error), 200)
        raise ValueError(f"compiler.flags={list(tried)}: the compiler does not take them ({reason}).") from error
