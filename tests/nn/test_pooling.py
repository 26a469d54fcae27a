"""Pooling by hand: rows of several texts, instructions left out or not."""

import jax.numpy as jnp
import numpy as np
import pytest

from instructor_jax.config import PoolingKind
from instructor_jax.nn.pooling import pool_texts

#                     text 0 | text 1      | text 2 | padding
SEGMENTS = np.array([[[0, 0, 1, 1, 1, 1, 2, -1]]], np.int32)
#                     instruction of one token, of two, of none
POOLED = np.array([[[0, 1, 0, 0, 1, 1, 1, 0]]], bool)
STATES = np.arange(8, dtype=np.float32)[None, None, :, None]


@pytest.mark.parametrize(
    ("kind", "expected"), [("mean", [1.0, 4.5, 6.0, 0.0]), ("cls", [1, 4, 6, 0]), ("lasttoken", [1, 5, 6, 0])]
)
def test_only_tokens_of_the_text_count(kind: PoolingKind, expected: list[float]) -> None:
    vectors = pool_texts(jnp.asarray(STATES), jnp.asarray(SEGMENTS), jnp.asarray(POOLED), 4, kind)
    np.testing.assert_array_equal(np.asarray(vectors)[0, :, 0], expected)


@pytest.mark.parametrize(("kind", "expected"), [("cls", [0, 2, 6]), ("lasttoken", [1, 5, 6])])
def test_ends_of_neighbouring_texts_are_told_apart(kind: PoolingKind, expected: list[float]) -> None:
    pooled = SEGMENTS >= 0
    vectors = pool_texts(jnp.asarray(STATES), jnp.asarray(SEGMENTS), jnp.asarray(pooled), 3, kind)
    np.testing.assert_array_equal(np.asarray(vectors)[0, :, 0], expected)
