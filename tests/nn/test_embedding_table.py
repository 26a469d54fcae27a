"""Rows of the token table and their gradient, on one device and on meshes that hold parts of the table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instructor_jax.nn.embedding_table import look_up
from instructor_jax.sharding import MeshShape, axis_shards, make_mesh, partition_spec

VOCAB, EMBED, GROUPS, ROWS, LENGTH = 64, 16, 8, 2, 12
MESHES = [MeshShape(data=8), MeshShape(fsdp=8), MeshShape(data=2, fsdp=4), MeshShape(data=2, fsdp=2, tensor=2)]


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A table, tokens (some far more frequent than others), and a gradient of the rows."""
    rng = np.random.default_rng(0)
    tokens = np.minimum(rng.geometric(0.1, (GROUPS, ROWS, LENGTH)), VOCAB) - 1
    table, gradient = rng.normal(size=(VOCAB, EMBED)), rng.normal(size=(*tokens.shape, EMBED))
    return table.astype(np.float32), tokens.astype(np.int32), gradient.astype(np.float32)


def summed(tokens: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """The table's gradient in NumPy, float64: each token adds to its own row."""
    total = np.zeros((VOCAB, EMBED))
    np.add.at(total, tokens, gradient)
    return total


def value_and_gradient(table, tokens, gradient, dtype=jnp.float32) -> tuple[jax.Array, jax.Array]:
    rows, pull = jax.vjp(lambda table: look_up(table, tokens, dtype), table)
    return rows, pull(jnp.asarray(gradient, dtype))[0]


def test_one_device(drawn) -> None:
    table, tokens, gradient = drawn
    rows, back = value_and_gradient(*map(jnp.asarray, drawn))
    np.testing.assert_array_equal(rows, table[tokens])
    np.testing.assert_allclose(back, summed(tokens, gradient), atol=1e-5)  # sums of some dozen float32 numbers


@pytest.mark.parametrize("shape", MESHES, ids=str)
def test_parts_of_the_table_sum_to_the_whole(drawn, shape: MeshShape) -> None:
    table, tokens, gradient = drawn
    mesh = make_mesh(shape)
    with jax.set_mesh(mesh):
        placed = jax.device_put(table, jax.NamedSharding(mesh, partition_spec(["vocab", "embed"])))
        split = jax.device_put((tokens, gradient), jax.NamedSharding(mesh, partition_spec(["batch"])))
        rows, back = jax.jit(value_and_gradient)(placed, *split)
        assert back.sharding.spec == partition_spec(["vocab", "embed"])
        parts = axis_shards("vocab") * axis_shards("embed")
        assert {one.data.size for one in back.addressable_shards} == {VOCAB * EMBED // parts}
    np.testing.assert_array_equal(rows, table[tokens])
    np.testing.assert_allclose(back, summed(tokens, gradient), atol=1e-5)


@pytest.mark.slow
def test_bfloat16_rows_add_up_in_the_dtype_of_the_table(drawn) -> None:
    """A bfloat16 sum of ones stops growing at 256; that of the float32 table is exact."""
    table = jnp.zeros((VOCAB, EMBED))
    tokens = jnp.zeros((GROUPS, ROWS, 16), jnp.int32)
    gradient = np.full((*tokens.shape, EMBED), 1 + 2**-7, np.float32)
    with jax.set_mesh(make_mesh(MeshShape(data=8))):
        _, back = value_and_gradient(table, tokens, gradient, jnp.bfloat16)
    np.testing.assert_array_equal(back[0], tokens.size * (1 + 2**-7))
    assert not np.asarray(back[1:]).any()


@pytest.mark.slow
def test_an_id_beyond_the_table_takes_its_last_row(drawn) -> None:
    table, tokens, gradient = drawn
    beyond = tokens.copy()
    beyond[0, 0] = VOCAB + 5
    last = np.minimum(beyond, VOCAB - 1)
    for shape in (MeshShape(), MeshShape(data=4, fsdp=2)):
        devices = jax.devices()[: 8 if shape.fsdp > 1 else 1]
        with jax.set_mesh(make_mesh(shape, devices)):
            rows, back = value_and_gradient(jnp.asarray(table), jnp.asarray(beyond), gradient)
        np.testing.assert_array_equal(rows, table[last])
        np.testing.assert_allclose(back, summed(last, gradient), atol=1e-5)
