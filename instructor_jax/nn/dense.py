"""Dense layers on pooled vectors, between pooling and projection: activation(weight x + bias)."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from instructor_jax.config import DenseActivation, DenseShape
from instructor_jax.nn.layers import parameter, zeros
from instructor_jax.numerics import product

_FUNCTIONS = {
    "identity": lambda x: x,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "silu": jax.nn.silu,
    "sigmoid": jax.nn.sigmoid,
}


class Dense(nnx.Module):
    """A dense layer, in float32 whatever the compute dtype: it is one small product per text.

    Args:
        width: Size of what goes in.
        shape: What the layer is.
        rngs: Source of random keys.
    """

    def __init__(self, width: int, shape: DenseShape, rngs: nnx.Rngs):
        self.activation: DenseActivation = shape.activation
        self.weight = parameter(rngs.params(), (width, shape.size), width**-0.5, ("embed", "projection"))
        self.bias = nnx.data(zeros((shape.size,), ("projection",)) if shape.bias else None)

    def __call__(self, vectors: Float[Array, "groups texts dim"]) -> Float[Array, "groups texts size"]:
        out = product("gtd,dp->gtp", vectors, self.weight[...], jnp.float32)
        if self.bias is not None:
            out = out + self.bias[...].astype(jnp.float32)[None, None]
        return _FUNCTIONS[self.activation](out)
