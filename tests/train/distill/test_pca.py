import numpy as np
import pytest

from instructor_jax.train.distill.pca import principal_axes


def test_axes_are_those_of_the_singular_value_decomposition() -> None:
    random = np.random.default_rng(0)
    vectors = (
        random.standard_normal((200, 6)) @ np.diag([5.0, 3.0, 2.0, 1.0, 0.5, 0.1]) @ random.standard_normal((6, 6))
    )
    axes = principal_axes(vectors, 3)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)
    _, _, expected = np.linalg.svd(vectors, full_matrices=False)
    np.testing.assert_allclose(np.abs(np.sum(axes * expected[:3].T, axis=0)), 1, atol=1e-5)
    assert (axes[np.abs(axes).argmax(axis=0), range(3)] > 0).all()


def test_weights_count_rows_so_often() -> None:
    vectors = np.random.default_rng(1).standard_normal((5, 3))
    repeated = np.repeat(vectors, [1, 2, 3, 0, 1], axis=0)
    weighted = principal_axes(vectors, 3, np.array([1.0, 2.0, 3.0, 0.0, 1.0]))
    np.testing.assert_allclose(weighted, principal_axes(repeated, 3), atol=1e-5)


def test_more_axes_than_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="count=4 principal axes must be 1 to 3"):
        principal_axes(np.ones((5, 3)), 4)
