import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructor_jax.train.data.group_packing import GroupShape, fill_rows, fit, pack_group

SHAPE = GroupShape(rows=4, length=16, examples=4, negatives=1, segments=4)


def store(lengths: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texts whose tokens count from 100 * number + 1 up, the last one being 1."""
    texts = [[100 * (i + 1) + j for j in range(length - 1)] + [1] for i, length in enumerate(lengths)]
    unpooled = np.array([min(i % 3, length - 1) for i, length in enumerate(lengths)])
    return np.array([token for text in texts for token in text]), np.cumsum(lengths), unpooled


def read_back(packed, slot: int, segments_per_row: int) -> tuple[list[int], list[bool]]:
    """Tokens and pooling mask of the text in a slot, from nothing but what the model sees."""
    row, segment = divmod(int(packed.slots[slot]), segments_per_row)
    mine = packed.segments[row] == segment
    return packed.tokens[row][mine].tolist(), packed.pooled[row][mine].tolist()


def test_fullest_row_first():
    # 9 | 8 | 7 goes beside the 9 (16), 5 beside the 8, 3 too (16)
    places = fill_rows(np.array([3, 7, 9, 5, 8]), 16, 4)
    assert places.rows == 2
    assert places.row.tolist() == [1, 0, 0, 1, 1]
    assert places.start.tolist() == [13, 9, 0, 8, 0]
    assert places.segment.tolist() == [2, 1, 0, 1, 0]


def test_rows_hold_no_more_texts_than_segments():
    assert fill_rows(np.ones(9, int), 16, 4).rows == 3


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(1, 32), max_size=80), st.integers(1, 9))
def test_texts_lie_side_by_side_in_rows(lengths, segments):
    places = fill_rows(np.array(lengths, np.int64), 32, segments)
    taken = np.zeros((places.rows, 32), int)
    for row, start, length in zip(places.row, places.start, lengths, strict=True):
        assert start + length <= 32
        taken[row, start : start + length] += 1
    assert (taken <= 1).all()
    assert len({*zip(places.row.tolist(), places.segment.tolist(), strict=True)}) == len(lengths)
    assert places.segment.max(initial=0) < segments
    used = np.bincount(places.row, minlength=places.rows)
    full = (taken.sum(axis=1) * 2 > 32) | (used == segments)
    assert full.sum() >= places.rows - 1  # never two rows whose texts would fit into one


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(2, 16), min_size=1, max_size=12), st.data())
def test_what_is_packed_can_be_read_back(lengths, data):
    texts = data.draw(st.lists(st.sampled_from([-1, *range(len(lengths))]), min_size=12, max_size=12))
    tokens, ends, unpooled = store(lengths)
    packed = pack_group(np.array(texts), tokens, ends, unpooled, SHAPE)
    kept = 0
    for slot, text in enumerate(texts):
        if text < 0:
            assert packed.slots[slot] == -1
            continue
        found, pooled = read_back(packed, slot, 4)
        whole = tokens[ends[text] - lengths[text] : ends[text]].tolist()
        assert found[-1] == 1
        assert found[:-1] == whole[: len(found) - 1]
        assert pooled == [i >= min(unpooled[text], len(found) - 1) for i in range(len(found))]
        kept += len(found)
    assert kept + packed.cut == sum(lengths[text] for text in texts if text >= 0)
    assert (packed.segments >= 0).sum() == kept
    assert not packed.tokens[packed.segments < 0].any()
    assert not packed.pooled[packed.segments < 0].any()


def test_longest_texts_are_cut_when_they_do_not_fit():
    places, limit = fit(np.array([9, 9, 9, 9, 9, 4]), GroupShape(3, 16, 2, 1, 4))
    assert (places.rows, limit) == (3, 8)
    tokens, ends, unpooled = store([9, 9, 9, 9, 9, 4])
    packed = pack_group(np.arange(6), tokens, ends, unpooled, GroupShape(3, 16, 2, 1, 4))
    assert packed.cut == 5
    assert [len(read_back(packed, slot, 4)[0]) for slot in range(6)] == [8, 8, 8, 8, 8, 4]


def test_an_empty_group():
    packed = pack_group(np.full(12, -1), *store([3]), SHAPE)
    assert (packed.segments == -1).all()
    assert (packed.slots == -1).all()


def test_refuses_what_cannot_be_packed():
    for lengths in ([17], [0, 3]):
        with pytest.raises(ValueError, match="must have 1 to 16, the row length"):
            fill_rows(np.array(lengths), 16, 4)
    with pytest.raises(ValueError, match="17 texts do not fit"):
        fit(np.ones(17, int), SHAPE)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"rows": 0, "length": 16, "examples": 1}, "must be at least 1"),
        ({"rows": 2, "length": 16, "examples": 1}, "rows=2 must be at least 3"),
        ({"rows": 3, "length": 16, "examples": 9}, "cannot hold 9 examples of 3 texts"),
    ],
)
def test_impossible_shapes(numbers, message):
    with pytest.raises(ValueError, match=message):
        GroupShape(**numbers)
