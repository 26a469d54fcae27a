"""The forward and the backward kernel of fused attention.

A program computes one head of some rows, and a row block of queries by block of queries, with all of its keys at hand:
rows are short enough for that, so there is no running maximum and sum over blocks of keys as in FlashAttention (Dao et
al. 2022). Everything is transposed, keys in the rows and queries in the lanes. With P the normalised weights,
A = P with dropout, and dP = dropout of v^T do, the backward kernel computes scores again and then

    dv = do A^T     dS = P (dP - sum over keys of P dP)     dq = k dS     dk = q dS^T     dbias = dS summed over rows

for q, k, v of [head_dim, len]; below a soft cap of the products, dS is multiplied by its slope for dq and dk.
Nothing is kept from the forward pass but its inputs: where all keys are at hand, maximum and sum of a softmax cost less
than reading them back. The bias's gradient stays on the chip, summed over the rows of the call, and leaves as 2 * len
numbers per head.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jaxtyping import Array, Float, Int

from instructor_jax.nn.fused_attention.plan import BLOCK, KernelPlan
from instructor_jax.nn.fused_attention.scores import (
    block_of,
    gather,
    keep_mask,
    key_segments,
    mask_of,
    matmul,
    matmul_transposed,
    products_of,
    slope_of,
    softmax_parts,
    spread,
    window_of,
)

States = Float[Array, "rows heads head_dim len"]
Diagonals = Float[Array, "heads 1 offsets"]
Segments = Int[Array, "rows 1 len"]
Words = Int[Array, "words"]


def forward(
    plan: KernelPlan,
    query: States,
    key: States,
    value: States,
    diagonals: Diagonals,
    segments: Segments,
    dropout_keys: Words,
    first_head: Int[Array, "1"],
) -> States:
    """Attention of rows that are whole blocks long; see `fused_attention.fused_attend` for the arguments."""
    run = partial(_run, partial(_forward_kernel, plan), "attention_forward", products=2)
    scratch = [(plan.bias_rows, BLOCK)]
    arguments = (diagonals, segments, query, key, value)
    return run(plan, (first_head, dropout_keys), arguments, (query,), scratch)[0]


def backward(
    plan: KernelPlan,
    query: States,
    key: States,
    value: States,
    diagonals: Diagonals,
    segments: Segments,
    dropout_keys: Words,
    first_head: Int[Array, "1"],
    gradient: States,
) -> tuple[States, States, States, Diagonals]:
    """Gradients of query, key, value and the bias vectors, from that of the result."""
    run = partial(_run, partial(_backward_kernel, plan), "attention_backward", products=5)
    scratch = [(plan.bias_rows, BLOCK)] * 2 + [query.shape[2:]] * 2
    arguments = (diagonals, segments, query, key, value, gradient)
    return tuple(run(plan, (first_head, dropout_keys), arguments, (query, key, value, diagonals), scratch))


def _run(
    kernel: Any,
    name: str,
    plan: KernelPlan,
    scalars: tuple[Array, ...],
    arguments: tuple[Array, ...],
    results: tuple[Array, ...],
    scratch: list[tuple[int, ...]],
    *,
    products: int,
) -> Any:
    """A kernel over all heads and rows.

    Args:
        kernel: what a program computes.
        name: in the compiled program, and in profiles.
        plan: of the call.
        scalars: what a program reads number by number.
        arguments: bias vectors, segments, and states.
        results: arrays like the results, the first of them states.
        scratch: float32 arrays that stay on the chip from a head's first row to its last.
        products: matrix products of len * len * head_dim for a row and head.
    """
    rows, heads, head_dim, length = results[0].shape
    states = pl.BlockSpec((plan.program_rows, None, head_dim, length), lambda head, rows, *_: (rows, head, 0, 0))
    diagonals = pl.BlockSpec((None, 1, 2 * length), lambda head, rows, *_: (head, 0, 0))
    segments = pl.BlockSpec((plan.program_rows, 1, length), lambda head, rows, *_: (rows, 0, 0))
    pairs = rows * heads * length * length
    return pl.pallas_call(
        kernel,
        out_shape=[jax.ShapeDtypeStruct(x.shape, x.dtype) for x in results],
        grid_spec=pltpu.PrefetchScalarGridSpec(
            num_scalar_prefetch=2,
            grid=(heads, rows // plan.program_rows),
            in_specs=[diagonals, segments, *[states] * (len(arguments) - 2)],
            out_specs=[states if x.ndim == 4 else diagonals for x in results],
            scratch_shapes=[pltpu.VMEM(shape, jnp.float32) for shape in scratch],
        ),
        # rows one after the other: the bias is spread at the first, its gradient summed up to the last
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel", "arbitrary")),
        # what XLA, and whoever reads the compiled program, is told of a kernel that it cannot look into
        cost_estimate=pl.CostEstimate(
            flops=2 * products * pairs * head_dim,
            transcendentals=pairs,
            bytes_accessed=sum(x.size * x.dtype.itemsize for x in (*arguments, *results)),
        ),
        interpret=plan.interpret,
        name=name,
    )(*scalars, *arguments)


def _forward_kernel(
    plan: KernelPlan,
    first_head: Any,
    dropout_keys: Any,
    diagonals: Any,
    segments: Any,
    query: Any,
    key: Any,
    value: Any,
    out: Any,
    bias: Any,
) -> None:
    head, program = first_head[0] + pl.program_id(0), pl.program_id(1)

    @pl.when(program == 0)
    def _() -> None:
        spread(diagonals, bias, plan)

    @pl.loop(0, plan.program_rows)
    def _(row: jax.Array) -> None:
        keys, values, own_segments = jnp.transpose(key[row]), value[row], key_segments(segments[row])

        @pl.loop(0, plan.blocks)
        def _(block: jax.Array) -> None:
            lanes = block_of(block)
            mask = mask_of(own_segments, segments[row, :, lanes], plan)
            products = products_of(keys, query[row, :, lanes], plan)
            weights, total = softmax_parts(products, bias[window_of(block, plan), :], mask)
            if plan.dropout:
                keep = keep_mask(dropout_keys, program * plan.program_rows + row, head, block, plan)
                weights, total = jnp.where(keep, weights, 0.0), total * (1.0 - plan.dropout)
            mixed = matmul(values, weights.astype(values.dtype), plan)
            out[row, :, lanes] = (mixed / total).astype(out.dtype)


def _backward_kernel(
    plan: KernelPlan,
    first_head: Any,
    dropout_keys: Any,
    diagonals: Any,
    segments: Any,
    query: Any,
    key: Any,
    value: Any,
    gradient: Any,
    d_query: Any,
    d_key: Any,
    d_value: Any,
    d_diagonals: Any,
    bias: Any,
    d_bias: Any,
    key_sums: Any,
    value_sums: Any,
) -> None:
    head, program = first_head[0] + pl.program_id(0), pl.program_id(1)

    @pl.when(program == 0)
    def _() -> None:
        spread(diagonals, bias, plan)
        d_bias[...] = jnp.zeros_like(d_bias)

    @pl.loop(0, plan.program_rows)
    def _(row: jax.Array) -> None:
        keys, values = jnp.transpose(key[row]), jnp.transpose(value[row])
        own_segments = key_segments(segments[row])
        key_sums[...] = jnp.zeros_like(key_sums)
        value_sums[...] = jnp.zeros_like(value_sums)

        @pl.loop(0, plan.blocks)
        def _(block: jax.Array) -> None:
            lanes, window = block_of(block), window_of(block, plan)
            queries, gradients = query[row, :, lanes], gradient[row, :, lanes]
            mask = mask_of(own_segments, segments[row, :, lanes], plan)
            products = products_of(keys, queries, plan)
            weights, total = softmax_parts(products, bias[window, :], mask)
            weights = weights / total
            d_weights, kept = matmul(values, gradients, plan), weights
            if plan.dropout:
                keep = keep_mask(dropout_keys, program * plan.program_rows + row, head, block, plan)
                scale = 1.0 / (1.0 - plan.dropout)
                d_weights, kept = jnp.where(keep, d_weights * scale, 0.0), jnp.where(keep, weights * scale, 0.0)
            d_scores = weights * (d_weights - (weights * d_weights).sum(axis=0, keepdims=True))
            d_bias[window, :] += d_scores
            if plan.softcap:
                d_scores = d_scores * slope_of(products, plan)
            d_scores = d_scores.astype(keys.dtype)
            d_query[row, :, lanes] = matmul(key[row], d_scores, plan).astype(d_query.dtype)
            key_sums[...] += matmul_transposed(queries, d_scores, plan)
            value_sums[...] += matmul_transposed(gradients, kept.astype(values.dtype), plan)

        d_key[row] = key_sums[...].astype(d_key.dtype)
        d_value[row] = value_sums[...].astype(d_value.dtype)

    @pl.when(program == pl.num_programs(1) - 1)
    def _() -> None:
        gather(d_bias, d_diagonals, plan)
