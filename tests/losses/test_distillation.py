import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from instructor_jax.losses.distillation import cosines, similarity_loss, vector_loss
from instructor_jax.sharding import MeshShape, make_mesh, named_sharding


def unit(seed: int, *shape: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def by_hand(student: np.ndarray, teacher: np.ndarray, real: np.ndarray, temperature: float) -> np.ndarray:
    """The definition, text by text, over the real texts alone."""
    loss = np.zeros(real.shape)
    for group, texts in enumerate(real):
        for text in np.flatnonzero(texts):
            others = [other for other in np.flatnonzero(texts) if other != text]
            if others:
                theirs, ours = (
                    log_softmax(x[group, others].astype(np.float64) @ x[group, text] / temperature)
                    for x in (teacher, student)
                )
                loss[group, text] = np.sum(np.exp(theirs) * (theirs - ours))
    return loss


def test_a_vector_costs_what_its_cosine_lacks() -> None:
    student, teacher = jnp.array([[[1.0, 0.0], [0.6, 0.8]]]), jnp.array([[[1.0, 0.0], [1.0, 0.0]]])
    cosine = cosines(student, teacher)
    np.testing.assert_allclose(cosine, [[1.0, 0.6]], rtol=1e-6)
    np.testing.assert_allclose(vector_loss(cosine, 0.1), [[0.0, 4.0]], atol=1e-5)


def test_neighbourhoods_are_compared_as_defined() -> None:
    student, teacher = unit(0, 3, 6, 4), unit(1, 3, 6, 9)  # sizes may differ
    real = np.ones((3, 6), bool)
    real[1, 4:] = False
    real[2, 1:] = False  # one text alone has no neighbours
    loss = similarity_loss(jnp.asarray(student), jnp.asarray(teacher), jnp.asarray(real), 0.2)
    # float32 of scores up to 5
    np.testing.assert_allclose(loss, by_hand(student, teacher, real, 0.2), atol=3e-6)
    assert (np.asarray(loss)[~real] == 0).all()
    assert loss[2, 0] == 0


@pytest.mark.slow
def test_a_student_that_agrees_has_no_loss_and_no_gradient() -> None:
    teacher, real = jnp.asarray(unit(2, 2, 5, 8)), jnp.ones((2, 5), bool).at[1, 3:].set(False)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((8, 8)))[0].astype(np.float32)
    student = teacher @ rotation  # the same similarities

    def total(student: jax.Array) -> jax.Array:
        return similarity_loss(student, teacher, real, 0.05).sum()

    loss, gradient = jax.value_and_grad(total)(student)
    assert abs(loss) < 1e-5  # rounding of scores up to 20
    assert np.abs(gradient).max() < 1e-4
    other = jax.grad(total)(jnp.asarray(unit(3, 2, 5, 8)))
    assert np.abs(other).max() > 0.1
    assert np.isfinite(other).all()


@pytest.mark.parametrize("shape", [MeshShape(8), MeshShape(2, 2, 2)])
def test_split_over_devices_it_is_the_same(shape: MeshShape) -> None:
    student, teacher = jnp.asarray(unit(4, 8, 6, 4)), jnp.asarray(unit(5, 8, 6, 4))
    real = jnp.ones((8, 6), bool).at[3, 2:].set(False)

    def total(student: jax.Array, teacher: jax.Array, real: jax.Array) -> jax.Array:
        return similarity_loss(student, teacher, real, 0.1).sum()

    whole = jax.jit(jax.value_and_grad(total))(student, teacher, real)
    mesh = make_mesh(shape)
    with jax.set_mesh(mesh):
        placed = [jax.device_put(x, named_sharding(mesh, "batch")) for x in (student, teacher, real)]
        split = jax.jit(jax.value_and_grad(total))(*placed)
    for mine, expected in zip(split, whole, strict=True):
        np.testing.assert_allclose(mine, expected, atol=1e-5)  # sums in another order
