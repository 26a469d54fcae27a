"""What layers keep for the backward pass, by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.nn.compute import Compute, Remat
from instructor_jax.nn.model import Params, embed, init_params
from instructor_jax.text.batches import TokenBatch

MODEL = ModelConfig(EncoderConfig(vocab=32, embed=8, layers=2, heads=2, head_dim=4, ffn=16), 8, max_length=8)
TEXTS = TokenBatch(
    tokens=(np.arange(8, dtype=np.int32) % 31 + 1).reshape(1, 1, 8),
    segments=np.zeros((1, 1, 8), np.int32),
    pooled=np.ones((1, 1, 8), bool),
    slots=np.zeros((1, 1), np.int32),
    segments_per_row=1,
)


@pytest.mark.slow
def test_what_attention_takes_and_gives_is_kept() -> None:
    """More products in the backward pass than where all is kept, fewer than where nothing is; the same gradients."""
    params = init_params(MODEL, seed=0)
    products, gradients = {}, {}
    remats: tuple[Remat, ...] = ("none", "attention", "full")
    for remat in remats:

        def first(params: Params, remat: Remat = remat) -> jax.Array:
            return embed(MODEL, params, jax.tree.map(jnp.asarray, TEXTS), compute=Compute(remat=remat))[0, 0, 0]

        gradient = jax.grad(first)
        products[remat] = str(jax.make_jaxpr(gradient)(params)).count("dot_general")
        gradients[remat] = jax.jit(gradient, compiler_options={"xla_backend_optimization_level": 0})(params)
    assert products["none"] < products["attention"] < products["full"]
    for remat in ("attention", "full"):
        for ours, expected in zip(*map(jax.tree.leaves, (gradients[remat], gradients["none"])), strict=True):
            assert jnp.abs(expected).max() < 10
            np.testing.assert_allclose(ours, expected, atol=1e-6)  # the same sums, compiled in another order
