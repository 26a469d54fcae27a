"""Vectors that InstructorEmbedding 1.0.1, the code behind the published scores, computed for a tiny model."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from instructor_jax import Instructor

# float32 on both sides, sums in another order; the original itself moves by 3e-7 between batch sizes
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def golden(shared: Path) -> tuple[list[list[str]], np.ndarray]:
    """Pairs with awkward blanks, empty parts, glued instructions and too long texts, and the original's vectors."""
    pairs = json.loads((shared / "fixtures" / "tiny_instructor_golden_inputs.json").read_text(encoding="utf-8"))
    return pairs, np.load(shared / "fixtures" / "tiny_instructor_golden_embeddings.npy")


@pytest.fixture(scope="module")
def model(tiny_instructor: Path) -> Instructor:
    return Instructor.from_pretrained(tiny_instructor, devices=jax.devices()[:1], tokens_per_call=512)


@pytest.mark.slow
def test_all_in_one_call(model: Instructor, golden) -> None:
    pairs, expected = golden
    vectors = model.encode(pairs, on_overflow="truncate")
    assert vectors.dtype == np.float32
    assert vectors.shape == expected.shape
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=TOLERANCE)
    assert np.abs(expected @ expected.T).min() < 0.9  # the vectors differ, so the comparison can fail


def test_one_by_one(model: Instructor, golden) -> None:
    pairs, expected = golden
    for pair, vector in zip(pairs, expected, strict=True):
        np.testing.assert_allclose(model.encode([pair], on_overflow="truncate")[0], vector, rtol=0, atol=TOLERANCE)


def test_triples_of_the_original_are_pairs_with_a_zero(model: Instructor, golden) -> None:
    pairs, expected = golden
    vectors = model.encode([[*pair, 0] for pair in pairs[:6]], on_overflow="truncate")
    np.testing.assert_allclose(vectors, expected[:6], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("on_overflow", ["warn", "error", "mean_of_windows"])
def test_an_instruction_that_leaves_no_room_is_an_error_otherwise(model: Instructor, golden, on_overflow) -> None:
    pairs, _ = golden
    longest = max(pairs, key=lambda pair: len(pair[0]))
    with pytest.raises(ValueError, match=r"has \d+ tokens, the limit .* max_length=512.*on_overflow='truncate'"):
        model.encode([["Represent the title: ", "fine"], longest], on_overflow=on_overflow)


def test_the_texts_that_were_cut_are_counted(model: Instructor, golden) -> None:
    pairs, _ = golden
    _, info = model.encode(pairs, on_overflow="truncate", return_info=True)
    np.testing.assert_array_equal(info.truncated, info.token_counts > 512)
    assert 0 < info.truncated.sum() < len(pairs)
