"""How an embedder computes: in which type, on which devices, how much in one call."""

import dataclasses
from collections.abc import Mapping, Set
from typing import Any, Literal

import jax.numpy as jnp
from jax.sharding import Mesh

from instructor_jax.arguments import whole_number
from instructor_jax.inference.devices import chosen_devices
from instructor_jax.io.bounds import SIZE
from instructor_jax.io.printable import shown
from instructor_jax.processor import instruction_sets
from instructor_jax.sharding import AXES, MeshShape

Dtype = Literal["float32", "bfloat16"]


@dataclasses.dataclass(frozen=True)
class ComputeOptions:
    """How an embedder computes.

    Attributes:
        dtype: Type of weights and computation.
        devices: JAX devices; None for all local ones.
        tokens_per_call: Tokens of the largest call per device; None for the platform's own number.
        mesh: How weights and texts are spread over the devices, or the very mesh on which the weights lie; None for a
            full copy of the weights on each device.
    """

    dtype: Dtype = "float32"
    devices: tuple[Any, ...] | None = None
    tokens_per_call: int | None = None
    mesh: MeshShape | Mesh | None = None


def compute_options(
    dtype: Any = "float32", devices: Any = None, tokens_per_call: Any = None, mesh: Any = None
) -> ComputeOptions:
    """Returns the options, checked.

    Raises:
        ValueError: one has a wrong type or value.
    """
    spread = chosen_mesh(mesh)
    if isinstance(spread, Mesh):
        if devices is not None:
            raise ValueError("devices= and a mesh that has its own exclude each other; give one of them.")
        devices = list(spread.devices.flat)
    chosen = None if devices is None else tuple(chosen_devices(devices))
    return ComputeOptions(
        chosen_dtype(dtype, chosen),
        chosen,
        None if tokens_per_call is None else whole_number("tokens_per_call", tokens_per_call, 1, SIZE),
        spread,
    )


def chosen_mesh(mesh: Any, name: str = "mesh") -> MeshShape | Mesh | None:
    """Returns how weights and texts are spread over devices.

    Args:
        mesh: A `MeshShape`; its sizes by name, as `{"fsdp": 2, "tensor": 2}` or "fsdp=2,tensor=2", where -1 takes all
            that are left, as the first axis does where it is not named; a `jax.sharding.Mesh` with these axes; or None.
        name: The argument's, for messages.

    Raises:
        ValueError: It is something else.
    """
    if mesh is None or isinstance(mesh, MeshShape):
        return mesh
    if isinstance(mesh, Mesh):
        if mesh.axis_names != AXES:
            raise ValueError(f"{name} has the axes {mesh.axis_names}; it must have {AXES}, as of sharding.make_mesh.")
        return mesh
    fields = [field.name for field in dataclasses.fields(MeshShape)]
    rule = f"{name}={shown(mesh)} must give sizes to some of {', '.join(fields)}, as in {fields[1]}=2,{fields[2]}=2."
    if isinstance(mesh, str):
        pairs = [part.split("=") for part in mesh.replace(" ", "").split(",")]
        if any(len(pair) != 2 or not pair[1].lstrip("-").isdecimal() for pair in pairs):
            raise ValueError(rule)
        if len({pair[0] for pair in pairs}) < len(pairs):
            raise ValueError(f"{rule} One is named twice.")
        mesh = {key: int(value[:10]) for key, value in pairs}
    if not isinstance(mesh, Mapping) or not mesh or not set(mesh) <= set(fields):
        raise ValueError(rule)
    return MeshShape(**{key: whole_number(f"{name}[{key!r}]", value, -1, SIZE) for key, value in mesh.items()})


def chosen_dtype(dtype: Any, devices: Any = None) -> Dtype:
    """Returns the type to compute in: the one that is asked for, or for "auto" the fastest one of the devices.

    Args:
        dtype: "float32", "bfloat16" or "auto", or a type of NumPy, JAX or torch.
        devices: where it is computed; None for all local devices.

    Raises:
        ValueError: it is another type, or there is no device.
    """
    if not isinstance(dtype, str) or dtype != "auto":  # a type is not compared with a string
        return dtype_name(dtype)
    platforms = {device.platform for device in (devices or chosen_devices(None))}
    return fastest_dtype(min(platforms), instruction_sets())


def fastest_dtype(platform: str, instruction_sets: Set[str]) -> Dtype:
    """Returns the fastest type in which vectors keep a cosine of 0.999 with those of float32.

    That is bfloat16 (0.9999 and more was measured) wherever it is the faster one: on GPUs and TPUs, whose matrix units
    are made for it, and on CPUs of the kind on which it was measured to be, 1.6 times as fast as float32
    ("docs/performance.md"). On all others float32 loses nothing: bfloat16 is computed in float32 there, or its speed is
    not known.

    Args:
        platform: "cpu", "gpu" or "tpu".
        instruction_sets: those of the CPU.
    """
    return "bfloat16" if platform != "cpu" or "avx512_bf16" in instruction_sets else "float32"


def dtype_name(dtype: Any) -> Dtype:
    """Returns "float32" or "bfloat16", from a string or a type of NumPy, JAX or torch.

    Raises:
        ValueError: it is another one.
    """
    text = dtype if isinstance(dtype, str) else str(dtype)
    name = text.removeprefix("torch.")
    if not isinstance(dtype, str) and name == text:
        try:
            name = jnp.dtype(dtype).name if dtype is not None else text
        except TypeError:
            name = text
    if name == "float32" or name == "bfloat16":
        return name
    raise ValueError(
        f"dtype={shown(dtype)} must be 'float32' or 'bfloat16'; 'auto' takes the faster one that is near enough, and "
        "activations overflow in float16."
    )
