import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from instructor_jax.train.data.permutation import key_of, keyed_order

WRAP = 2**64


def splitmix64(state: int) -> int:
    """One output of the published generator, with Python's integers."""
    mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % WRAP
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % WRAP
    return mixed ^ (mixed >> 31)


@given(st.integers(0, WRAP - 1), st.integers(0, 60))
def test_sorts_positions_by_their_splitmix64(key, size):
    hashes = [splitmix64((key + (i + 1) * 0x9E3779B97F4A7C15) % WRAP) for i in range(size)]
    assert keyed_order(key, size).tolist() == sorted(range(size), key=hashes.__getitem__)


def test_published_output_of_splitmix64():
    assert splitmix64(0x9E3779B97F4A7C15) == 0xE220A8397B1DCDAF  # the generator's first number from seed 0


def test_keys_tell_parts_and_types_apart():
    keys = [key_of(*parts) for parts in ((1, 2), (12,), ("1", 2), ("1", "2"), ("12",), (2, 1), ())]
    assert len(set(keys)) == len(keys)
    assert all(0 <= key < WRAP for key in keys)


def test_orders_of_different_keys_are_unrelated():
    # positions of one order in another: a random permutation of 4000 has a correlation of about 1 / sqrt(4000) = 0.016
    first, second = keyed_order(key_of("task", 1), 4000), keyed_order(key_of("task", 2), 4000)
    assert abs(np.corrcoef(np.argsort(first), np.argsort(second))[0, 1]) < 0.07
