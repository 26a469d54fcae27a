import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructor_jax.train.data.examples import Side
from instructor_jax.train.medi.files.records import Instance
from instructor_jax.train.medi.mining.mine import answer_pairs, mine_instances
from instructor_jax.train.medi.mining.mining_rules import Mining, normalised

WORDS = ["red", "Red ", "blue", "green", "dark  red", "DARK RED", "sky", "sea", "sun", " ", "moon", "star"]


class HashScorer:
    """Vectors that depend on the normalised text only and are in general position."""

    name = "hash"

    def __call__(self, texts):
        return np.stack([vector(side.text) for side in texts]) if texts else np.zeros((0, 6), np.float32)


def vector(text):
    values = np.random.default_rng(zlib.crc32(normalised(text).encode())).normal(size=6)
    return (values / np.linalg.norm(values)).astype(np.float32)


def mine(rows, **settings):
    mining = Mining(**settings)
    return mine_instances(rows, HashScorer(), task="colours", query="Q:", document="D:", mining=mining)


def labelled_rows(draw):
    texts = draw(st.lists(st.sampled_from(WORDS), max_size=14))
    return [
        Instance(text, "out", f"r{i}", draw(st.sampled_from("ab")) if normalised(text) != "sky" else "a")
        for i, text in enumerate(texts)
    ]


def free_rows(draw):
    texts = draw(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS)), max_size=14))
    return [Instance(text, output, f"r{i}") for i, (text, output) in enumerate(texts)]


def known(rows, text):
    """Every label (or output) that the text has anywhere."""
    same = [one for one in rows if normalised(one.input) == normalised(text)]
    return {one.label if one.label is not None else normalised(one.output) for one in same} - {""}


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(data=st.data(), free=st.booleans(), negatives=st.integers(0, 3), margin=st.sampled_from([None, 0.0, 0.3]))
def test_duplicates_and_known_positives_are_never_negatives(data, free, negatives, margin):
    rows = (free_rows if free else labelled_rows)(data.draw)
    examples, counts = mine(rows, negatives=negatives, relative_margin=margin)
    by_id = {one.row_id: one for one in rows}
    for one in examples:
        query, positive = normalised(one.query.text), normalised(one.positive.text)
        others = [normalised(side.text) for side in one.negatives]
        assert query != positive
        assert one.query.text == by_id[one.row_id].input
        assert len(set(others)) == len(others) <= negatives
        for other in others:
            assert other not in (query, positive)
            assert not known(rows, one.query.text) & known(rows, other)
        if not free:
            assert known(rows, one.query.text) == known(rows, one.positive.text) == {one.label}
    left_out = counts.empty + counts.repeated + counts.ambiguous + counts.without_positive + counts.not_kept
    assert counts.rows == len(rows) == left_out + counts.examples
    assert counts.examples == len(examples)
    assert counts.without_negative == sum(not one.negatives for one in examples)
    assert counts.short == sum(len(one.negatives) < negatives for one in examples)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(data=st.data(), free=st.booleans())
def test_order_of_the_rows_does_not_matter(data, free):
    rows = (free_rows if free else labelled_rows)(data.draw)
    shuffled = data.draw(st.permutations(rows))
    assert mine(rows, negatives=2) == mine(shuffled, negatives=2)


def distinct(count, classes):
    return [
        Instance(f"text {i}", f"out {i}", f"{i:03}", None if classes == 0 else f"c{i % classes}") for i in range(count)
    ]


def test_classification_rule_takes_the_nearest_of_the_class_and_of_the_others():
    rows = distinct(40, 4)
    examples, _ = mine(rows, negatives=2)
    vectors = np.stack([vector(one.input) for one in rows]).astype(np.float64)
    cosine = vectors @ vectors.T
    for i, example in enumerate(examples):
        same = [j for j in range(40) if j % 4 == i % 4 and j != i]
        other = sorted((j for j in range(40) if j % 4 != i % 4), key=lambda j: -cosine[i, j])
        assert example.positive.text == rows[max(same, key=lambda j: cosine[i, j])].input
        assert [side.text for side in example.negatives] == [rows[j].input for j in other[:2]]
        assert example.label == rows[i].label


def test_free_text_rule_takes_the_largest_s_pos_and_s_neg():
    rows = distinct(40, 0)
    examples, _ = mine(rows, negatives=1)
    x = np.stack([vector(one.input) for one in rows]).astype(np.float64)
    y = np.stack([vector(one.output) for one in rows]).astype(np.float64)
    s_pos = y @ y.T - x @ x.T
    for i, example in enumerate(examples):
        others = [j for j in range(40) if j != i]
        assert example.positive.text == rows[max(others, key=lambda j: s_pos[i, j])].input
        assert example.negatives[0].text == rows[min(others, key=lambda j: s_pos[i, j])].input


def test_every_output_known_for_an_input_is_a_positive_of_it():
    rows = [Instance("capital of france", "Paris", "0"), Instance("capital of france", "Lutetia", "1")]
    rows += [Instance("city of light", "lutetia", "2"), Instance("capital of italy", "Rome", "3")]
    examples, _ = mine(rows, negatives=3)
    first = examples[0]
    assert first.positive.text != "capital of italy" or not first.negatives
    assert "city of light" not in [side.text for side in first.negatives]
    assert examples[1].label == examples[2].label is not None  # the same output: never negatives in a batch
    assert examples[3].label is None


