"""The parts of a layer by formula, and feed-forward layers of every kind in both layouts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from instructor_jax.nn.layers import FeedForward, FeedForwardShape, LayerNorm, RMSNorm, SlicedFeedForward
from instructor_jax.nn.layout import Layout, stacked_params, unstacked_params


def params_of(module: nnx.Module) -> dict:
    return nnx.to_pure_dict(nnx.state(module))


def merged(module: nnx.Module, params: dict) -> nnx.Module:
    return nnx.merge(nnx.split(module)[0], nnx.State(jax.tree.map(jnp.asarray, params)))


def test_norms_by_formula() -> None:
    x = jnp.asarray([[1.0, 2.0, 3.0, 6.0]])
    with nnx.use_eager_sharding(False):
        layer, root, offset = LayerNorm(4, 0.0), RMSNorm(4, 0.0), RMSNorm(4, 0.0, offset=1.0)
    np.testing.assert_allclose(layer(x, jnp.float32), (x - 3.0) / np.sqrt(3.5), rtol=1e-6)
    np.testing.assert_allclose(root(x, jnp.float32), x / np.sqrt(12.5), rtol=1e-6)
    np.testing.assert_array_equal(root(x, jnp.float32), offset(x, jnp.float32))  # stored as differences from 1
    assert float(params_of(offset)["scale"].max()) == 0.0


@pytest.mark.parametrize(
    ("gated", "bias", "joined"), [(False, True, False), (True, False, False), (True, False, True), (True, True, True)]
)
def test_slices_of_a_feed_forward_layer_add_up_to_it(gated: bool, bias: bool, joined: bool) -> None:
    shape = FeedForwardShape(4, 12, "gelu", gated=gated, dropout=0.0, bias=bias, joined=joined)
    with nnx.use_eager_sharding(False):
        whole, sliced = FeedForward(shape, nnx.Rngs(0)), SlicedFeedForward(shape, nnx.Rngs(1), 3)
    random = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: random.standard_normal(leaf.shape).astype(np.float32), params_of(whole))
    stacked = {"layers": {"mlp": jax.tree.map(lambda leaf: leaf[None], params)}}
    layout = Layout(stacked=False, mlp_slices=3)
    apart = unstacked_params(stacked, layout)
    back = stacked_params(apart, layout)
    for one, other in zip(jax.tree.leaves(stacked), jax.tree.leaves(back), strict=True):
        assert one.tobytes() == other.tobytes()
    x = random.standard_normal((1, 2, 3, 4)).astype(np.float32)
    expected = merged(whole, params)(jnp.asarray(x), jnp.float32)
    found = merged(sliced, apart["layers"][0]["mlp"])(jnp.asarray(x), jnp.float32)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)  # float32 sums in another order
