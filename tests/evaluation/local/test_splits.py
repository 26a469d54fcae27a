"""Splits that come with no set: nothing lost, nothing twice, classes in proportion."""

import collections

import hypothesis.strategies as st
import pytest
from hypothesis import given

from instructor_jax.evaluation.local.records import LabelledTexts
from instructor_jax.evaluation.local.splits import sets_of_classes, sets_of_rows, train_test


def labelled(sizes):
    labels = [f"class {number}" for number, size in enumerate(sizes) for _ in range(size)]
    return LabelledTexts([f"text {row}" for row in range(len(labels))], labels)


def pairs(*parts):
    return collections.Counter(pair for part in parts for pair in zip(part.texts, part.labels, strict=True))


@given(st.lists(st.integers(2, 40), min_size=1, max_size=5), st.floats(0.05, 0.95))
def test_train_and_test_make_the_whole_with_the_share_of_each_class(sizes, share):
    rows = labelled(sizes)
    split = train_test(rows, share)
    assert pairs(split.train, split.test) == pairs(rows)
    for number, size in enumerate(sizes):
        # at least one on either side, else the rounded share
        assert split.test.labels.count(f"class {number}") == min(max(round(share * size), 1), size - 1)
        assert split.train.labels.count(f"class {number}") >= 1


def test_a_class_of_one_row_cannot_be_split():
    with pytest.raises(ValueError, match="class 1.*one row only"):
        train_test(labelled([3, 1]), 0.5)


@given(st.lists(st.integers(1, 20), min_size=3, max_size=9), st.integers(1, 3))
def test_sets_share_no_row_and_lose_none(sizes, count):
    rows = labelled(sizes)
    for sets in (sets_of_rows(rows, count).sets, sets_of_classes(rows, count).sets):
        assert len(sets) == count
        assert pairs(*sets) == pairs(rows)


def test_sets_of_rows_are_of_one_size_and_sets_of_classes_keep_classes_whole():
    rows = labelled([10] * 6)
    assert [len(part.texts) for part in sets_of_rows(rows, 4).sets] == [15] * 4
    classes = [set(part.labels) for part in sets_of_classes(rows, 3).sets]
    assert [len(names) for names in classes] == [2, 2, 2]
    assert len(set.union(*classes)) == 6
