"""Every vector survives being written as JSON."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from instructor_jax.commands.encode.vector_files import json_arrays


def bits_after_json(vectors: np.ndarray) -> np.ndarray:
    parsed = [json.loads(row) for row in json_arrays(vectors)]
    return np.array(parsed, dtype=np.float64).astype(np.float32).view(np.uint32)


@given(hnp.arrays(np.float32, (2, 5), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_finite_numbers_keep_their_bits(vectors):
    np.testing.assert_array_equal(bits_after_json(vectors), vectors.view(np.uint32))


def test_random_bit_patterns_and_powers_of_ten_keep_their_bits():
    bits = np.random.default_rng(0).integers(0, 1 << 32, 300_000, dtype=np.uint64).astype(np.uint32)
    tens = np.array([f"{sign}1e{k}" for sign in ("", "-") for k in range(-45, 39)], dtype=np.float32)
    near = np.concatenate([tens, np.nextafter(tens, np.float32(0)), np.nextafter(tens, np.float32(np.inf))])
    numbers = np.concatenate([near, bits.view(np.float32)])
    numbers = numbers[np.isfinite(numbers)]
    vectors = numbers[: len(numbers) // 10 * 10].reshape(-1, 10)
    np.testing.assert_array_equal(bits_after_json(vectors), vectors.view(np.uint32))


def test_by_hand():
    row = np.array([[0.0, -0.0, 1.0, -0.25, 0.1, 3.4028235e38, 1e-45]], dtype=np.float32)
    assert list(json_arrays(row)) == [b"[0.0,-0.0,1.0,-0.25,0.1,3.4028235e+38,1e-45]"]
    assert list(json_arrays(np.array([[1, -128]], np.int8))) == [b"[1,-128]"]
    assert list(json_arrays(np.array([[0, 255]], np.uint8))) == [b"[0,255]"]


def test_columns_of_a_larger_array_are_copied_first():
    whole = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert [json.loads(row) for row in json_arrays(whole[:, 1:3])] == whole[:, 1:3].tolist()
    assert [json.loads(row) for row in json_arrays(np.asfortranarray(whole))] == whole.tolist()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_json_lacks_are_refused_with_their_vector(bad):
    vectors = np.ones((3, 2), dtype=np.float32)
    vectors[1, 1] = bad
    with pytest.raises(ValueError, match="vector 1 is not finite"):
        list(json_arrays(vectors))
