"""Small vectors against sentence-transformers' formulas where those hold, and by hand where they do not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructor_jax.inference.quantization import quantize, ranges_of, truncate, unit_length


def unit_vectors(count: int, dim: int = 48, seed: int = 0) -> np.ndarray:
    return unit_length(np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32))


@pytest.mark.torch
@pytest.mark.parametrize("precision", ["int8", "uint8", "binary", "ubinary"])
def test_the_bytes_of_sentence_transformers(precision) -> None:
    pytest.importorskip("torch")
    from sentence_transformers.util.quantization import quantize_embeddings

    calibration, vectors = unit_vectors(400), unit_vectors(100, seed=1)
    ranges = ranges_of(calibration)
    vectors = np.clip(vectors, *ranges)  # outside the ranges its integers wrap around
    ours = quantize(vectors, precision, ranges)
    theirs = np.asarray(quantize_embeddings(vectors, precision=precision, ranges=ranges))
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def test_levels_by_hand() -> None:
    ranges = np.array([[0.0, -2.0], [255 / 64, 127 / 64]], np.float32)  # steps of 1 / 64
    vectors = np.array([[0, -2], [255 / 64, 127 / 64], [100.5 / 64, 0], [9, -9]], np.float32)
    levels = np.array([[0, 0], [255, 255], [100, 128], [255, 0]])  # rounded down; the last row is outside and clipped
    np.testing.assert_array_equal(quantize(vectors, "uint8", ranges), levels)
    np.testing.assert_array_equal(quantize(vectors, "int8", ranges), levels - 128)


def test_bits_by_hand() -> None:
    vectors = np.array([[1, -1, 1, -1, 0, 2, -3, 4]], np.float32)  # zero is no set bit
    np.testing.assert_array_equal(quantize(vectors, "ubinary", None), [[0b10100101]])
    np.testing.assert_array_equal(quantize(vectors, "binary", None), [[0b10100101 - 128]])
    with pytest.raises(ValueError, match="packs 8 dimensions into a byte; 7 do not fit"):
        quantize(vectors[:, :7], "binary", None)


@settings(deadline=None, max_examples=30)
@given(row=st.integers(0, 99), precision=st.sampled_from(["int8", "uint8", "binary", "ubinary"]))
def test_bytes_do_not_depend_on_company(row: int, precision) -> None:
    vectors, ranges = unit_vectors(100), ranges_of(unit_vectors(200, seed=2))
    alone = quantize(vectors[row : row + 1], precision, ranges)[0]
    np.testing.assert_array_equal(alone, quantize(vectors, precision, ranges)[row])


def test_a_dimension_without_range_does_not_divide_by_zero() -> None:
    ranges = np.array([[0.5], [0.5]], np.float32)
    with np.errstate(all="raise", under="ignore"):
        levels = quantize(np.array([[0.5], [0.4], [0.6]], np.float32), "uint8", ranges)
    assert levels.tolist() == [[0], [0], [0]]


def test_ranges_are_required_and_come_from_enough_vectors() -> None:
    with pytest.raises(ValueError, match=r"needs the model's ranges for 48 dimensions: call calibrate_int8"):
        quantize(unit_vectors(3), "int8", None)
    with pytest.raises(ValueError, match="99 vectors are too few"):
        ranges_of(unit_vectors(99))
    ranges = ranges_of(unit_vectors(100))
    assert ranges.shape == (2, 48)
    np.testing.assert_array_equal(ranges[1], unit_vectors(100).max(axis=0))


@pytest.mark.usefixtures("unchecked")
def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision='float64' must be one of float32, float16, int8"):
        quantize(unit_vectors(1), "float64", None)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("dim", [1, 7, 48])
def test_truncated_vectors_have_unit_length(dim: int) -> None:
    vectors = unit_vectors(20)
    short = truncate(vectors, dim)
    assert short.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(short, axis=1), 1, rtol=0, atol=1e-6)  # float32 rounding of a root
    direction = vectors[:, :dim] / np.linalg.norm(vectors[:, :dim], axis=1, keepdims=True)
    np.testing.assert_allclose(short, direction, rtol=0, atol=1e-6)


def test_truncation_stays_within_the_dimensions() -> None:
    vectors = unit_vectors(2)
    assert truncate(vectors, None) is vectors
    for dim in (0, -1, 49):
        with pytest.raises(ValueError, match=rf"truncate_dim={dim} must be between 1 and the model's 48"):
            truncate(vectors, dim)


def test_a_zero_vector_stays_zero() -> None:
    np.testing.assert_array_equal(unit_length(np.zeros((2, 3), np.float32)), np.zeros((2, 3)))


def test_float16_keeps_eleven_bits_and_refuses_what_it_cannot_hold() -> None:
    vectors = unit_vectors(50)
    half = quantize(vectors, "float16", None)
    assert half.dtype == np.float16
    # half a unit in the last of 11 bits; below 2**-14 numbers are subnormal, with steps of 2**-24
    assert np.all(np.abs(half.astype(np.float32) - vectors) <= np.maximum(np.abs(vectors) * 2.0**-11, 2.0**-25))
    with pytest.raises(ValueError, match="holds numbers up to 65,504; a vector has 100000"):
        quantize(vectors[:1] * 0 + np.float32(1e5), "float16", None)
