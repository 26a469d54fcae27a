"""How a model computes, as one record that goes from the caller down to the layers."""

import dataclasses
from typing import Any, Literal

import jax.numpy as jnp

from instructor_jax.nn.layout import STACKED, Layout

Remat = Literal["none", "full", "dots", "attention"]
Attention = Literal["auto", "einsum", "fused", "cudnn"]


@dataclasses.dataclass(frozen=True)
class Compute:
    """How a model computes; it changes no result but for rounding.

    Attributes:
        dtype: Type of the products, by name or as a type of NumPy or JAX. Norms, softmax statistics, pooling,
            projection and normalisation are float32 in any case.
        remat: What every layer computes again in the backward pass: none, dots (all but matrix products), attention
            (all but queries, keys, values and what attention gives, so that only the feed-forward part and norms are
            computed again), full. Only stacked layers do.
        layout: How the layers' parameters lie in memory.
        attention: Einsum, fused (kernels for TPUs that write no scores to memory), cudnn (the same for NVIDIA GPUs), or
            auto, which takes the kernels on TPUs and einsum elsewhere.
    """

    dtype: Any = "float32"
    remat: Remat = "none"
    layout: Layout = STACKED
    attention: Attention = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", jnp.dtype(self.dtype))  # one spelling, so that equal records hash alike


FLOAT32 = Compute()