def test_margin_bounds_the_similarity_of_negatives():
    rows = distinct(60, 3)
    free, strict = (mine(rows, negatives=1, relative_margin=margin)[0] for margin in (None, 0.2))
    similar = [
        [vector(one.query.text) @ vector(side.text) / (vector(one.query.text) @ vector(one.positive.text))
         for one in examples for side in one.negatives]
        for examples in (free, strict)
    ]  # fmt: skip
    assert max(similar[0]) > 0.8
    assert max(similar[1]) <= 0.8 + 1e-5  # float32 rounding of two cosines


def test_free_text_partners_agree_in_their_outputs():
    rows = [Instance(f"question {i}", f"answer {i % 25}", f"{i:03}") for i in range(40)]  # 15 outputs occur twice
    examples, counts = mine(rows, negatives=1, agreement=0.999)
    for example in examples:
        assert int(example.positive.text.split()[1]) % 25 == int(example.query.text.split()[1]) % 25
    assert (counts.examples, counts.without_positive) == (30, 10)
    left = answer_pairs(rows, {one.row_id for one in examples}, task="rest", query="Q:", document="A:")
    assert [one.row_id for one in left] == [f"{i:03}" for i in range(15, 25)]
    assert (left[0].query.text, left[0].positive) == ("question 15", Side("A:", "answer 15"))


def test_free_text_margin_bounds_the_agreement_of_negatives():
    plane = {"i": (0, 0), "p": (90, 0), "near": (3, 26), "far": (60, 60)}  # degrees of input and output

    class Plane:
        name = "plane"

        def __call__(self, texts):
            degrees = np.array([plane[side.text.strip("'")]["'" in side.text] for side in texts])
            return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1).astype(np.float32)

    rows = [Instance(name, f"{name}'", name) for name in plane]
    for margin, expected in ((None, "near"), (0.3, "far")):  # cosines of the outputs with that of i: 0.9 and 0.5
        mining = Mining(1, margin)
        examples, _ = mine_instances(rows, Plane(), task="t", query="Q:", document="D:", mining=mining)
        example = next(one for one in examples if one.row_id == "i")
        assert (example.positive.text, example.negatives[0].text) == ("p", expected)


def test_answer_pairs_leave_out_copies_and_label_shared_outputs():
    rows = [Instance("a", "x", "1"), Instance("A ", "X", "2"), Instance("b", "X", "3"), Instance("c", "C", "4")]
    pairs = answer_pairs(rows, set(), task="t", query="Q:", document="A:")
    assert [one.row_id for one in pairs] == ["1", "3"]  # 2 repeats 1, and the output of 4 repeats its input
    assert pairs[0].label == pairs[1].label is not None


def test_keep_takes_the_pairs_with_the_largest_score():
    rows = distinct(30, 2)
    everything, part = mine(rows)[0], mine(rows, keep=0.4)
    score = {one.row_id: vector(one.query.text) @ vector(one.positive.text) for one in everything}
    best = sorted(score, key=lambda row_id: -score[row_id])[:12]
    assert [one.row_id for one in part[0]] == sorted(best)
    assert (part[1].examples, part[1].not_kept) == (12, 18)


def test_ambiguous_repeated_and_empty_rows_are_counted():
    rows = [
        Instance("sun", "", "1", "warm"),
        Instance("SUN ", "", "2", "cold"),
        Instance("fire", "", "3", "warm"),
        Instance("Fire", "", "4", "warm"),
        Instance("  ", "", "5", "warm"),
        Instance("ice", "", "6", "cold"),
        Instance("coal", "", "7", "warm"),
    ]
    examples, counts = mine(rows, negatives=2)
    assert [(one.query.text, one.positive.text, one.negatives[0].text) for one in examples] == [
        ("fire", "coal", "ice"),
        ("coal", "fire", "ice"),
    ]
    assert (counts.empty, counts.repeated, counts.ambiguous, counts.without_positive) == (1, 1, 2, 1)
    assert (counts.examples, counts.without_negative, counts.short) == (2, 0, 2)


@pytest.mark.parametrize("label", ["b", None])
def test_rows_of_one_id_are_never_each_others_positive_or_negative(label):
    rows = [Instance("ice age", "x", "1", label and "a"), Instance("ice cream", "y", "1", label)]
    rows += [Instance("fire", "x", "2", label and "a"), Instance("coal", "y", "3", label)]
    for one in mine(rows, negatives=3)[0]:
        if one.row_id == "1":
            others = {side.text for side in (one.positive, *one.negatives)}
            assert others <= {"fire", "coal"}


def test_labels_on_some_rows_only_are_refused():
    with pytest.raises(ValueError, match="rows 'a' and 'b' disagree on having a label"):
        mine([Instance("x", "y", "a"), Instance("z", "y", "b", "c")])


@pytest.mark.parametrize("wrong", [{"negatives": -1}, {"relative_margin": 1.0}, {"keep": 0.0}, {"agreement": 2.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Mining(**wrong)
