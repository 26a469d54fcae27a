"""How an embedder computes: in which type, on which devices, how much in one call."""

import dataclasses
from collections.abc import Set
from typing import Any, Literal

import jax.numpy as jnp

from instructor_jax.arguments import whole_number
from instructor_jax.inference.devices import chosen_devices
from instructor_jax.io.bounds import SIZE
from instructor_jax.io.printable import shown
from instructor_jax.processor import instruction_sets

Dtype = Literal["float32", "bfloat16"]


@dataclasses.dataclass(frozen=True)
class ComputeOptions:
    """How an embedder computes.

    Attributes:
        dtype: Type of weights and computation.
        devices: JAX devices; None for all local ones.
        tokens_per_call: Tokens of the largest call per device; None for the platform's own number.
    """

    dtype: Dtype = "float32"
    devices: tuple[Any, ...] | None = None
    tokens_per_call: int | None = None


def compute_options(dtype: Any, devices: Any, tokens_per_call: Any) -> ComputeOptions:
    """Returns the options, checked.

    Raises:
        ValueError: one has a wrong type or value.
    """
    chosen = None if devices is None else tuple(chosen_devices(devices))
    return ComputeOptions(
        chosen_dtype(dtype, chosen),
        chosen,
        None if tokens_per_call is None else whole_number("tokens_per_call", tokens_per_call, 1, SIZE),
    )


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
