"""Dropout masks: the stated hash, the stated rate, and no dependence between positions, rows, sites and keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from instructor_jax.nn.dropout import DropoutSite, hashed_words, keep_mask

KEY = jax.random.key(7)
LARGE = (64, 4096)


def reference(first: int, second: int, position: int) -> int:
    """The documented hash in unbounded integers."""
    cut = 2**32 - 1
    word = (position * 0x9E3779B9 + first) & cut
    word = ((word ^ (word >> 16)) * 0x85EBCA6B & cut) ^ second
    word = (word ^ (word >> 13)) * 0xC2B2AE35 & cut
    return word ^ (word >> 16)


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(np.ravel(x), np.ravel(y))[0, 1])


def five_sigma(count: int) -> float:
    """A correlation of independent values passes it once in two million times."""
    return 5 / count**0.5


def test_words_are_the_documented_hash() -> None:
    first, second = map(int, jax.random.key_data(KEY))
    words = np.asarray(hashed_words(KEY, (3, 5, 7)))
    expected = [reference(first, second, position) for position in range(3 * 5 * 7)]
    np.testing.assert_array_equal(words.ravel(), np.array(expected, np.uint32))


def test_words_are_uniform_in_every_byte() -> None:
    words = np.asarray(hashed_words(KEY, LARGE))
    for shift in (0, 8, 16, 24):
        counts = np.bincount(((words >> shift) & 255).ravel(), minlength=256)
        assert stats.chisquare(counts).pvalue > 1e-6, shift


@pytest.mark.parametrize("keep", [0.5, 0.9, 0.999])
def test_the_rate_is_met(keep: float) -> None:
    mask = np.asarray(keep_mask(KEY, keep, LARGE))
    assert stats.binomtest(int(mask.sum()), mask.size, keep).pvalue > 1e-6
    in_rows = stats.chisquare(mask.sum(axis=1))  # as binomial counts scatter, neither more nor less
    assert 1e-6 < stats.chi2.sf(in_rows.statistic / (1 - keep), len(mask) - 1) < 1 - 1e-6


def test_keep_everything_and_almost_nothing() -> None:
    assert np.asarray(keep_mask(KEY, 1.0, (1000,))).all()
    assert not np.asarray(keep_mask(KEY, 0.0, (1000,))).any()


@pytest.mark.parametrize("lag", [1, 2, 3, 8, 64, 512, 4096, 12288])
def test_positions_do_not_depend_on_each_other(lag: int) -> None:
    mask = np.asarray(keep_mask(KEY, 0.9, LARGE)).ravel()
    assert abs(correlation(mask[lag:], mask[:-lag])) < five_sigma(mask.size - lag)


def test_triples_of_neighbours_are_as_frequent_as_of_independent_values() -> None:
    mask = np.asarray(keep_mask(KEY, 0.5, LARGE)).ravel()[: 3 * 87381].reshape(-1, 3)
    counts = np.bincount(mask @ np.array([1, 2, 4]), minlength=8)
    assert stats.chisquare(counts).pvalue > 1e-6


def test_keys_do_not_depend_on_each_other() -> None:
    keys = [jax.random.fold_in(KEY, number) for number in range(6)]
    masks = [np.asarray(keep_mask(key, 0.9, LARGE)) for key in keys]
    limit = five_sigma(masks[0].size)
    for one in range(6):
        for other in range(one):
            assert abs(correlation(masks[one], masks[other])) < limit


def test_keys_that_differ_in_one_word_alone_are_not_shifted_copies() -> None:
    data = jax.random.key_data(KEY)
    for changed in (data.at[0].add(jnp.uint32(0x9E3779B9)), data.at[1].add(jnp.uint32(1))):  # one position on, without
        one = np.asarray(hashed_words(KEY, (4096,))) >> 31  # the second word; and the nearest second word
        other = np.asarray(hashed_words(jax.random.wrap_key_data(changed), (4096,))) >> 31
        if (changed[1] == data[1]).all():
            np.testing.assert_array_equal(one[1:], other[:-1])  # why both words must count: this alone would be shifted
        else:
            assert abs(correlation(one, other)) < five_sigma(4096)
            assert abs(correlation(one[1:], other[:-1])) < five_sigma(4095)


@pytest.mark.slow
def test_a_row_has_its_mask_wherever_it_is() -> None:
    keys = jax.random.split(KEY, (2, 3))
    x = jnp.ones((2, 3, 16, 8))
    site = DropoutSite(0.25, site=3)
    together = site(x, keys)
    alone = site(x[1:, 2:], keys[1:, 2:])
    np.testing.assert_array_equal(together[1:, 2:], alone)
    assert len({np.asarray(row).tobytes() for row in together.reshape(6, -1)}) == 6


def test_what_is_kept_is_scaled_and_sites_differ() -> None:
    keys = jax.random.split(KEY, (1, 2))
    x = jnp.full((1, 2, 64, 64), 3.0)
    dropped = np.asarray(DropoutSite(0.25, site=0)(x, keys))
    np.testing.assert_allclose(np.unique(dropped), [0, 4])
    other = np.asarray(DropoutSite(0.25, site=1)(x, keys))
    assert abs(correlation(dropped, other)) < five_sigma(dropped.size)
    assert DropoutSite(0.25, site=0)(x, None) is x
    assert DropoutSite(0.0, site=0)(x, keys) is x
