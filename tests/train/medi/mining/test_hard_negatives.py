import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.mining.hard_negatives import mine_negatives
from instructor_jax.train.medi.mining.mining_rules import Mining, normalised

TEXTS = [f"{letter}{'' if i else ' '}{i % 3}" for letter in "abcd" for i in range(3)] + ["A1", " b2 ", "c 0"]


class HashScorer:
    name = "hash"

    def __call__(self, texts):
        return np.stack([vector(side.text) for side in texts])


def vector(text):
    values = np.random.default_rng(zlib.crc32(normalised(text).encode())).normal(size=6)
    return (values / np.linalg.norm(values)).astype(np.float32)


def similarity(rows, query, document):
    """Of a query to a document: to its text, plus on average to the queries it answers."""
    answered = {normalised(row.query.text) for row in rows if normalised(row.positive.text) == normalised(document)}
    return vector(query) @ vector(document) + np.mean([vector(query) @ vector(text) for text in answered])


def pair(query, positive, row_id, negatives=(), label=None):
    sides = tuple(Side("D:", text) for text in negatives)
    return Example(Side("Q:", query), Side("D:", positive), sides, "task", row_id, label=label)


TEXT = st.sampled_from(TEXTS)
ROWS = st.lists(st.tuples(TEXT, TEXT, st.lists(TEXT, max_size=1), st.sampled_from([None, "x", "y"])), max_size=12)


def pairs(rows):
    made = []
    for i, (query, positive, own, label) in enumerate(rows):
        own = [text for text in own if normalised(text) not in (normalised(query), normalised(positive))]
        made.append(pair(query, positive, f"r{i}", own, label))
    return made


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(drawn=ROWS, wanted=st.integers(0, 3), margin=st.sampled_from([None, 0.3]))
def test_known_positives_and_duplicates_are_never_mined(drawn, wanted, margin):
    rows = pairs(drawn)
    examples, counts = mine_negatives(rows, HashScorer(), Mining(negatives=wanted, relative_margin=margin))
    partners, labels = {}, {}
    for one in rows:
        a, b = normalised(one.query.text), normalised(one.positive.text)
        for text, other in ((a, b), (b, a)):
            partners.setdefault(text, set()).add(other)
            labels.setdefault(text, set()).update({one.label} - {None})
    assert [one.row_id for one in examples] == sorted(one.row_id for one in rows)
    original = {one.row_id: one for one in rows}
    for one in examples:
        own = original[one.row_id].negatives
        assert one.negatives[: len(own)] == own
        mined = [normalised(side.text) for side in one.negatives[len(own) :]]
        query = normalised(one.query.text)
        assert len(mined) <= max(0, wanted - len(own))
        assert len({*mined, *(normalised(side.text) for side in own)}) == len(mined) + len(
            {normalised(s.text) for s in own}
        )
        for other in mined:
            assert other != query
            assert other not in partners[query]
            assert not labels[query] & labels[other]
            assert len(labels[query]) < 2
            assert len(labels[other]) < 2
            if margin is not None:
                positives = [row.positive.text for row in rows if normalised(row.query.text) == query]
                lowest = min(similarity(rows, query, text) for text in positives)
                assert similarity(rows, query, other) <= lowest - margin * abs(lowest) + 1e-5  # float32 rounding
    assert (counts.rows, counts.examples) == (len(rows), len(rows))
    assert counts.short == sum(len(one.negatives) < wanted for one in examples)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_order_of_the_rows_does_not_matter(data):
    rows = pairs(data.draw(ROWS))
    shuffled = data.draw(st.permutations(rows))
    mining = Mining(negatives=2)
    assert mine_negatives(rows, HashScorer(), mining) == mine_negatives(shuffled, HashScorer(), mining)


@pytest.mark.slow
def test_the_nearest_documents_are_taken():
    rows = [pair(f"query {i}", f"document {i // 2}", f"{i:02}") for i in range(60)]
    examples, counts = mine_negatives(rows, HashScorer(), Mining(negatives=3))
    for i, one in enumerate(examples):
        others = [f"document {j}" for j in range(30) if j != i // 2]
        others.sort(key=lambda text: -similarity(rows, one.query.text, text))
        assert [side.text for side in one.negatives] == others[:3]
    assert (counts.short, counts.without_negative) == (0, 0)


def test_own_negatives_are_completed():
    rows = [pair("q", "p", "1", ["own"]), pair("r", "own", "2"), pair("s", "other", "3")]
    first = mine_negatives(rows, HashScorer(), Mining(negatives=2))[0][0]
    assert [side.text for side in first.negatives] == ["own", "other"]


def test_keeping_a_share_of_given_pairs_is_refused():
    with pytest.raises(ValueError, match=r"keep=0\.5 applies to pairs that are mined"):
        mine_negatives([], HashScorer(), Mining(keep=0.5))
