"""How numbers are computed everywhere: matrix products of a compute dtype, unit vectors, scores that never count.

float32 means full precision (`HIGHEST`): JAX's default is TF32 on GPUs and bfloat16 passes on TPUs. With bfloat16
compute, products take bfloat16 operands and accumulate in float32.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Dtype = Any

MASKED = (
    -1e9
)  # a score that adds nothing to a softmax; finite, since over -inf alone a softmax and its gradient are NaN


def product(equation: str, x: Array, y: Array, dtype: Dtype, result: Dtype | None = None) -> Array:
    """Einsum of operands cast to the compute dtype, accumulated in float32; the result has `result` or that dtype.

    Asking for a float32 result is what makes bfloat16 products fast on CPUs (about twice as fast as bfloat16 ->
    bfloat16 with the same operands); accelerators accumulate in float32 anyway.
    """
    precision = jax.lax.Precision.HIGHEST if dtype == jnp.float32 else None
    out = jnp.einsum(
        equation, x.astype(dtype), y.astype(dtype), precision=precision, preferred_element_type=jnp.float32
    )
    return out.astype(dtype if result is None else result)


def normalize(vectors: Float[Array, "*batch dim"]) -> Float[Array, "*batch dim"]:
    """Unit length in float32; a zero vector stays zero (torch.nn.functional.normalize, eps 1e-12)."""
    # the maximum is inside the root, where a zero vector (an empty slot) still has a finite gradient
    length = jnp.sqrt(jnp.maximum(jnp.sum(jnp.square(vectors), axis=-1, keepdims=True), 1e-24))
    return vectors / length
