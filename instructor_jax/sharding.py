"""The device mesh and the one table from logical axes to mesh axes; no other file names a mesh axis.

Layers speak of logical axes: those of parameters (`embed`, `ffn`, `heads`, `vocab`) and those of activations
(`batch`, `act_heads`, `act_ffn`), which differ, because a parameter may be spread over devices that each hold other
examples. The same code runs on one CPU and on a pod: only the sizes in `MeshShape` change.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

T = TypeVar("T")
Device = Any  # jax.Device, which type checkers take for a variable


@dataclasses.dataclass(frozen=True)
class MeshShape:
    """Number of devices along each mesh axis; -1 for one axis takes all that are left.

    Attributes:
        data: each holds other examples and a full copy of what `fsdp` and `tensor` do not split.
        fsdp: each holds other examples and a part of every parameter, gathered layer by layer.
        tensor: splits heads, feed-forward width and vocabulary of one and the same example.
        slices: parts of `data` that only a slower network joins, such as TPU slices; each holds whole `fsdp` and
            `tensor` groups. 0 for as many as the devices say, which is 1 where they say nothing.
    """

    data: int = -1
    fsdp: int = 1
    tensor: int = 1
    slices: int = 0

    def resolve(self, devices: int) -> tuple[int, int, int]:
        """The three sizes for this number of devices.

        Raises:
            ValueError: a size is neither positive nor -1, more than one is -1, or the product does not fit.
        """
        if devices < 1:
            raise ValueError("there are no devices to make a mesh of; give at least one, or None for all.")
        sizes = [self.data, self.fsdp, self.tensor]
        if any(size < 1 and size != -1 for size in sizes) or sizes.count(-1) > 1:
            raise ValueError(f"{self}: each size must be at least 1, and at most one may be -1 (all that are left).")
        known = math.prod(size for size in sizes if size != -1)
        if -1 in sizes and devices % known == 0:
            sizes[sizes.index(-1)] = devices // known
        if math.prod(sizes) != devices:
            raise ValueError(f"{self} does not fit {devices} devices: the product of the sizes must be {devices}.")
        if self.slices < 0 or sizes[0] % (self.slices or 1):
            raise ValueError(f"{self}: slices={self.slices} must divide data={sizes[0]}, which they are parts of.")
        return sizes[0], sizes[1], sizes[2]


AXES = ("data", "fsdp", "tensor")
_COPIES = "data"  # the axis along which devices hold the same weights
_mapped: ContextVar[bool] = ContextVar("mapped", default=False)  # whether a vmap stands for that axis

_RULES: dict[str, str | tuple[str, ...] | None] = {
    # parameters
    "layers": None,
    "vocab": "tensor",
    "embed": "fsdp",
    "heads": "tensor",
    "kv_heads": None,  # of grouped heads: often fewer than devices, so every one has them all
    "head_dim": None,
    "ffn": "tensor",
    "norm": None,
    "relative_buckets": None,
    "projection": None,
    # activations
    "batch": ("data", "fsdp"),  # groups of a TokenBatch: every device packs, pools and gathers its own
    "act_len": None,
    "act_embed": None,
    "act_heads": "tensor",
    "act_ffn": "tensor",
}


def make_mesh(shape: MeshShape = MeshShape(), devices: Sequence[Device] | None = None) -> Mesh:
    """A mesh over the given devices, all of the process group's by default.

    The axes are `Auto` (the compiler propagates shardings); JAX would make them `Explicit` by default.
    """
    devices = jax.devices() if devices is None else devices
    sizes = shape.resolve(len(devices))
    types = (AxisType.Auto,) * len(AXES)
    slices = shape.slices or slices_of(devices)
    if sizes[0] % slices:
        raise ValueError(f"data={sizes[0]} must be a multiple of {slices}, the slices that the devices lie on.")
    return Mesh(_grid(sizes, devices) if slices == 1 else hybrid_grid(sizes, slices, devices), AXES, axis_types=types)


def _grid(sizes: tuple[int, ...], devices: Sequence[Device]) -> np.ndarray:
    """Arranges devices of one slice; an axis may be a part of a side of any torus, for `jax.make_mesh` of v5e alone."""
    return mesh_utils.create_device_mesh(sizes, devices, allow_split_physical_axes=True)


def slices_of(devices: Sequence[Device]) -> int:
    """How many slices the devices lie on, as they say; 1 where they say nothing."""
    return len({getattr(device, "slice_index", 0) for device in devices})


def hybrid_grid(sizes: tuple[int, int, int], slices: int, devices: Sequence[Device]) -> np.ndarray:
    """Arranges devices of several slices: only `data` runs between slices, the other axes lie within one.

    Devices that do not say their slice are dealt out in order, whole processes where there are several.

    Args:
        sizes: of the three axes of the mesh.
        slices: how many there are; divides the first size.
        devices: all of them.

    Raises:
        ValueError: the devices are of another number of slices, or the processes cannot be dealt out evenly.
    """
    inner, outer = (sizes[0] // slices, *sizes[1:]), (slices, 1, 1)
    told = {getattr(device, "slice_index", 0) for device in devices}
    if len(told) > 1:
        if len(told) != slices:
            raise ValueError(f"slices={slices} must be {len(told)}, the slices that the devices lie on, or 0.")
        return mesh_utils.create_hybrid_device_mesh(inner, outer, devices, allow_split_physical_axes=True)
    processes = sorted({device.process_index for device in devices})
    if len(processes) > 1 and len(processes) % slices:
        raise ValueError(f"slices={slices} must divide the {len(processes)} processes; each lies within one slice.")
    ordered = sorted(devices, key=lambda device: (device.process_index, device.id))
    each = len(ordered) // slices
    grids = [_grid(inner, ordered[i * each : (i + 1) * each]) for i in range(slices)]
    return np.concatenate(grids, axis=0)


def data_shards(mesh: Mesh) -> int:
    """How many devices (or tensor-parallel groups of them) hold different examples."""
    return mesh.shape["data"] * mesh.shape["fsdp"]


def weight_copies(mesh: Mesh | AbstractMesh) -> int:
    """How many copies of the parameters the devices hold together; as many as there are devices if none is split."""
    return mesh.shape["data"]


def partition_spec(logical: Sequence[str | None]) -> PartitionSpec:
    """Mesh axes for the logical axes of one array; None for an axis that is never split.

    Raises:
        ValueError: a logical axis is not in the table.
    """
    unknown = [name for name in logical if name is not None and name not in _RULES]
    if unknown:
        raise ValueError(f"unknown logical axis {unknown[0]!r}; known are {', '.join(_RULES)}.")
    return PartitionSpec(*(None if name is None else _unmapped(_RULES[name]) for name in logical))


@contextmanager
def mapped_copies() -> Iterator[str]:
    """Gives the axis along which devices hold the same weights, and leaves it out of every layout stated within.

    Within, `vmap` stands for it, and adds it to each layout.
    """
    token = _mapped.set(True)
    try:
        yield _COPIES
    finally:
        _mapped.reset(token)


def split_among_copies(layout: PartitionSpec, axis: int) -> PartitionSpec:
    """Returns the layout of an array of which each copy of the weights holds another part, cut along an axis."""
    axes = [*layout]
    there = axes[axis]
    axes[axis] = (*((there,) if isinstance(there, str) else there or ()), _COPIES)
    return PartitionSpec(*axes)


def _unmapped(axes: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
    if axes is None or not _mapped.get():
        return axes
    return tuple(axis for axis in ((axes,) if isinstance(axes, str) else axes) if axis != _COPIES) or None


def named_sharding(mesh: Mesh | AbstractMesh, *logical: str | None) -> NamedSharding:
    """Where an array with these logical axes lies on the mesh; no axes at all means a copy on every device."""
    return NamedSharding(mesh, partition_spec(logical))


def constrain(array: T, *logical: str | None) -> T:
    """States the layout of an activation to the compiler; does nothing outside `jax.set_mesh`."""
    if jax.sharding.get_abstract_mesh().empty:
        return array
    return jax.lax.with_sharding_constraint(array, partition_spec(logical))


def axis_shards(name: str) -> int:
    """Into how many parts the mesh of `jax.set_mesh` splits a logical axis; 1 without one."""
    axes = partition_spec([name])[0]
    names = () if axes is None else (axes,) if isinstance(axes, str) else axes
    return math.prod(jax.sharding.get_abstract_mesh().shape.get(axis, 1) for axis in names)
