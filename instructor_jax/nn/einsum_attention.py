"""Attention by einsum, which writes every score to memory: for CPUs and GPUs, and for what the kernels do not take."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from instructor_jax.nn.compute import Compute
from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.numerics import MASKED, Dtype, product
from instructor_jax.sharding import axis_shards, constrain

States = Float[Array, "groups rows heads len head_dim"]
_BLOCK = 128


class EinsumAttention:
    """The back end that computes with whole matrices of scores; states are [groups, rows, heads, len, head_dim].

    Args:
        segments: The text of each token within its row; -1 is padding.
        dtype: Type of the products.
        block: How many queries of a row are computed at a time where there is no dropout; None for all.
        softcap: What the scores are kept below; None for nothing.
    """

    def __init__(
        self,
        segments: Int[Array, "groups rows len"],
        dtype: Dtype,
        block: int | None = None,
        softcap: float | None = None,
    ):
        self._length = segments.shape[-1]
        self._block = block
        self._softcap = softcap
        self._mask = text_mask(segments)
        self._dtype = dtype

    def by_offset(self, function: Callable[[Int[Array, "query key"]], Any]) -> Int[Array, "query key"]:
        """See `AttentionBackend`: a number for each pair of tokens."""
        position = jnp.arange(self._length, dtype=jnp.int32)
        return function(position[None, :] - position[:, None])

    def project(self, x: Float[Array, "groups rows len embed"], weight: Float[Array, "embed heads head_dim"]) -> States:
        """See `AttentionBackend`."""
        # As [groups, rows, len, heads, head_dim] each product is one plain matrix product; asking einsum for the heads
        # axis in front makes XLA transpose the operands as well, at twice the time on CPUs.
        return self.arrange(product("grld,dhe->grlhe", x, weight, self._dtype))

    def arrange(self, states: Float[Array, "groups rows len heads head_dim"]) -> States:
        """See `AttentionBackend`."""
        return constrain(states.swapaxes(2, 3), "batch", None, heads_axis(states.shape[3]), "act_len", None)

    def attend(
        self,
        states: tuple[States, Any, Any],
        bias: Float[Array, "heads_or_1 query key"] | None,
        dropout: DropoutSite,
        row_keys: Key[Array, "groups rows"] | None,
    ) -> States:
        """See `AttentionBackend`."""
        drop = None if row_keys is None else partial(dropout, row_keys=row_keys)
        query, key, value = states
        key, value = (for_every_query(state, query.shape[2]) for state in (key, value))
        if self._block is not None and drop is None:
            return attend_in_blocks(query, key, value, Scores(bias, self._mask, self._softcap), self._block)
        return attend(query, key, value, Scores(bias, self._mask, self._softcap), drop)

    def join(
        self, mixed: States, weight: Float[Array, "heads head_dim embed"]
    ) -> Float[Array, "groups rows len embed"]:
        """See `AttentionBackend`."""
        return product("grlhe,hed->grld", mixed.swapaxes(2, 3), weight, self._dtype)


def heads_axis(heads: int) -> str | None:
    """The logical axis of that many heads; None where the devices cannot share them, as of a single head of keys."""
    return None if heads % axis_shards("act_heads") else "act_heads"


def for_every_query(
    states: Float[Array, "groups rows shared first second"], heads: int
) -> Float[Array, "groups rows heads first second"]:
    """Keys or values of grouped heads, each repeated for the neighbouring heads of queries that share it."""
    return states if states.shape[2] == heads else jnp.repeat(states, heads // states.shape[2], axis=2)


def text_mask(segments: Int[Array, "groups rows len"]) -> Float[Array, "groups rows query key"]:
    """What is added to the scores: 0 within a text, `MASKED` between texts and for padding (-1).

    A float computed once for all layers: comparing integers inside every layer's softmax costs CPUs a third of it.
    """
    same = (segments[..., :, None] == segments[..., None, :]) & (segments[..., None, :] >= 0)
    return jnp.where(same, 0.0, MASKED)


class Scores(NamedTuple):
    """What becomes of the products of queries and keys before the softmax.

    Attributes:
        bias: Added to those of every head, or of all alike; None for nothing.
        mask: Added to those of every row.
        softcap: Each becomes softcap tanh(product / softcap) before anything is added; None for no bound.
    """

    bias: Float[Array, "heads_or_1 query key"] | None
    mask: Float[Array, "groups rows query key"]
    softcap: float | None = None


def attend(
    query: Float[Array, "groups rows heads query head_dim"],
    key: Float[Array, "groups rows heads key head_dim"],
    value: Float[Array, "groups rows heads key head_dim"],
    rule: Scores,
    dropout: Callable[[Array], Array] | None = None,
) -> Float[Array, "groups rows heads query head_dim"]:
    """softmax(query key^T + bias + mask) value, with float32 scores and statistics.

    The division by the sum comes after the product with the values, where there are head_dim numbers per query to
    divide instead of len.
    """
    dtype, (bias, mask, softcap) = query.dtype, rule
    scores = product("grhqe,grhke->grhqk", query, key, jnp.float32 if dtype == jnp.float32 else dtype, jnp.float32)
    if softcap is not None:
        scores = softcap * jnp.tanh(scores / softcap)
    if bias is not None:  # one for all heads is no parameter, and needs no gradient
        scores = with_bias(scores, bias) if bias.shape[0] == query.shape[2] else scores + bias[None, None]
    scores = scores + mask[:, :, None]
    # The shift cancels in the quotient, and so does its gradient.
    weights = jnp.exp(scores - jax.lax.stop_gradient(scores.max(axis=-1, keepdims=True)))
    total = weights.sum(axis=-1, keepdims=True)
    if dropout is not None:
        weights = dropout(weights)
    mixed = product("grhqk,grhke->grhqe", weights, value, dtype, jnp.float32)
    return (mixed / total).astype(dtype)


def query_block(length: Any, compute: Compute) -> int | None:
    """Returns how many queries `EinsumAttention` should take at a time: 128 in rows above 256 tokens that CPUs encode.

    The scores of 2,048 tokens in rows of 512 are 50 MB at base size, which every step of the softmax reads from memory
    and writes back; those of 128 queries of a row stay in the caches. Rows of 256 lose by it ("docs/performance.md").

    Args:
        length: of the rows; a symbol where a program is exported for all lengths.
        compute: Layers apart are the layout in which CPUs encode.
    """
    measured = compute.dtype == jnp.float32 and not compute.layout.stacked
    return _BLOCK if measured and isinstance(length, int) and length > 256 and length % _BLOCK == 0 else None


def attend_in_blocks(
    query: Float[Array, "groups rows heads len head_dim"],
    key: Float[Array, "groups rows heads len head_dim"],
    value: Float[Array, "groups rows heads len head_dim"],
    rule: Scores,
    block: int,
) -> Float[Array, "groups rows heads len head_dim"]:
    """Does what `attend` does for one block of queries after the other; `block` divides `len`."""

    def some(start: Int[Array, ""]) -> Array:
        def cut(array: Array, axis: int) -> Array:
            return jax.lax.dynamic_slice_in_dim(array, start, block, axis)

        bias = None if rule.bias is None else cut(rule.bias, 1)
        return attend(cut(query, 3), key, value, Scores(bias, cut(rule.mask, 2), rule.softcap))

    mixed = jax.lax.map(some, jnp.arange(0, query.shape[3], block))
    return jnp.moveaxis(mixed, 0, 3).reshape(query.shape)


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
