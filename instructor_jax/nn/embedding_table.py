"""Rows of the token table, where devices hold parts of it: the gradient is summed where it belongs, and nowhere else.

The table is by far the largest matrix that is read outside of the layers. Left to itself the compiler sums its gradient
over all devices in full, on every device, and cuts out the device's part afterwards; once for every chunk of a batch.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from instructor_jax.nn.layers import parameter
from instructor_jax.numerics import Dtype
from instructor_jax.sharding import axis_shards, partition_spec


class TokenEmbedding(nnx.Module):
    """Token id -> vector, neither scaled nor with positions added."""

    def __init__(self, vocab: int, embed: int, rngs: nnx.Rngs):
        self.embedding = parameter(rngs.params(), (vocab, embed), 1.0, ("vocab", "embed"))

    def __call__(self, tokens: Int[Array, "groups rows len"], dtype: Dtype) -> Float[Array, "groups rows len embed"]:
        return look_up(self.embedding[...], tokens, dtype)


class _Table(NamedTuple):
    """What the backward pass must know of the table, and of where tokens lie.

    Attributes:
        shape: of the table.
        dtype: of the table.
        result: the type of the rows.
        batch: layout of tokens, as it is when they are looked up; the backward pass runs where it may be another.
    """

    shape: tuple[int, int]
    dtype: Any
    result: Any
    batch: jax.P


def look_up(
    table: Float[Array, "vocab embed"], tokens: Int[Array, "groups rows len"], dtype: Any
) -> Float[Array, "groups rows len embed"]:
    """The row of each token, in `dtype`; an id beyond the table takes its last row.

    Under `jax.set_mesh` groups that can be split over the devices that hold different examples are.
    """
    about = _Table((table.shape[0], table.shape[1]), table.dtype, jnp.dtype(dtype), partition_spec(["batch"]))
    if jax.sharding.get_abstract_mesh().empty or tokens.shape[0] % axis_shards("batch"):
        return _rows(about, table, tokens)
    return _sharded_rows(about, table, tokens)


def _rows(about: _Table, table: Array, tokens: Array) -> Array:
    return table.at[tokens].get(mode="clip").astype(about.result)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _sharded_rows(about: _Table, table: Array, tokens: Array) -> Array:
    return _rows(about, table, tokens)


def _forward(about: _Table, table: Array, tokens: Array) -> tuple[Array, Array]:
    return _rows(about, table, tokens), tokens


def _backward(about: _Table, tokens: Array, gradient: Array) -> tuple[Array, None]:
    batch, table = about.batch, partition_spec(["vocab", "embed"])
    others = (batch[0],) if isinstance(batch[0], str) else tuple(batch[0] or ())  # axes along which examples differ
    vocab, embed = table[0], table[1] if table[1] in others else None
    rows, width = about.shape[0] // axis_shards("vocab"), about.shape[1]

    def on_one_device(tokens: Array, gradient: Array) -> Array:
        """The sum over this device's tokens, then over the devices that hold others."""
        first = 0 if vocab is None else jax.lax.axis_index(vocab) * rows
        own = jnp.clip(tokens, 0, about.shape[0] - 1) - first
        own = jnp.where((own >= 0) & (own < rows), own, rows)  # rows of other devices are dropped
        summed = jnp.zeros((rows, width), about.dtype).at[own].add(gradient.astype(about.dtype), mode="drop")
        if embed is not None:
            # By hand: of psum_scatter TPUs make a sum of the whole table on every device, twice the bytes. The table's
            # rows come last, because a last axis of a few numbers would be stored as 128.
            parts = summed.T.reshape(axis_shards("embed"), -1, rows)
            summed = jax.lax.all_to_all(parts, embed, split_axis=0, concat_axis=0).sum(axis=0).T
        return jax.lax.psum(summed, tuple(name for name in others if name != embed))

    # unchecked: of a function that is mapped over copies of the weights, JAX 0.10 takes zeros for equal on all of them
    local = jax.shard_map(on_one_device, in_specs=(batch, batch), out_specs=jax.P(vocab, embed), check_vma=False)
    return local(tokens, gradient), None


_sharded_rows.defvjp(_forward, _backward)
