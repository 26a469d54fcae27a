"""The parts of a T5 layer that are not attention: matrix products, RMS norm, feed-forward, embedding, dropout.

Letters of all equations here and in `attention.py`, `encoder.py`: g groups, r rows, l length (q and k where queries
and keys differ), d embed, h heads, e head_dim, f ffn.

Numerics: float32 means full precision everywhere (`HIGHEST`: JAX's default is TF32 on GPUs and bfloat16 passes on
TPUs). With bfloat16 compute, products take bfloat16 operands and accumulate in float32; norms are float32.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from instructor_jax.config import Activation, EncoderConfig
from instructor_jax.sharding import constrain

Dtype = Any

_ACTIVATIONS = {
    "relu": jax.nn.relu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_new": lambda x: jax.nn.gelu(x, approximate=True),
    "silu": jax.nn.silu,
}


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


def width_slices(width: int) -> list[slice]:
    """Cuts a feed-forward width so that no slice's rows are a multiple of 4 KiB apart in float32.

    Such rows compete for the same few cache lines: on an AVX-512 CPU the product [2048, 768] x [768, 3072] ran at 66
    GFLOP/s a core whole and at 111 in four slices. Accelerators lay arrays out in tiles and are given the whole.
    """
    if jax.default_backend() != "cpu" or width % 1024 or width > 8192:
        return [slice(0, width)]
    size = 768 if width % 768 == 0 else 512
    return [slice(start, start + size) for start in range(0, width, size)]


class DropoutSite:
    """One place where dropout is applied; its randomness depends on the row, not on how rows are batched or sharded."""

    def __init__(self, rate: float, site: int):
        self.rate = rate
        self.site = site

    def __call__(
        self, x: Float[Array, "groups rows *rest"], row_keys: Key[Array, "groups rows"] | None
    ) -> Float[Array, "groups rows *rest"]:
        """Drops and rescales; without keys (inference) the input itself."""
        if row_keys is None or self.rate == 0.0:
            return x

        def mask(key: Key[Array, ""]) -> Array:
            return jax.random.bernoulli(jax.random.fold_in(key, self.site), 1.0 - self.rate, x.shape[2:])

        keep = jax.vmap(jax.vmap(mask))(row_keys)
        return jnp.where(keep, x / (1.0 - self.rate), jnp.zeros_like(x))


def parameter(key: Key[Array, ""], shape: tuple[int, ...], stddev: float, axes: tuple[str, ...]) -> nnx.Param:
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
        return (x32 * jax.lax.rsqrt(variance + self.epsilon) * self.scale[...].astype(jnp.float32)).astype(dtype)


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
        out = jnp.zeros((), jnp.float32)
        whole = [slice(0, self.wo.shape[0])]  # under dropout: a mask must not depend on how the width is cut
        for part in width_slices(self.wo.shape[0]) if row_keys is None else whole:
            hidden = activation(product("grld,df->grlf", x, (self.wi_0 if self.gated else self.wi)[:, part], dtype))
            if self.gated:
                hidden = hidden * product("grld,df->grlf", x, self.wi_1[:, part], dtype)
            hidden = constrain(self.dropout(hidden, row_keys), "batch", None, "act_len", "act_ffn")
            out = out + product("grlf,fd->grld", hidden, self.wo[part], dtype, jnp.float32)
        return out.astype(dtype)


class TokenEmbedding(nnx.Module):
    """Token id -> vector; T5 does not scale it and adds no positions."""

    def __init__(self, config: EncoderConfig, rngs: nnx.Rngs):
        self.embedding = parameter(rngs.params(), (config.vocab, config.embed), 1.0, ("vocab", "embed"))

    def __call__(self, tokens: Int[Array, "groups rows len"], dtype: Dtype) -> Float[Array, "groups rows len embed"]:
        return self.embedding[...].at[tokens].get(mode="clip").astype(dtype)
