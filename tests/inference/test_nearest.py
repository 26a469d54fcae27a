"""Blockwise search beside a full sort of all scores."""

import numpy as np
import pytest

from instructor_jax.inference.nearest import nearest


def blocks_of(vectors, sizes):
    start = 0
    for size in sizes:
        yield vectors[start : start + size]
        start += size


@pytest.mark.parametrize("sizes", [(700,), (300, 400), (1, 299, 300, 100)])
def test_the_best_are_those_of_a_full_sort_however_the_corpus_is_cut(sizes):
    rng = np.random.default_rng(1)
    queries, documents = rng.normal(size=(530, 8)), rng.normal(size=(700, 8)) * 3
    queries, documents = queries.astype(np.float32), documents.astype(np.float32)
    scores, rows = nearest(queries, blocks_of(documents, sizes), 20)
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (queries, documents)]
    cosines = unit[0].astype(np.float64) @ unit[1].T
    expected = np.argsort(-cosines, axis=1)[:, :20]
    # float32 products of unit vectors: a few units in the last place, 6e-8 each.
    np.testing.assert_allclose(scores, np.take_along_axis(cosines, expected, axis=1), atol=1e-6)
    assert (rows == expected).mean() > 0.999  # near ties may change places


def test_equal_documents_stay_in_their_order_across_blocks():
    documents = np.tile(np.array([[1.0, 0.0]], np.float32), (9, 1))
    _, rows = nearest(np.array([[2.0, 0.0]], np.float32), blocks_of(documents, (4, 5)), 6)
    assert rows.tolist() == [[0, 1, 2, 3, 4, 5]]


def test_fewer_documents_than_asked_for_are_filled_up():
    scores, rows = nearest(np.eye(2, dtype=np.float32), [np.eye(2, dtype=np.float32)], 3)
    assert rows.tolist() == [[0, 1, -1], [1, 0, -1]]
    assert scores[:, 2].tolist() == [-np.inf, -np.inf]


def test_no_queries_and_zero_vectors():
    assert nearest(np.zeros((0, 4), np.float32), [], 2)[0].shape == (0, 2)
    scores, _ = nearest(np.zeros((1, 2), np.float32), [np.eye(2, dtype=np.float32)], 2)
    assert scores.tolist() == [[0.0, 0.0]]
    with pytest.raises(ValueError, match="k=0"):
        nearest(np.eye(2, dtype=np.float32), [], 0)
