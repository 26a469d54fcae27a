"""How an embedder computes: in which type, on which devices, how much in one call."""

import dataclasses
from typing import Any, Literal

import jax.numpy as jnp

from instructor_jax.arguments import whole_number
from instructor_jax.inference.devices import chosen_devices
from instructor_jax.io.bounds import SIZE
from instructor_jax.io.printable import shown

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
    return ComputeOptions(
        dtype_name(dtype),
        None if devices is None else tuple(chosen_devices(devices)),
        None if tokens_per_call is None else whole_number("tokens_per_call", tokens_per_call, 1, SIZE),
    )


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
    raise ValueError(f"dtype={shown(dtype)} must be 'float32' or 'bfloat16'; activations overflow in float16.")
