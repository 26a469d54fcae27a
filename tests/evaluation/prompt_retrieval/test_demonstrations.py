import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructor_jax.evaluation.prompt_retrieval.demonstrations import centred, choose, cosines, nearest_first
from instructor_jax.evaluation.prompt_retrieval.task import Budget

SIMILAR = np.array([0.1, 0.9, 0.5, 0.7, -0.2], np.float32)  # from the nearest: rows 1, 3, 2, 0, 4


def chosen(costs: list[int], budget: Budget, query: int = 10, **options: bool) -> list[int]:
    return choose(SIMILAR, costs.__getitem__, query, budget, **options)


def test_the_nearest_comes_last() -> None:
    assert chosen([1] * 5, Budget(tokens=1000)) == [4, 0, 2, 3, 1]


def test_the_first_that_does_not_fit_ends_the_choice() -> None:
    # 10 of the query, then 30 (row 1), 30 (row 3): 70; row 2 would make 100, and row 0, which would fit, is not tried.
    assert chosen([5, 30, 30, 30, 5], Budget(tokens=99)) == [3, 1]
    assert chosen([5, 30, 30, 30, 5], Budget(tokens=100)) == [2, 3, 1]  # exactly full is allowed


def test_a_demonstration_that_is_too_long_is_passed_over_and_costs_nothing() -> None:
    assert chosen([10, 251, 10, 10, 10], Budget(tokens=50, each=250)) == [4, 0, 2, 3]


def test_only_the_nearest_so_many_are_looked_at_and_none_is_replaced() -> None:
    assert chosen([1] * 5, Budget(tokens=1000, most=2)) == [3, 1]
    assert chosen([1, 300, 1, 1, 1], Budget(tokens=1000, each=250, most=2)) == [3]


def test_a_query_longer_than_the_budget_gets_none() -> None:
    assert chosen([1] * 5, Budget(tokens=9)) == []


def test_rows_of_cosine_one_are_passed_over_where_asked() -> None:
    similar = np.array([1.0, 0.5], np.float32)
    assert choose(similar, lambda row: 1, 0, Budget(tokens=10)) == [1, 0]
    assert choose(similar, lambda row: 1, 0, Budget(tokens=10), skip_identical=True) == [1]


@given(
    st.lists(st.tuples(st.floats(-1, 1, width=32), st.integers(1, 40)), min_size=1, max_size=20),
    st.integers(0, 120),
    st.integers(0, 120),
)
def test_the_budget_holds_and_similarity_rises(rows: list[tuple[float, int]], query: int, tokens: int) -> None:
    similar = np.array([similarity for similarity, _ in rows], np.float32)
    costs = [cost for _, cost in rows]
    order = choose(similar, costs.__getitem__, query, Budget(tokens=tokens, each=30))
    assert not order or query + sum(costs[row] for row in order) <= tokens
    assert all(costs[row] <= 30 for row in order)
    assert sorted(similar[order].tolist()) == similar[order].tolist()
    assert len(set(order)) == len(order)


def test_of_equals_the_later_row_is_nearer() -> None:
    assert nearest_first(np.array([0.5, 0.7, 0.5], np.float32)) == [1, 2, 0]


def test_cosines_and_centring_against_scipy() -> None:
    distance = pytest.importorskip("scipy.spatial.distance")
    rows = np.random.default_rng(0).normal(size=(6, 5))
    expected = 1 - distance.cdist(rows[:2], rows[2:], "cosine")
    np.testing.assert_allclose(cosines(rows[:2], rows[2:]), expected, atol=1e-12)  # float64 on both sides
    np.testing.assert_allclose(centred(rows).mean(axis=0), np.zeros(5), atol=1e-12)
    np.testing.assert_allclose(centred(rows)[0] - centred(rows)[1], rows[0] - rows[1], atol=1e-12)
