"""The nearest rows, against sorting all similarities at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructor_jax.commands.nearest import NearestTexts
from instructor_jax.inference.quantization import unit_length


def search(queries, corpus, k, block):
    found = NearestTexts(queries, k)
    for start in range(0, len(corpus), block):
        rows = range(start, min(start + block, len(corpus)))
        found.add(corpus[start : start + block], start, [f"text {row}" for row in rows])
    return found.hits()


@pytest.mark.slow
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 12), st.integers(1, 25))
def test_same_rows_as_sorting_everything_ties_to_the_earlier_row(seed, rows, k, block):
    rng = np.random.default_rng(seed)
    # Single ones as coordinates: the scores are exact and many of them are equal.
    corpus = np.eye(4, dtype=np.float32)[rng.integers(0, 4, rows)]
    queries = rng.permutation(np.eye(4, dtype=np.float32))[:3]
    scores = queries @ corpus.T
    for query, hits in enumerate(search(queries, corpus, k, block)):
        expected = sorted(range(rows), key=lambda row: (-scores[query, row], row))[:k]
        assert [hit.row for hit in hits] == expected
        assert [hit.score for hit in hits] == [scores[query, row] for row in expected]
        assert [hit.payload for hit in hits] == [f"text {row}" for row in expected]


def test_real_numbers():
    rng = np.random.default_rng(0)
    corpus, queries = (rng.standard_normal((n, 16)).astype(np.float32) for n in (500, 20))
    scores = unit_length(queries) @ unit_length(corpus).T
    for query, hits in enumerate(search(queries, corpus, 7, 64)):
        assert [hit.row for hit in hits] == np.argsort(-scores[query], kind="stable")[:7].tolist()
        # A product of another shape adds up in another order: float32 rounding of numbers up to 1.
        np.testing.assert_allclose([hit.score for hit in hits], np.sort(scores[query])[::-1][:7], atol=1e-6)


def test_payloads_of_forgotten_rows_are_dropped():
    queries = np.ones((1, 1), dtype=np.float32)
    found = NearestTexts(queries, 2)
    angles = np.linspace(1.5, 0.0, 300, dtype=np.float32)  # each row nearer than all before it
    corpus = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = NearestTexts(np.array([[1.0, 0.0]], dtype=np.float32), 2)
    for row, vector in enumerate(corpus):
        found.add(vector[None], row, [row])
        assert len(found._payloads) <= 4
    assert [hit.payload for hit in found.hits()[0]] == [299, 298]


def test_bad_values():
    queries = np.ones((1, 3), dtype=np.float32)
    with pytest.raises(ValueError, match="k=0 must be at least 1"):
        NearestTexts(queries, 0)
    with pytest.raises(ValueError, match="corpus vectors have 2 dimensions, query vectors 3"):
        NearestTexts(queries, 1).add(np.ones((1, 2), dtype=np.float32), 0, ["a"])


def test_zero_vectors_are_unlike_everything():
    assert unit_length(np.zeros((1, 3), dtype=np.float32)).tolist() == [[0.0, 0.0, 0.0]]
