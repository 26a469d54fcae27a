"""The order is a permutation that must never change: splits and subsamples are part of what a score means."""

import hypothesis.strategies as st
from hypothesis import given

from instructor_jax.evaluation.drawn_order import drawn_order


@given(st.integers(0, 300), st.integers())
def test_every_number_comes_once(count, seed):
    assert sorted(drawn_order(count, seed)) == list(range(count))


def test_the_order_is_the_one_that_scores_were_made_with():
    assert drawn_order(8, 42) == [6, 2, 1, 0, 3, 7, 4, 5]


def test_seeds_and_counts_give_unrelated_orders():
    assert drawn_order(50, 1) != drawn_order(50, 2)
    assert [number for number in drawn_order(51, 1) if number < 50] != drawn_order(50, 1)


def test_no_place_is_favoured():
    """Over 400 seeds, each of 10 rows comes first about 40 times; five standard deviations (of 6) are allowed."""
    first = [drawn_order(10, seed)[0] for seed in range(400)]
    assert all(abs(first.count(row) - 40) <= 30 for row in range(10))
