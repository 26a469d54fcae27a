"""Weights from a host to the devices of a mesh, part by part, so that nothing holds more of them than it must.

Where a mesh splits a weight, every device gets its own part, cut out on the host; a weight of all layers that lies in
files is read one layer at a time. So no device ever holds a whole weight, and the host no more than one part of one.
"""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, Sharding

from instructor_jax.io.weights.aligned_arrays import aligned_copy, aligned_empty, fill
from instructor_jax.io.weights.stored_arrays import StoredArray


def placed(weight: Any, sharding: Sharding, rounded: Any, dtype: Any) -> jax.Array:
    """Puts one weight in place; when it returns, no other copy is left.

    Args:
        weight: Array on the host, in files, or on devices; in the last case it stays there if it lies as it should.
        sharding: Where its parts belong.
        rounded: Type whose numbers are kept.
        dtype: Type in which they are kept, which has all of them.

    Raises:
        ValueError: It lies on devices of other processes, and is wanted elsewhere.
    """
    if isinstance(weight, jax.Array):
        if len(sharding.device_set) > 1 and weight.sharding.device_set == sharding.device_set:
            return _rearranged(weight, sharding, rounded, dtype)
        if not (weight.is_fully_addressable or weight.is_fully_replicated):
            raise ValueError(
                "the weights lie on devices of several processes; give the mesh on which they lie as mesh=."
            )
    if sharding.is_fully_replicated and sharding.is_fully_addressable:
        array = aligned_copy(np.asarray(weight), rounded, dtype)
        if isinstance(weight, StoredArray):
            weight.release()
        return jax.device_put(array, sharding).block_until_ready()
    return _in_parts(weight, sharding, rounded, dtype)


def mesh_of(params: Any) -> Mesh | None:
    """Returns the mesh on which weights lie; None where they are on the host, or on a device without one."""
    sharding = getattr(jax.tree.leaves(params)[0], "sharding", None)
    return sharding.mesh if isinstance(sharding, NamedSharding) and isinstance(sharding.mesh, Mesh) else None


def _rearranged(weight: jax.Array, sharding: Sharding, rounded: Any, dtype: Any) -> jax.Array:
    if weight.dtype == rounded == dtype and weight.sharding.is_equivalent_to(sharding, weight.ndim):
        return weight
    return jax.jit(lambda array: array.astype(rounded).astype(dtype), out_shardings=sharding)(weight)


def _in_parts(weight: Any, sharding: Sharding, rounded: Any, dtype: Any) -> jax.Array:
    shape = tuple(weight.shape)
    devices: dict[tuple[range, ...], list[Any]] = {}  # of each part; several hold the same one
    for device, index in sharding.addressable_devices_indices_map(shape).items():
        part = tuple(range(*cut.indices(size)) for cut, size in zip(index or (), shape, strict=True))
        devices.setdefault(part, []).append(device)
    arrays = []
    for part, holders in devices.items():
        array = _part(weight, part, rounded, dtype)
        arrays += [jax.device_put(array, device).block_until_ready() for device in holders]
    return jax.make_array_from_single_device_arrays(shape, sharding, arrays)


def _part(weight: Any, part: tuple[range, ...], rounded: Any, dtype: Any) -> np.ndarray:
    """Returns the numbers of a part in a copy of their own."""
    array = aligned_empty(tuple(map(len, part)), dtype)
    cuts = tuple(slice(one.start, one.stop) for one in part)
    if not isinstance(weight, StoredArray):
        fill(array, np.asarray(weight[cuts]), rounded)
    elif not weight.layers:
        fill(array, np.asarray(weight)[cuts], rounded)
        weight.release()
    else:
        for place, layer in enumerate(part[0]):
            stored = weight.layers[layer]
            fill(array[place], np.asarray(stored)[cuts[1:]], rounded)
            stored.release()
    return array
