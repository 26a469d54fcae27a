"""What the forward and the backward kernel compute alike: scores of a block of queries, bias, mask, dropout.

All of it is [keys, BLOCK], with the keys in the rows and the queries in the lanes, so maxima and sums over the keys run
down the registers.

The bias of a head depends on key - query alone. It comes as a vector of 2 * len numbers, and is spread once per head
into rows of which every block of queries sees a window: row r of the spread bias and lane i hold the bias of
key - query = r - i - (blocks - 1) * BLOCK.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from instructor_jax.nn.dropout import hashed, kept
from instructor_jax.nn.fused_attention.plan import BLOCK, KernelPlan
from instructor_jax.numerics import MASKED

_NO_QUERY = -2  # segment of a query that sees no key


def matmul(x: jax.Array, y: jax.Array, plan: KernelPlan) -> jax.Array:
    """x y with a float32 result; float32 operands are multiplied in full precision."""
    return _product(x, y, (((1,), (0,)), ((), ())), plan)


def matmul_transposed(x: jax.Array, y: jax.Array, plan: KernelPlan) -> jax.Array:
    """x y^T, likewise."""
    return _product(x, y, (((1,), (1,)), ((), ())), plan)


def _product(x: jax.Array, y: jax.Array, dimensions: Any, plan: KernelPlan) -> jax.Array:
    if plan.interpret:  # CPUs lack some of these products in bfloat16; their terms are exact in float32
        x, y = x.astype(jnp.float32), y.astype(jnp.float32)
    precision = jax.lax.Precision.HIGHEST if x.dtype == jnp.float32 else None
    return jax.lax.dot_general(x, y, dimensions, precision=precision, preferred_element_type=jnp.float32)


def spread(diagonals: Any, spread_bias: Any, plan: KernelPlan) -> None:
    """Writes the spread bias [bias_rows, BLOCK] from the vector [1, 2 * padded].

    Position x of the vector is the bias of key - query = padded - 1 - x.
    """

    @pl.loop(0, 2 * plan.blocks - 1)
    def _(tile: jax.Array) -> None:
        spread_bias[block_of(tile), :] = _toeplitz(diagonals[:, _diagonals_of(tile, plan)])


def gather(spread_gradient: Any, diagonals: Any, plan: KernelPlan) -> None:
    """The transpose of `spread`: sums the spread gradient along its diagonals."""
    diagonals[...] = jnp.zeros_like(diagonals)

    @pl.loop(0, 2 * plan.blocks - 1)
    def _(tile: jax.Array) -> None:
        diagonals[:, _diagonals_of(tile, plan)] += _diagonal_sums(spread_gradient[block_of(tile), :])


def _diagonals_of(tile: jax.Array, plan: KernelPlan) -> Any:
    """The part of a bias vector that a tile of the spread bias is made of."""
    return pl.ds(pl.multiple_of((2 * plan.blocks - 2 - tile) * BLOCK, BLOCK), 2 * BLOCK)


def _toeplitz(window: jax.Array) -> jax.Array:
    """tile[j, i] = window[0, BLOCK - 1 - j + i], by doubling the rows: seven rotations instead of one per row."""
    tile = window
    while tile.shape[0] < BLOCK:
        left = pltpu.roll(tile, 2 * BLOCK - tile.shape[0], axis=1)
        tile = jnp.concatenate([left, tile], axis=0)
    return tile[:, :BLOCK]


def _diagonal_sums(tile: jax.Array) -> jax.Array:
    """The transpose of `_toeplitz`, by halving the rows."""
    rows = jnp.concatenate([tile, jnp.zeros_like(tile)], axis=1)
    while rows.shape[0] > 1:
        half = rows.shape[0] // 2
        rows = pltpu.roll(rows[:half], half, axis=1) + rows[half:]
    return rows


def window_of(block: jax.Array, plan: KernelPlan) -> Any:
    """The rows of the spread bias that a block of queries sees: one for each key."""
    return pl.ds(pl.multiple_of((plan.blocks - 1 - block) * BLOCK, BLOCK), plan.padded)


def block_of(block: jax.Array) -> Any:
    """The positions of a block."""
    return pl.ds(pl.multiple_of(block * BLOCK, BLOCK), BLOCK)


def key_segments(segments: jax.Array) -> jax.Array:
    """Segments of the keys for a block of queries, [padded, BLOCK], of those of a row, [1, padded]."""
    return jnp.transpose(jnp.broadcast_to(segments, (BLOCK, segments.shape[1])))


def mask_of(keys: jax.Array, queries: jax.Array, plan: KernelPlan) -> jax.Array:
    """What is added to the scores of a block of queries, [keys, BLOCK]: 0 within a text, `MASKED` elsewhere.

    Keys that fill up the last block are masked twice as much: a query of the row's own padding spreads its weight over
    the row, not over them.

    Args:
        keys: segments from `key_segments`.
        queries: segments of the block, [1, BLOCK].
        plan: of the call.
    """
    elsewhere = MASKED
    if plan.padded > plan.length:
        position = jax.lax.broadcasted_iota(jnp.int32, keys.shape, 0)
        elsewhere = jnp.where(position < plan.length, MASKED, 2 * MASKED)
    return jnp.where(keys == jnp.where(queries < 0, _NO_QUERY, queries), 0.0, elsewhere)


def products_of(keys: jax.Array, queries: jax.Array, plan: KernelPlan) -> jax.Array:
    """Products of keys and queries, [keys, BLOCK], below the plan's soft cap where it has one."""
    products = matmul(keys, queries, plan)
    return plan.softcap * jnp.tanh(products / plan.softcap) if plan.softcap else products


def slope_of(products: jax.Array, plan: KernelPlan) -> jax.Array:
    """How much a product below the soft cap grows with the product itself: the derivative of c tanh(x / c)."""
    share = products / plan.softcap
    return 1.0 - share * share


def softmax_parts(products: jax.Array, bias: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """exp(scores - maximum) [keys, BLOCK] and its sums [1, BLOCK]; the order of additions is that of `attend`."""
    scores = products + bias + mask
    weights = jnp.exp(scores - scores.max(axis=0, keepdims=True))
    return weights, weights.sum(axis=0, keepdims=True)


def keep_mask(words: Any, row: jax.Array, head: jax.Array, block: jax.Array, plan: KernelPlan) -> jax.Array:
    """Which weights [keys, BLOCK] dropout keeps: bit for bit those of `dropout.keep_mask` over [heads, len, len].

    Args:
        words: two of each row's key, one row after the other.
        row: among those of the call.
        head: in the whole model, not among those of the device.
        block: of queries.
        plan: of the call.
    """
    shape = (plan.padded, BLOCK)
    key = jax.lax.broadcasted_iota(jnp.int32, shape, 0)
    query = jax.lax.broadcasted_iota(jnp.int32, shape, 1) + block * BLOCK
    position = (head * plan.length + query) * plan.length + key
    return kept(hashed(position, words[2 * row], words[2 * row + 1]), 1.0 - plan.dropout)
