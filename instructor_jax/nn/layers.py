"""The parts of a layer that are not attention: parameters, norms, feed-forward.

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


def activated(x: Float[Array, "*shape"], activation: Activation) -> Float[Array, "*shape"]:
    """Returns the function of every number."""
    return _ACTIVATIONS[activation](x)


class NoRandomness(nnx.Rngs):
    """Keys for modules of which only the shapes are wanted: there are none, and parameters are zeros.

    Random numbers that nobody computes were most of the time in which a small model was loaded: JAX traces them.
    """

    def __init__(self) -> None:
        super().__init__({})

    def params(self) -> None:
        """Returns no key."""


def parameter(
    key: Key[Array, ""] | None, shape: tuple[int, ...], stddev: float, axes: tuple[str | None, ...]
) -> nnx.Param[Array]:
    """A normally distributed parameter whose axes carry logical names; zeros without a key (`NoRandomness`)."""
    value = jnp.zeros(shape, jnp.float32) if key is None else stddev * jax.random.normal(key, shape, jnp.float32)
    return nnx.Param(value, out_sharding=axes)


def zeros(shape: tuple[int, ...], axes: tuple[str | None, ...]) -> nnx.Param[Array]:
    """A parameter that begins at zero, such as a bias."""
    return nnx.Param(jnp.zeros(shape, jnp.float32), out_sharding=axes)


class RMSNorm(nnx.Module):
    """A layer norm that scales by the root mean square: no mean subtracted, no bias; statistics in float32.

    Args:
        width: Of what is normalised.
        epsilon: Added to the mean square.
        offset: What is added to the stored scale; 1 in families that store scales as differences from 1.
    """

    def __init__(self, width: int, epsilon: float, offset: float = 0.0):
        self.epsilon = epsilon
        self.offset = offset
        self.scale = nnx.Param(jnp.full((width,), 1.0 - offset, jnp.float32), out_sharding=("norm",))

    def __call__(self, x: Float[Array, "*batch embed"], dtype: Dtype) -> Float[Array, "*batch embed"]:
        scale = self.scale[...].astype(jnp.float32)
        scale = self.offset + scale if self.offset else scale
        return (unit_rms(x, self.epsilon) * _along_last(scale, x.ndim)).astype(dtype)


def unit_rms(x: Float[Array, "*batch embed"], epsilon: float) -> Float[Array, "*batch embed"]:
    """Returns x over its root mean square along the last axis, computed in float32 and left so."""
    x32 = x.astype(jnp.float32)
    variance = jnp.mean(jnp.square(x32), axis=-1, keepdims=True)
    return x32 * jax.lax.rsqrt(variance + epsilon)


class LayerNorm(nnx.Module):
    """A layer norm that subtracts the mean and scales by the standard deviation; statistics in float32."""

    def __init__(self, width: int, epsilon: float, *, bias: bool = True):
        self.epsilon = epsilon
        self.scale = nnx.Param(jnp.ones((width,), jnp.float32), out_sharding=("norm",))
        self.bias = nnx.data(zeros((width,), ("norm",)) if bias else None)

    def __call__(self, x: Float[Array, "*batch embed"], dtype: Dtype) -> Float[Array, "*batch embed"]:
        bias = None if self.bias is None else self.bias[...]
        return layer_norm(x, self.scale[...], bias, self.epsilon).astype(dtype)


def layer_norm(
    x: Float[Array, "*batch embed"], scale: Float[Array, "embed"], bias: Float[Array, "embed"] | None, epsilon: float
) -> Float[Array, "*batch embed"]:
    """Returns (x - mean) / deviation * scale + bias along the last axis, computed in float32 and left so."""
    x32 = x.astype(jnp.float32)
    centred = x32 - jnp.mean(x32, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
    out = centred * jax.lax.rsqrt(variance + epsilon) * _along_last(scale.astype(jnp.float32), x.ndim)
    return out if bias is None else out + _along_last(bias.astype(jnp.float32), x.ndim)


def _along_last(vector: Float[Array, "embed"], axes: int) -> Array:
    """A vector as an array of that many axes: ranks are not promoted silently."""
    return vector.reshape((1,) * (axes - 1) + (-1,))


@dataclasses.dataclass(frozen=True)
class FeedForwardShape:
    """What a feed-forward layer is.

    Attributes:
        embed: Width of what goes in and comes out.
        ffn: Width in between.
        activation: The function in between: relu, gelu (exact), gelu_new (tanh approximation) or silu.
        gated: Whether the units are gated by a second product.
        dropout: Share of the units that are dropped in training.
        bias: Whether something is added to the units before the function. What is added to the result, where anything
            is, belongs to the layer: the width of this one may be cut into parts.
        joined: Whether the two products of gated units have one matrix, [embed, 2, ffn].
    """

    embed: int
    ffn: int
    activation: Activation
    gated: bool
    dropout: float
    bias: bool = False
    joined: bool = False


class FeedForward(nnx.Module):
    """wo(activation(wi x)), or the gated form wo(activation(wi_0 x) * wi_1 x), where wi may be both in one matrix."""

    def __init__(self, shape: FeedForwardShape, rngs: nnx.Rngs):
        self.activation: Activation = shape.activation
        self.gated = shape.gated
        self.joined = shape.joined
        sizes, axes, stddev = (shape.embed, shape.ffn), ("embed", "ffn"), shape.embed**-0.5
        if shape.joined:
            self.wi = parameter(rngs.params(), (shape.embed, 2, shape.ffn), stddev, ("embed", None, "ffn"))
        elif shape.gated:
            self.wi_0 = parameter(rngs.params(), sizes, stddev, axes)
            self.wi_1 = parameter(rngs.params(), sizes, stddev, axes)
        else:
            self.wi = parameter(rngs.params(), sizes, stddev, axes)
        self.wo = parameter(rngs.params(), sizes[::-1], shape.ffn**-0.5, axes[::-1])
        self.wi_bias = nnx.data(None)
        if shape.bias:
            self.wi_bias = zeros((2, shape.ffn), (None, "ffn")) if shape.joined else zeros((shape.ffn,), ("ffn",))
        self.dropout = DropoutSite(shape.dropout, site=0)

    def __call__(
        self, x: Float[Array, "groups rows len embed"], dtype: Dtype, row_keys: Key[Array, "groups rows"] | None = None
    ) -> Float[Array, "groups rows len embed"]:
        hidden = self._joined_units(x, dtype) if self.joined else self._units(x, dtype)
        hidden = constrain(self.dropout(hidden, row_keys), "batch", None, "act_len", "act_ffn")
        return product("grlf,fd->grld", hidden, self.wo[...], dtype)

    def _units(self, x: Array, dtype: Dtype) -> Array:
        units = product("grld,df->grlf", x, (self.wi_0 if self.gated else self.wi)[...], dtype)
        if self.wi_bias is not None:
            units = units + _along_last(self.wi_bias[...].astype(dtype), 4)
        units = activated(units, self.activation)
        return units * product("grld,df->grlf", x, self.wi_1[...], dtype) if self.gated else units

    def _joined_units(self, x: Array, dtype: Dtype) -> Array:
        both = product("grld,dkf->grlkf", x, self.wi[...], dtype)
        if self.wi_bias is not None:
            both = both + self.wi_bias[...].astype(dtype)[None, None, None]
        return activated(both[..., 0, :], self.activation) * both[..., 1, :]


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
