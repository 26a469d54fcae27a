import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructor_jax.train.medi.mining.neighbours import Rules, _check, _merge_tile, nearest, unit_rows

# Scores of both sides are float32 sums of at most 24 products of numbers up to 3: 24 * 9 * 2^-24 = 1.3e-5.
TOLERANCE = 2e-5


def brute_force(queries, documents, k, allowed):
    """Scores of the k best allowed documents in float64, padded with -inf."""
    scores = np.where(allowed, queries.astype(np.float64) @ documents.astype(np.float64).T, -np.inf)
    best = -np.sort(-scores, axis=1)[:, :k]
    return np.pad(best, ((0, 0), (0, k - best.shape[1])), constant_values=-np.inf)


def test_by_hand():
    documents = np.array([[1, 0], [0, 1], [-1, 0], [1, 0]], np.float32)
    found = nearest(np.array([[1, 0.5]], np.float32), documents, 5)
    assert found.indices.tolist() == [[0, 3, 1, 2, -1]]  # equal scores: the lower index first; the fifth does not exist
    assert found.scores.tolist() == [[1, 1, 0.5, -1, -np.inf]]


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_equals_brute_force_under_every_restriction(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    count, total = data.draw(st.integers(1, 700)), data.draw(st.integers(1, 700))
    k = data.draw(st.sampled_from([1, 3, 9]))
    queries, documents = rng.normal(size=(count, 8)).astype(np.float32), rng.normal(size=(total, 8)).astype(np.float32)
    classes = rng.integers(0, 3, count), rng.integers(0, 3, total)
    texts = rng.integers(0, 50, count), rng.integers(0, 50, total)
    forbidden = np.stack([rng.integers(0, count, 60), rng.integers(0, total, 60)], axis=1)
    ceiling = rng.normal(size=count).astype(np.float32) * 3
    split = data.draw(st.sampled_from([1, 5, 8]))
    floor = rng.normal(size=count).astype(np.float32)
    rules = {
        "equal": [classes],
        "unequal": [texts],
        "forbidden": forbidden,
        "ceiling": ceiling,
        "floor": (split, floor),
    }
    found = nearest(queries, documents, k, Rules(**rules), (256, 256))
    allowed = (classes[0][:, None] == classes[1]) & (texts[0][:, None] != texts[1])
    allowed[forbidden[:, 0], forbidden[:, 1]] = False
    allowed &= queries @ documents.T <= ceiling[:, None]
    allowed &= queries[:, :split] @ documents[:, :split].T >= floor[:, None]
    expected = brute_force(queries, documents, k, allowed)
    np.testing.assert_allclose(found.scores, expected, atol=TOLERANCE)
    assert ((found.indices == -1) == np.isneginf(expected)).all()
    row, place = np.nonzero(found.indices >= 0)
    assert allowed[row, found.indices[row, place]].all()
    np.testing.assert_allclose(
        (queries[row] * documents[found.indices[row, place]]).sum(axis=1), expected[row, place], atol=TOLERANCE
    )


def test_ties_are_ordered_by_document_across_tiles():
    documents = np.ones((3000, 4), np.float32)
    documents[1700] = 2
    found = nearest(np.ones((2, 4), np.float32), documents, 5, blocks=(2048, 1024))
    assert found.indices.tolist() == [[1700, 0, 1, 2, 3]] * 2


def test_result_does_not_depend_on_block_sizes():
    rng = np.random.default_rng(0)
    vectors = unit_rows(rng.integers(-2, 3, size=(1500, 6)).astype(np.float32))  # few distinct vectors: many ties
    self_excluded = [(np.arange(1500), np.arange(1500))]
    one = nearest(vectors, vectors, 4, Rules(unequal=self_excluded))
    many = nearest(vectors, vectors, 4, Rules(unequal=self_excluded), (256, 512))
    np.testing.assert_array_equal(one.indices, many.indices)
    np.testing.assert_array_equal(one.scores, many.scores)


def test_tiles_of_many_inputs_compile_a_handful_of_shapes():
    before = _merge_tile._cache_size()
    for count in (300, 310, 400, 512):
        vectors = np.random.default_rng(count).normal(size=(count, 5)).astype(np.float32)
        nearest(vectors, vectors, 2)
    assert _merge_tile._cache_size() == before + 1


def test_empty_sides():
    nothing, some = np.zeros((0, 3), np.float32), np.ones((2, 3), np.float32)
    assert nearest(nothing, some, 2).indices.shape == (0, 2)
    assert nearest(some, nothing, 2).indices.tolist() == [[-1, -1], [-1, -1]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k=0 must be at least 1"),
        ({"documents": np.ones((4, 5), np.float32)}, "3 dimensions and documents 5"),
        ({"unequal": [(np.arange(3), np.arange(4))]}, "must have the vectors'"),
        ({"ceiling": np.ones(3, np.float32)}, "ceiling has 3 rows"),
        ({"floor": (1, np.ones(3, np.float32))}, "floor has 3 rows"),
        ({"floor": (4, np.ones(2, np.float32))}, "first 4 dimensions, but the vectors have 3"),
        ({"forbidden": np.array([[0, 4]])}, r"reach \[0, 4\]"),
    ],
)
def test_wrong_sizes_are_refused(change, message):
    arguments = {"queries": np.ones((2, 3), np.float32), "documents": np.ones((4, 3), np.float32), "k": 1}
    arguments |= {name: value for name, value in change.items() if name in arguments}
    rules = Rules(**{name: value for name, value in change.items() if name not in arguments})
    with pytest.raises(ValueError, match=message):
        _check(**arguments, rules=rules)  # not `nearest`: under test its array annotations would speak first


def test_unit_rows():
    np.testing.assert_allclose(
        unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)), [[0.6, 0.8], [0, 0]], atol=1e-7
    )
    with pytest.raises(ValueError, match="row 1 of the vectors is not finite"):
        unit_rows(np.array([[1.0], [np.nan]], np.float32))
