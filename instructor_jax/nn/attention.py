"""T5 self-attention over packed rows: relative position bias, no scaling, and texts that never see one another.

T5 knows positions only as differences, and a text's tokens are contiguous in its row. So the bias of a pair of
positions is the same wherever the text lies, and masking out other texts of the row makes packing exact.
"""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from instructor_jax.config import EncoderConfig
from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.nn.fused_attention.api import diagonal_offsets, fused_attend
from instructor_jax.nn.fused_attention.plan import KernelPlan
from instructor_jax.nn.layers import parameter
from instructor_jax.numerics import MASKED, Dtype, product
from instructor_jax.sharding import axis_shards, constrain


def relative_position_buckets(length: int, buckets: int, max_distance: int) -> Int[Array, "query key"]:
    """Bucket of each (query, key) pair."""
    position = jnp.arange(length, dtype=jnp.int32)
    return offset_buckets(position[None, :] - position[:, None], buckets, max_distance)


def offset_buckets(offset: Int[Array, "*shape"], buckets: int, max_distance: int) -> Int[Array, "*shape"]:
    """Bucket of key - query: half for each direction, half of those exact, the rest logarithmic.

    T5 (Raffel et al. 2020, section 2.1; `T5Attention._relative_position_bucket` of transformers, bidirectional).
    """
    half = buckets // 2
    exact = half // 2
    distance = jnp.abs(offset)
    # float32 like the original, so that distances on a boundary fall into the same bucket
    scaled = jnp.log(jnp.maximum(distance, 1).astype(jnp.float32) / exact) / math.log(max_distance / exact)
    far = jnp.minimum(exact + (scaled * (half - exact)).astype(jnp.int32), half - 1)
    return jnp.where(offset > 0, half, 0) + jnp.where(distance < exact, distance, far)


def diagonal_buckets(length: int, buckets: int, max_distance: int) -> Int[Array, "shards offsets"]:
    """Buckets for the fused kernels: of every difference once, and once for each device that holds other examples.

    With a copy for each device the bias's gradient stays local, and is summed over devices once, in the table, not in
    every layer.
    """
    once = offset_buckets(jnp.asarray(diagonal_offsets(length)), buckets, max_distance)
    return constrain(jnp.broadcast_to(once, (axis_shards("batch"), *once.shape)), "batch", None)


def text_mask(segments: Int[Array, "groups rows len"]) -> Float[Array, "groups rows query key"]:
    """What is added to the scores: 0 within a text, `MASKED` between texts and for padding (-1).

    A float computed once for all layers: comparing integers inside every layer's softmax costs CPUs a third of it.
    """
    same = (segments[..., :, None] == segments[..., None, :]) & (segments[..., None, :] >= 0)
    return jnp.where(same, 0.0, MASKED)


def attend(
    query: Float[Array, "groups rows heads query head_dim"],
    key: Float[Array, "groups rows heads key head_dim"],
    value: Float[Array, "groups rows heads key head_dim"],
    bias: Float[Array, "heads query key"],
    mask: Float[Array, "groups rows query key"],
    dropout: Callable[[Array], Array] | None = None,
) -> Float[Array, "groups rows heads query head_dim"]:
    """softmax(query key^T + bias + mask) value, with float32 scores and statistics.

    The division by the sum comes after the product with the values, where there are head_dim numbers per query to
    divide instead of len.
    """
    dtype = query.dtype
    scores = product("grhqe,grhke->grhqk", query, key, jnp.float32 if dtype == jnp.float32 else dtype, jnp.float32)
    scores = with_bias(scores, bias) + mask[:, :, None]
    # The shift cancels in the quotient, and so does its gradient.
    weights = jnp.exp(scores - jax.lax.stop_gradient(scores.max(axis=-1, keepdims=True)))
    total = weights.sum(axis=-1, keepdims=True)
    if dropout is not None:
        weights = dropout(weights)
    mixed = product("grhqk,grhke->grhqe", weights, value, dtype, jnp.float32)
    return (mixed / total).astype(dtype)


@jax.custom_vjp
def with_bias(
    scores: Float[Array, "groups rows heads query key"], bias: Float[Array, "heads query key"]
) -> Float[Array, "groups rows heads query key"]:
    """scores + bias, with the bias's gradient summed over rows by a product with ones.

    XLA's own reduction over leading axes reads memory 50 times slower than that on CPUs: 190 ms against 3 ms for 64
    rows of 4 heads and 256 tokens, a fifth of a small model's step.
    """
    return scores + bias[None, None]


