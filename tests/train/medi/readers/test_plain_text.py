"""Passages never cut their span; chains of equal texts are short; groups have stable names."""

from hypothesis import given
from hypothesis import strategies as st

from instructor_jax.train.medi.readers.plain_text import chained, group_id, passage_around, squeeze


def test_passage_begins_and_ends_with_a_sentence():
    text = "One. Two is first. Here comes the answer now. Four follows. Five is last."
    start = text.index("answer")
    assert passage_around(text, start, start + 6, width=60) == "Here comes the answer now. Four follows."


def test_passage_without_sentences_is_cut_between_words():
    text = "aaa bbb ccc ANSWER ddd eee fff"
    start = text.index("ANSWER")
    assert passage_around(text, start, start + 6, width=18) == "ccc ANSWER ddd"


@given(st.text(alphabet="ab .\n", max_size=200), st.integers(0, 199), st.integers(0, 50), st.integers(0, 120))
def test_passage_always_holds_its_span(text, start, length, width):
    start = min(start, len(text))
    end = min(len(text), start + length)
    assert squeeze(text[start:end]) in passage_around(text, start, end, width)


def test_chained_pairs_each_distinct_text_with_the_next():
    assert list(chained(["a", "b ", "a", "", "c"])) == [("a", "b"), ("b", "c")]
    assert list(chained(["only"])) == []


def test_group_id_is_stable_and_tells_parts_from_joined_text():
    assert group_id("a", "b") == "f84c4d669fe0d410"
    assert group_id("a", "b") != group_id("ab")
