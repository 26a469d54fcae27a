import numpy as np

from instructor_jax.train.data.example_index import ExampleIndex

# text:                     0   1   2   3   4   5   6
LENGTHS = np.array([10, 20, 3, 5, 7, 9, 2], np.int32)
# row 0: no negatives; row 1: texts 3, 4, 5; row 2: text 6
ROWS = ExampleIndex(LENGTHS, np.array([0, 1, 0]), np.array([1, 2, 2]), np.array([3, 4, 5, 6]), np.array([0, 3, 4]))


def test_rows_with_fewer_negatives_are_filled_up():
    assert ROWS.of(np.array([2, 0, 1]), np.zeros(3, np.int64), 2).tolist() == [
        [0, 2, 6, -1],
        [0, 1, -1, -1],
        [1, 2, 3, 4],
    ]


def test_other_negatives_in_other_passes():
    negatives = ROWS.of(np.array([1, 1, 1, 1]), np.arange(4), 2)[:, 2:]
    assert negatives.tolist() == [[3, 4], [5, 3], [4, 5], [3, 4]]
    assert ROWS.of(np.array([2, 2]), np.array([0, 5]), 1)[:, 2].tolist() == [6, 6]


def test_no_negatives_at_all():
    assert ROWS.of(np.array([1]), np.array([3]), 0).tolist() == [[1, 2]]
    none = ExampleIndex(LENGTHS, np.array([0]), np.array([1]), np.array([], np.int64), np.array([0]))
    assert none.of(np.array([0]), np.array([0]), 1).tolist() == [[0, 1, -1]]
    assert none.costs(1).tolist() == [30]


def test_costs_are_the_mean_over_passes_rounded_up():
    # row 1: 20 + 3 + k times (5 + 7 + 9) / 3
    assert ROWS.costs(0).tolist() == [30, 23, 13]
    assert ROWS.costs(1).tolist() == [30, 30, 15]
    assert ROWS.costs(2).tolist() == [30, 37, 15]
    assert ROWS.costs(9).tolist() == [30, 44, 15]
    assert ROWS.costs(1, least=8).tolist() == [30, 20 + 8 + 9, 10 + 8 + 8]  # 8, 8 and 9: 8.33, rounded up
    assert ROWS.costs(1, 1, np.array([2, 1])).tolist() == [15, 30]
