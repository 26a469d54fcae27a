"""Attention in blocks of queries: the numbers of whole rows, where rows are long and CPUs encode, and nowhere else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from instructor_jax.nn.compute import Compute
from instructor_jax.nn.einsum_attention import Scores, attend, attend_in_blocks, query_block, text_mask
from instructor_jax.nn.layout import Layout

APART = Compute(layout=Layout(stacked=False))


@pytest.mark.parametrize(("biases", "softcap"), [(0, None), (1, 2.0), (2, None)])
def test_blocks_give_the_numbers_of_whole_rows(biases: int, softcap: float | None) -> None:
    random = np.random.default_rng(0)
    query, key, value = (jnp.asarray(random.normal(size=(1, 2, 2, 12, 4)), jnp.float32) for _ in range(3))
    segments = jnp.asarray([[[0] * 5 + [1] * 4 + [-1] * 3, [0] * 12]])  # two texts and padding; one text
    bias = jnp.asarray(random.normal(size=(biases, 12, 12)), jnp.float32) if biases else None
    mask = text_mask(segments)

    def both(query: jax.Array, key: jax.Array, value: jax.Array) -> tuple[jax.Array, jax.Array]:
        rule = Scores(bias, mask, softcap)
        return attend(query, key, value, rule), attend_in_blocks(query, key, value, rule, 4)

    whole, blocks = jax.jit(both)(query, key, value)
    # sums of the same numbers, in an order that XLA may choose anew
    np.testing.assert_allclose(blocks, whole, rtol=0, atol=1e-6)


def test_blocks_are_for_long_rows_that_cpus_encode_in_float32() -> None:
    assert [query_block(length, APART) for length in (16, 256, 384, 500, 512, 8192)] == [
        None,
        None,
        128,
        None,
        128,
        128,
    ]
    assert query_block(512, Compute()) is None  # the layout of training, and of other devices
    assert query_block(512, Compute("bfloat16", layout=APART.layout)) is None
    (symbol,) = export.symbolic_shape("len")
    assert query_block(symbol, APART) is None
