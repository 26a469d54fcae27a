"""The programs that are planned, lowered for a mesh of described devices: a run's training step, and a call of encode.

Nothing is allocated: shapes and places stand for arrays. The step is the one that the loop compiles, with the same
shardings and options, so what the compiler says of it holds for the run.
"""

import dataclasses
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from instructor_jax.compilation import compiler_options
from instructor_jax.config import ModelConfig
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.cudnn_attention import for_described_gpus
from instructor_jax.nn.model import abstract_params, embed, param_shardings
from instructor_jax.sharding import named_sharding
from instructor_jax.text.batches import TokenBatch
from instructor_jax.text.buckets import Bucket

from ..compiled_step import compiled_step
from ..config import TrainConfig
from ..data.batches import PairBatch
from ..own_loss import OwnLoss
from ..step import abstract_state, state_shardings

Shaped = Any  # jax.ShapeDtypeStruct in place of an array


@dataclasses.dataclass(frozen=True)
class Program:
    """A program before it is compiled.

    Attributes:
        lowered: Program as JAX lowered it.
        arguments: Bytes of its arguments on each device.
    """

    lowered: jax.stages.Lowered
    arguments: int


def abstract_batch(config: TrainConfig, mesh: Mesh) -> PairBatch:
    """Returns the shapes and places of a step's batch.

    Args:
        config: Configuration of the run.
        mesh: Mesh of the devices.
    """
    shape, n, k = config.group, config.group.examples, config.group.negatives
    texts = n * shape.texts_per_example
    array = partial(_array, named_sharding(mesh, "batch"), config.groups)
    return PairBatch(
        texts=TokenBatch(
            tokens=array("int32", shape.rows, shape.length),
            segments=array("int32", shape.rows, shape.length),
            pooled=array("bool", shape.rows, shape.length),
            slots=array("int32", texts),
            segments_per_row=shape.segments_per_row,
        ),
        task=array("int32", n),
        query_id=array("uint32", n, 2),
        positive_id=array("uint32", n, 2),
        negative_id=array("uint32", n, k, 2) if k else None,
        valid=array("bool", n),
        negative_valid=array("bool", n, k) if k else None,
        teacher=array("float32", texts, config.teacher_dim) if config.teacher_dim else None,
    )


def lowered_step(
    config: TrainConfig,
    mesh: Mesh,
    loss: OwnLoss | None = None,
    options: Mapping[str, str | bool | int] = MappingProxyType({}),
) -> Program:
    """Lowers the training step of a run, ready to be compiled for the devices of the mesh.

    Args:
        config: Configuration of the run.
        mesh: Mesh of the devices.
        loss: Loss in the place of the configured one.
        options: Options of the compiler, over those of this package.

    Raises:
        ValueError: Batch or parameters cannot be divided among the devices, or their compiler does not take the
            options.
    """
    config.check_mesh(mesh)
    # outside of set_mesh: Optax makes a number on the way, for which described devices have no memory
    shardings = state_shardings(config, mesh)
    step = compiled_step(config, mesh, shardings, loss, options)
    state, batch = jax.tree.map(_placed, abstract_state(config), shardings), abstract_batch(config, mesh)
    with jax.set_mesh(mesh), _traced_for(mesh):
        return Program(step.lower(state, batch), _local_bytes((state, batch)))


def lowered_encode(model: ModelConfig, compute: Compute, mesh: Mesh, bucket: Bucket, groups: int) -> Program:
    """Lowers one device call of `encode`: sequences of one bucket, packed full, to vectors.

    Args:
        model: Model that encodes.
        compute: How it computes; its type is that of the weights, too.
        mesh: Mesh of the devices.
        bucket: Number of sequences of a group, and their length.
        groups: Number of groups, which are packed independently; a multiple of the devices that hold different texts.
    """
    sharding = named_sharding(mesh, "batch")
    array = partial(_array, sharding, groups)
    batch = TokenBatch(
        tokens=array("int32", bucket.rows, bucket.length),
        segments=array("int32", bucket.rows, bucket.length),
        pooled=array("bool", bucket.rows, bucket.length),
        slots=array("int32", bucket.rows * bucket.segments_per_row),
        segments_per_row=bucket.segments_per_row,
    )
    params = jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, compute.dtype, sharding=place),
        abstract_params(model),
        param_shardings(model, mesh),
    )
    encode = jax.jit(
        partial(embed, model, compute=compute),
        out_shardings=sharding,
        compiler_options=compiler_options(mesh.devices.flat[0].platform, compute.dtype),
    )
    with jax.set_mesh(mesh), _traced_for(mesh):
        return Program(encode.lower(params, batch), _local_bytes((params, batch)))


def _traced_for(mesh: Mesh) -> AbstractContextManager[None]:
    first = mesh.devices.flat[0]
    described = first.platform == "gpu" and first not in jax.devices()
    return for_described_gpus() if described else nullcontext()


def _array(sharding: jax.sharding.Sharding, groups: int, dtype: str, *shape: int) -> Shaped:
    return jax.ShapeDtypeStruct((groups, *shape), jnp.dtype(dtype), sharding=sharding)


def _placed(leaf: Shaped, sharding: jax.sharding.Sharding) -> Shaped:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def optimizer_bytes(config: TrainConfig, mesh: Mesh) -> int:
    """Returns the bytes of the optimizer's state on each device."""
    return _local_bytes(jax.tree.map(_placed, abstract_state(config), state_shardings(config, mesh)).optimizer)


def weight_bytes(model: ModelConfig, mesh: Mesh) -> int:
    """Returns the bytes of the master weights on each device."""
    return _local_bytes(jax.tree.map(_placed, abstract_params(model), param_shardings(model, mesh)))


def _local_bytes(arguments: Any) -> int:
    leaves = jax.tree.leaves(arguments)
    return sum(math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf in leaves)
