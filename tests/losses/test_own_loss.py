"""A loss of one's own with the library alone: texts, vectors and candidates of all devices, no trainer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instructor_jax import ModelConfig, TokenBatch, embed, losses, pack
from instructor_jax.sharding import make_mesh, named_sharding

QUERIES = [["Represent the question: ", f"what is number {i}"] for i in range(16)]
ANSWERS = [["Represent the answer: ", f"it is the number {i}, of course"] for i in range(16)]
GROUPS = 8


def sigmoid_loss(query: jax.Array, positive: jax.Array) -> jax.Array:
    """SigLIP (Zhai et al. 2023): every query against every positive of all devices as a yes or no, [groups, n]."""
    number = jnp.arange(query[..., 0].size).reshape(query.shape[:2])

    def one_row(row: tuple, columns: tuple) -> jax.Array:
        (vector, own), (others, theirs) = row, columns
        logits = 10.0 * others @ vector - 10.0
        return -jax.nn.log_sigmoid(jnp.where(theirs == own, logits, -logits)).sum()

    return losses.against_all(one_row, (query, number), (positive, number))


def loss(config: ModelConfig, params: dict, queries: TokenBatch, answers: TokenBatch) -> jax.Array:
    return sigmoid_loss(embed(config, params, queries), embed(config, params, answers)).mean()


@pytest.mark.slow
def test_a_loss_of_ones_own_is_the_same_on_one_device_and_on_eight(embedder) -> None:
    batches = [pack(texts, embedder, rows=1, length=64, groups=GROUPS) for texts in (QUERIES, ANSWERS)]
    step = jax.jit(jax.value_and_grad(loss, argnums=1), static_argnums=0)
    alone, gradient = step(embedder.config, embedder.params, *batches)

    vectors = [embedder.encode(texts) for texts in (QUERIES, ANSWERS)]
    logits = 10.0 * vectors[0] @ vectors[1].T - 10.0
    by_hand = np.log1p(np.exp(np.where(np.eye(16, dtype=bool), -logits, logits))).sum(axis=1).mean()
    np.testing.assert_allclose(alone, by_hand, rtol=1e-5)

    mesh = make_mesh()
    with jax.set_mesh(mesh):
        split = [jax.device_put(one, named_sharding(mesh, "batch")) for one in batches]
        copied = jax.device_put(embedder.params, named_sharding(mesh))
        together, sharded_gradient = step(embedder.config, copied, *split)
    np.testing.assert_allclose(together, alone, rtol=1e-6)
    for one, other in zip(jax.tree.leaves(gradient), jax.tree.leaves(sharded_gradient), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * np.abs(one).max() + 1e-9)
