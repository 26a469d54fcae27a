"""The parts of a T5 layer that are not attention: parameters, RMS norm, feed-forward.

Letters of all equations here and in `attention.py`, `encoder.py`: g groups, r rows, l length (q and k where queries
and keys differ), d embed, h heads, e head_dim, f ffn.

Products follow `numerics.py`; norms are float32.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from instructor_jax.config import Activation, EncoderConfig
from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.numerics import Dtype, product
from instructor_jax.sharding import constrain

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
    """T5's layer norm: scaled by the root mean square, no mean subtracted, no bias; statistics in float32."""

    def __init__(self, config: EncoderConfig):
        self.epsilon = config.norm_epsilon
        self.scale = nnx.Param(jnp.ones((config.embed,), jnp.float32), out_sharding=("norm",))

    def __call__(self, x: Float[Array, "*batch embed"], dtype: Dtype) -> Float[Array, "*batch embed"]:
        x32 = x.astype(jnp.float32)
        variance = jnp.mean(jnp.square(x32), axis=-1, keepdims=True)
        scale = self.scale[...].astype(jnp.float32).reshape((1,) * (x.ndim - 1) + (-1,))
        return (x32 * jax.lax.rsqrt(variance + self.epsilon) * scale).astype(dtype)


class FeedForward(nnx.Module):
    """wo(activation(wi x)), or the gated form wo(activation(wi_0 x) * wi_1 x) of T5 v1.1 and its descendants."""

    def __init__(self, config: EncoderConfig, rngs: nnx.Rngs):
        self.activation: Activation = config.activation
        self.gated = config.gated
        shape, axes, stddev = (config.embed, config.ffn), ("embed", "ffn"), config.embed**-0.5
        if config.gated:
            self.wi_0 = parameter(rngs.params(), shape, stddev, axes)
            self.wi_1 = parameter(rngs.params(), shape, stddev, axes)
        else:
            self.wi = parameter(rngs.params(), shape, stddev, axes)
        self.wo = parameter(rngs.params(), (config.ffn, config.embed), config.ffn**-0.5, ("ffn", "embed"))
        self.dropout = DropoutSite(config.dropout, site=0)

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

    def __init__(self, config: EncoderConfig, rngs: nnx.Rngs, slices: int):
        part = dataclasses.replace(config, ffn=config.ffn // slices)
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
