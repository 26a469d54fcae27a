"""Every row of a sharded batch against the columns of all devices, in memory that grows linearly with the batch.

A contrastive loss of N rows looks at N x C scores. They are computed a few rows at a time and again in the backward
pass, so no more than a few rows of scores ever exist. Rows stay on their device; the columns (vectors, ids) are
gathered once, and in the backward pass their gradients are summed over the devices and scattered once: one all-gather
and one reduce-scatter, both outside the loop. Left to itself the compiler would sum them inside it, once per block.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import jax

from instructor_jax.sharding import partition_spec

Rows = TypeVar("Rows")
Columns = TypeVar("Columns")
Result = TypeVar("Result")


def against_all(
    one_row: Callable[[Rows, Columns], Result], rows: Rows, columns: Columns, rows_at_a_time: int = 512
) -> Result:
    """`one_row(row, columns)` for every row of the global batch.

    Args:
        one_row: of one row (arrays without the two leading axes) and all columns (arrays [groups * m, ...]).
        rows: arrays [groups, n, ...], differentiable.
        columns: arrays [groups, m, ...], differentiable.
        rows_at_a_time: how many rows a device computes at once: its memory is this times the number of columns.

    Returns:
        The results of all rows, arrays [groups, n, ...].

    Under `jax.set_mesh` the groups are split over the devices that hold different examples, and must be a multiple of
    their number; without a mesh everything is local.
    """
    local = partial(_local, one_row, rows_at_a_time)
    if jax.sharding.get_abstract_mesh().empty:
        return local(rows, jax.tree.map(_flat, columns))
    spec = partition_spec(["batch"])
    axes = spec[0]

    # Seen from one device: `rows` are its own groups', `columns` too until they are gathered. Along the mesh axes that
    # do not split the batch, every device computes the same.
    def on_one_device(rows: Rows, columns: Columns) -> Result:
        everywhere = jax.tree.map(lambda x: jax.lax.all_gather(_flat(x), axes, tiled=True), columns)
        return local(rows, everywhere)

    names = {axes} if isinstance(axes, str) else set(axes)
    return jax.shard_map(on_one_device, in_specs=spec, out_specs=spec, axis_names=names)(rows, columns)


def _local(one_row: Callable[[Rows, Columns], Result], rows_at_a_time: int, rows: Rows, columns: Columns) -> Result:
    groups, n = jax.tree.leaves(rows)[0].shape[:2]
    # checkpoint: the backward pass keeps a row's inputs, which exist anyway, and computes its scores again
    results = jax.lax.map(
        jax.checkpoint(lambda row: one_row(row, columns)), jax.tree.map(_flat, rows), batch_size=rows_at_a_time
    )
    return jax.tree.map(lambda x: x.reshape(groups, n, *x.shape[1:]), results)


def _flat(x: jax.Array) -> jax.Array:
    return x.reshape(-1, *x.shape[2:])
