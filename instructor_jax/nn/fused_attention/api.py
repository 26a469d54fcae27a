"""Attention that keeps its scores on the chip: what surrounds the kernels.

The einsum version writes the scores of every row and head to memory, [heads, len, len] each, several times over; the
kernels write nothing but what goes in and comes out, forward and backward. Tokens come last in every array: a block of
128 queries then fills the lanes of TPU registers, and heads of any size need no padding.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from instructor_jax.nn.dropout import DropoutSite, key_words
from instructor_jax.nn.fused_attention.plan import KernelPlan, padded_length
from instructor_jax.sharding import partition_spec


def diagonal_offsets(length: int) -> Int[np.ndarray, "offsets"]:
    """Differences key - query in the order of the kernels' bias vectors."""
    padded = padded_length(length)
    return padded - 1 - np.arange(2 * padded, dtype=np.int32)


def fused_attend(
    plan: KernelPlan,
    query: Float[Array, "groups rows heads head_dim len"],
    key: Float[Array, "groups rows heads head_dim len"],
    value: Float[Array, "groups rows heads head_dim len"],
    diagonals: Float[Array, "heads shards offsets"],
    segments: Int[Array, "groups rows len"],
    dropout: DropoutSite | None = None,
    row_keys: Key[Array, "groups rows"] | None = None,
) -> Float[Array, "groups rows heads head_dim len"]:
    """softmax(query key^T + bias + mask) value, as `attention.attend` computes it, tokens last.

    Args:
        plan: from `choose_attention`.
        query: projections of the tokens.
        key: likewise.
        value: likewise.
        diagonals: float32, the bias at `diagonal_offsets(len)`, once for each device that holds other examples.
        segments: the text of each token; -1 is padding.
        dropout: of the attention weights; drops what it would drop from the einsum version's.
        row_keys: of dropout; None for inference.
    """
    extra = plan.padded - plan.length
    if extra:
        query, key, value = (jnp.pad(x, [(0, 0)] * 4 + [(0, extra)]) for x in (query, key, value))
        segments = jnp.pad(segments, [(0, 0), (0, 0), (0, extra)], constant_values=-1)
    words = jnp.zeros((*segments.shape[:2], 2), jnp.int32)
    if plan.dropout:
        assert dropout is not None
        assert row_keys is not None
        words = _key_words(row_keys, dropout.site)
    heads = jnp.arange(diagonals.shape[0], dtype=jnp.int32)
    local = partial(_on_one_device, plan)
    if not jax.sharding.get_abstract_mesh().empty:
        states, groups = partition_spec(["batch", None, "act_heads"]), partition_spec(["batch"])
        bias, own_heads = partition_spec(["act_heads", "batch"]), partition_spec(["act_heads"])
        specs = (states, states, states, bias, groups, groups, own_heads)
        local = jax.shard_map(local, in_specs=specs, out_specs=states, check_vma=False)
    return local(query, key, value, diagonals, segments, words, heads)[..., : plan.length]


def _key_words(row_keys: Key[Array, "groups rows"], site: int) -> Int[Array, "groups rows 2"]:
    """The rows' keys at a site, as the kernels read them."""
    folded = jax.vmap(jax.vmap(lambda key: jax.random.fold_in(key, site)))(row_keys)
    return jax.lax.bitcast_convert_type(key_words(folded), jnp.int32)


def _on_one_device(
    plan: KernelPlan,
    query: Array,
    key: Array,
    value: Array,
    diagonals: Array,
    segments: Array,
    words: Array,
    heads: Array,
) -> Array:
    """A device's groups and heads; `heads` holds the heads' numbers in the whole model."""

    def rows(x: Array) -> Array:
        return x.reshape(-1, *x.shape[2:])

    out: Array = _attend_rows(
        plan, rows(query), rows(key), rows(value), diagonals, rows(segments)[:, None], words.reshape(-1), heads[:1]
    )
    return out.reshape(query.shape)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attend_rows(plan: KernelPlan, *arguments: Array) -> Array:
    from instructor_jax.nn.fused_attention.kernels import forward  # Pallas is imported where it is used

    return forward(plan, *arguments)


def _attend_rows_forward(plan: KernelPlan, *arguments: Array) -> tuple[Array, tuple[Array, ...]]:
    return _attend_rows(plan, *arguments), arguments


def _attend_rows_backward(plan: KernelPlan, arguments: tuple[Array, ...], gradient: Array) -> tuple[Array | None, ...]:
    from instructor_jax.nn.fused_attention.kernels import backward

    gradients = backward(plan, *arguments, gradient)  # pyright: ignore[reportCallIssue]
    return (*gradients, None, None, None)


_attend_rows.defvjp(_attend_rows_forward, _attend_rows_backward)
