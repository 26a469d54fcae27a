"""CoSENT against a PyTorch transcription in float64, and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instructor_jax.losses.cosent import ranking_loss
from instructor_jax.losses.records import Pairs
from instructor_jax.numerics import normalize


def scored_pairs(query: jax.Array, positive: jax.Array, task: np.ndarray, valid: np.ndarray) -> Pairs:
    groups, n = valid.shape
    ids = jnp.zeros((groups, n, 2), jnp.uint32)
    everywhere = jnp.ones((groups, n), bool)
    temperature = jnp.ones((groups, n))
    return Pairs(
        normalize(query), normalize(positive), None, jnp.asarray(valid), None, temperature, everywhere,
        jnp.asarray(task, jnp.int32), ids, ids, None,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.torch
def test_equals_a_torch_transcription() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    arrays = rng.standard_normal((2, 2, 5, 8))
    score = np.array([[0.0, 0.25, 0.25, 1.0, np.nan], [0.5, 0.1, 0.9, 0.3, 0.7]])
    task = np.array([[0, 0, 0, 0, 0], [0, 0, 1, 1, 1]])
    valid = np.array([[True] * 5, [True, True, True, True, False]])

    q, p = (torch.tensor(x.reshape(-1, 8), requires_grad=True) for x in arrays)
    cosine = 20 * torch.nn.functional.cosine_similarity(q, p)
    expected = torch.zeros(10, dtype=torch.float64)
    for number in (0, 1):
        rows = [i for i in range(10) if valid.flat[i] and task.flat[i] == number and score.flat[i] == score.flat[i]]
        terms = [cosine[j] - cosine[i] for i in rows for j in rows if score.flat[i] > score.flat[j]]
        expected[rows] = torch.log(1 + torch.exp(torch.stack(terms)).sum())
    expected.sum().backward()

    with jax.enable_x64(True):

        def loss(q: jax.Array, p: jax.Array) -> tuple[jax.Array, jax.Array]:
            rows = ranking_loss(scored_pairs(q, p, task, valid), jnp.asarray(score), rows_at_a_time=3).loss
            return rows.sum(), rows

        run = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
        (_, rows), gradients = run(*(jnp.asarray(x) for x in arrays))
    # float64 rounding, exponents up to 40
    np.testing.assert_allclose(rows.reshape(-1), expected.detach(), rtol=1e-9)
    for ours, theirs in zip(gradients, (q, p), strict=True):
        np.testing.assert_allclose(ours.reshape(-1, 8), theirs.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_only_the_order_of_the_cosines_matters() -> None:
    """Three pairs whose cosines rise with their scores cost little, and much in the opposite order."""
    angles = jnp.asarray([[0.1, 0.7, 1.3]])
    query = jnp.stack([jnp.ones((1, 3)), jnp.zeros((1, 3))], -1)
    positive = jnp.stack([jnp.cos(angles), jnp.sin(angles)], -1)
    pairs = scored_pairs(query, positive, np.zeros((1, 3)), np.ones((1, 3), bool))
    assert ranking_loss(pairs, jnp.asarray([[0.9, 0.5, 0.2]])).loss.max() < 0.05
    assert ranking_loss(pairs, jnp.asarray([[0.2, 0.5, 0.9]])).loss.min() > 10
    assert ranking_loss(pairs, jnp.asarray([[0.5, 0.5, 0.5]])).loss.tolist() == [[0.0, 0.0, 0.0]]
