"""Work that devices with the same weights do apart: each its own gradients, and its own part of what updates them.

Devices along the mesh's `data` axis hold copies of the weights. Left to itself the compiler adds the copies' gradients
wherever one arises, for each layer of each chunk of a batch, and every copy keeps the optimizer's whole state.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, Mesh, PartitionSpec

from instructor_jax.config import ModelConfig
from instructor_jax.nn.model import Params, abstract_params, param_layouts
from instructor_jax.sharding import axis_shards, mapped_copies, split_among_copies, weight_copies

_TILE = (8, 128)  # of the last two axes in a TPU's memory, whose arrays are filled up to it
_SMALL = 2**16  # numbers; less than that is kept whole: it saves nothing, and every exchange has its latency


def on_each_copy(function: Callable[..., Any], weights: Any, layouts: Any, *batch: Any) -> Any:
    """Returns `function(weights, *batch)`, computed apart by the devices of each copy of the weights.

    The gradient of the weights is then one for each copy, summed over the groups of that copy alone and in the type of
    the weights; the copies' gradients are added once, at the very end, however often the function reads a weight.

    Where a copy is itself split along `fsdp`, its devices sum gradients for each layer of each chunk in any case, and
    all is left to the compiler: apart, the one for TPUs would sum whole feed-forward kernels on every device, where it
    now leaves each its part (libtpu 0.0.42).

    Args:
        function: Maps weights and a part of the groups to arrays with as many groups first.
        weights: Arrays that are the same for all groups.
        layouts: `PartitionSpec` of each weight.
        batch: Trees of arrays [groups, ...].
    """
    mesh = jax.sharding.get_abstract_mesh()
    copies = 1 if mesh.empty else weight_copies(mesh)
    leaves, structure = jax.tree.flatten(batch)
    groups = leaves[0].shape[0]
    if copies == 1 or groups % axis_shards("batch") or axis_shards("embed") > 1:
        return function(weights, *batch)

    def of_one_copy(weights: Any, parts: list[Any]) -> Any:
        return function(weights, *jax.tree.unflatten(structure, parts))

    with mapped_copies() as axis:

        def own(weight: Any, layout: PartitionSpec) -> Any:
            every = jnp.broadcast_to(weight, (copies, *weight.shape))
            return jax.lax.with_sharding_constraint(every, PartitionSpec(axis, *layout))

        parts = [x.reshape(copies, groups // copies, *x.shape[1:]) for x in leaves]
        found = jax.vmap(of_one_copy, spmd_axis_name=axis)(jax.tree.map(own, weights, layouts), parts)
    return jax.tree.map(lambda x: x.reshape(groups, *x.shape[2:]), found)


def moment_layouts(config: ModelConfig, mesh: Mesh | AbstractMesh) -> Params:
    """Returns the layout of what an optimizer keeps for each number of each weight, of which every copy holds a part.

    ZeRO's first stage (Rajbhandari et al. 2020): each copy updates its part of the weights, and sends it to the others.
    What is small, or cannot be cut, every copy keeps.
    """
    copies = weight_copies(mesh)

    def layout(weight: Any, whole: PartitionSpec) -> PartitionSpec:
        if copies == 1 or weight.size < _SMALL:
            return whole
        cut = [split_among_copies(whole, axis) for axis in range(len(whole))]
        shapes = {candidate: _local_shape(mesh, candidate, weight.shape) for candidate in (whole, *cut)}
        return min(shapes, key=lambda one: _stored(shapes[one]))

    return jax.tree.map(layout, abstract_params(config), param_layouts(config))


def _local_shape(mesh: Mesh | AbstractMesh, layout: PartitionSpec, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Returns a device's part, None where devices cannot have equal ones."""
    try:
        return jax.NamedSharding(mesh, layout).shard_shape(shape)
    except ValueError:
        return None


def _stored(shape: tuple[int, ...] | None) -> float:
    """Returns for how many numbers a TPU has memory where it keeps an array of this shape."""
    if shape is None:
        return np.inf
    tiles = (1,) * len(shape) + _TILE
    return float(np.prod([-(-size // tile) * tile for size, tile in zip(shape, tiles[-len(shape) :], strict=True)]))