def _with_bias_forward(scores: Array, bias: Array) -> tuple[Array, None]:
    return scores + bias[None, None], None


def _with_bias_backward(_: None, gradient: Array) -> tuple[Array, Array]:
    ones = jnp.ones(gradient.shape[:2], gradient.dtype)
    summed = jnp.einsum("gr,grhqk->hqk", ones, gradient, precision=jax.lax.Precision.HIGHEST)
    return gradient, summed


with_bias.defvjp(_with_bias_forward, _with_bias_backward)


class RelativeBias(nnx.Module):
    """A learned number per bucket and head, added to the attention scores."""

    def __init__(self, config: EncoderConfig, rngs: nnx.Rngs):
        shape = (config.relative_buckets, config.heads)
        self.embedding = parameter(rngs.params(), shape, config.embed**-0.5, ("relative_buckets", "heads"))

    def __call__(self, buckets: Int[Array, "*offsets"]) -> Float[Array, "heads *offsets"]:
        return jnp.moveaxis(self.embedding[...].astype(jnp.float32)[buckets], -1, 0)


class SelfAttention(nnx.Module):
    """Multi-head attention without biases and without the 1/sqrt(head_dim) of other transformers."""

    def __init__(self, config: EncoderConfig, rngs: nnx.Rngs):
        shape = (config.embed, config.heads, config.head_dim)
        axes = ("embed", "heads", "head_dim")
        # T5's initialisation: the missing score scaling is in the query's standard deviation
        self.query = parameter(rngs.params(), shape, (config.embed * config.head_dim) ** -0.5, axes)
        self.key = parameter(rngs.params(), shape, config.embed**-0.5, axes)
        self.value = parameter(rngs.params(), shape, config.embed**-0.5, axes)
        self.out = parameter(
            rngs.params(), (*shape[1:], shape[0]), (config.heads * config.head_dim) ** -0.5, (*axes[1:], axes[0])
        )
        self.relative_bias = nnx.data(None if config.shared_relative_bias else RelativeBias(config, rngs))
        self.dropout = DropoutSite(config.dropout, site=1)

    def __call__(
        self,
        x: Float[Array, "groups rows len embed"],
        bias: Float[Array, "heads len len"] | Float[Array, "heads shards offsets"],
        mask: Float[Array, "groups rows len len"] | Int[Array, "groups rows len"],
        dtype: Dtype,
        row_keys: Key[Array, "groups rows"] | None = None,
        fused: KernelPlan | None = None,
    ) -> Float[Array, "groups rows len embed"]:
        """Bias and mask of every pair; with a plan of the fused kernels, bias by offset and segments."""
        if fused is not None:
            return self._fused(fused, x, bias, mask, dtype, row_keys)
        # As [groups, rows, len, heads, head_dim] each product is one plain matrix product; asking einsum for the heads
        # axis in front makes XLA transpose the operands as well, at twice the time on CPUs.
        query, key, value = (
            constrain(
                product("grld,dhe->grlhe", x, w[...], dtype).swapaxes(2, 3), "batch", None, "act_heads", "act_len", None
            )
            for w in (self.query, self.key, self.value)
        )
        dropout = None if row_keys is None else partial(self.dropout, row_keys=row_keys)
        mixed = attend(query, key, value, bias, mask, dropout).swapaxes(2, 3)
        return product("grlhe,hed->grld", mixed, self.out[...], dtype)

    def _fused(
        self,
        plan: KernelPlan,
        x: Float[Array, "groups rows len embed"],
        diagonals: Float[Array, "heads shards offsets"],
        segments: Int[Array, "groups rows len"],
        dtype: Dtype,
        row_keys: Key[Array, "groups rows"] | None,
    ) -> Float[Array, "groups rows len embed"]:
        """The same with the tokens last throughout, as the kernels want them."""
        query, key, value = (
            constrain(product("grld,dhe->grhel", x, w[...], dtype), "batch", None, "act_heads", None, "act_len")
            for w in (self.query, self.key, self.value)
        )
        mixed = fused_attend(plan, query, key, value, diagonals, segments, self.dropout, row_keys)
        return product("grhel,hed->grld", mixed, self.out[...], dtype)
