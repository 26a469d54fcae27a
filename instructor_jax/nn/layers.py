"""The parts of a layer that are not attention: parameters, RMS norm, feed-forward.

Letters of all equations: g groups, r rows, l length, d embed, f ffn.

Products follow `numerics.py`; norms are float32.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.numerics import Dtype, product
from instructor_jax.sharding import constrain

Activation = Literal["relu", "gelu", "gelu_new", "silu"]

_ACTIVATIONS = {
    "relu": jax.nn.relu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_new": lambda x: jax.nn.gelu(x, approximate=True),
    "silu": jax.nn.silu,
}


def parameter(key: Key[Array, ""], shape: tuple[int, ...], stddev: float, axes: tuple[str, ...]) -> nnx.Param[Array]:
    """A normally distributed parameter whose axes carry logical names."""
    return nnx.Param(stddev * jax.random.normal(key, shape, jnp.float32), out_sharding=axes)


class RMSNorm(nnx.Module):
    """A layer norm that scales by the root mean square: no mean subtracted, no bias; statistics in float32."""

    def __init__(self, width: int, epsilon: float):
        self.epsilon = epsilon
        self.scale = nnx.Param(jnp.ones((width,), jnp.float32), out_sharding=("norm",))

    def __call__(self, x: Float[Array, "*batch embed"], dtype: Dtype) -> Float[Array, "*batch embed"]:
        x32 = x.astype(jnp.float32)
        variance = jnp.mean(jnp.square(x32), axis=-1, keepdims=True)
        scale = self.scale[...].astype(jnp.float32).reshape((1,) * (x.ndim - 1) + (-1,))
        return (x32 * jax.lax.rsqrt(variance + self.epsilon) * scale).astype(dtype)


@dataclasses.dataclass(frozen=True)
class FeedForwardShape:
    """What a feed-forward layer is.

    Attributes:
        embed: Width of what goes in and comes out.
        ffn: Width in between.
        activation: The function in between: relu, gelu (exact), gelu_new (tanh approximation) or silu.
        gated: Whether the units are gated by a second product.
        dropout: Share of the units that are dropped in training.
    """

    embed: int
    ffn: int
    activation: Activation
    gated: bool
    dropout: float


class FeedForward(nnx.Module):
    """wo(activation(wi x)), or the gated form wo(activation(wi_0 x) * wi_1 x)."""

    def __init__(self, shape: FeedForwardShape, rngs: nnx.Rngs):
        self.activation: Activation = shape.activation
        self.gated = shape.gated
        sizes, axes, stddev = (shape.embed, shape.ffn), ("embed", "ffn"), shape.embed**-0.5
        if shape.gated:
            self.wi_0 = parameter(rngs.params(), sizes, stddev, axes)
            self.wi_1 = parameter(rngs.params(), sizes, stddev, axes)
        else:
            self.wi = parameter(rngs.params(), sizes, stddev, axes)
        self.wo = parameter(rngs.params(), sizes[::-1], shape.ffn**-0.5, axes[::-1])
        self.dropout = DropoutSite(shape.dropout, site=0)

    def __call__(
        self, x: Float[Array, "groups rows len embed"], dtype: Dtype, row_keys: Key[Array, "groups rows"] | None = None
    ) -> Float[Array, "groups rows len embed"]:
        activation = _ACTIVATIONS[self.activation]
        hidden = activation(product("grld,df->grlf", x, (self.wi_0 if self.gated else self.wi)[...], dtype))
        if self.gated:
            hidden = hidden * product("grld,df->grlf", x, self.wi_1[...], dtype)
        hidden = constrain(self.dropout(hidden, row_keys), "batch", None, "act_len", "act_ffn")
        return product("grlf,fd->grld", hidden, self.wo[...], dtype)


class SlicedFeedForward(nnx.Module):
    """The same function as one `FeedForward`, its width cut into slices whose results are added; for inference."""

    def __init__(self, shape: FeedForwardShape, rngs: nnx.Rngs, slices: int):
        part = dataclasses.replace(shape, ffn=shape.ffn // slices)
        self.parts = nnx.List([FeedForward(part, rngs) for _ in range(slices)])

    def __call__(
        self, x: Float[Array, "groups rows len embed"], dtype: Dtype, row_keys: Key[Array, "groups rows"] | None = None
    ) -> Float[Array, "groups rows len embed"]:
        if row_keys is not None:
            raise ValueError("a sliced feed-forward layer is for inference; its slices would drop the same units.")
        out = self.parts[0](x, dtype)
        for part in self.parts[1:]:
            out = out + part(x, dtype)
        return out
