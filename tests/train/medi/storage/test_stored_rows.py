import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.storage.stored_rows import features, from_bytes, to_bytes

# The type checker that runs under test looks at random elements of lists, which hypothesis would rather decide itself.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

TEXT = st.text(max_size=20)  # any valid Unicode, control characters included
NAME = st.text(min_size=1, max_size=8)
SIDE = st.builds(Side, TEXT, TEXT)
EXAMPLES = st.builds(
    Example,
    SIDE,
    SIDE,
    st.lists(SIDE, max_size=3).map(tuple),
    NAME,
    NAME,
    score=st.none() | st.floats(0, 1, width=32),
    label=st.none() | TEXT,
    weight=st.floats(2**-20, 1000, width=32),
)


@given(EXAMPLES)
def test_stored_and_read_again_is_the_same(example):
    assert from_bytes(to_bytes(example)) == example


@given(EXAMPLES)
def test_tensorflow_datasets_reads_what_we_write(example):
    decoded = features().deserialize_example_np(to_bytes(example))
    sides = [(decoded[name]["instruction"].decode(), decoded[name]["text"].decode()) for name in ("query", "positive")]
    negatives = zip(decoded["negatives"]["instruction"], decoded["negatives"]["text"], strict=True)
    assert sides == [example.query, example.positive]
    assert [(one.decode(), other.decode()) for one, other in negatives] == list(example.negatives)
    assert (decoded["task"].decode(), decoded["row_id"].decode()) == (example.task, example.row_id)
    assert [float(value) for value in decoded["score"]] == ([] if example.score is None else [example.score])
    assert [value.decode() for value in decoded["label"]] == ([] if example.label is None else [example.label])
    assert decoded["weight"] == np.float32(example.weight)


@given(EXAMPLES)
def test_we_read_what_tensorflow_datasets_writes(example):
    written = features().serialize_example(
        {
            "task": example.task,
            "row_id": example.row_id,
            "query": example.query._asdict(),
            "positive": example.positive._asdict(),
            "negatives": [side._asdict() for side in example.negatives],
            "score": [] if example.score is None else [example.score],
            "label": [] if example.label is None else [example.label],
            "weight": example.weight,
        }
    )
    assert from_bytes(written) == example


def test_equal_examples_give_equal_bytes():
    one, other = (Example(Side("i", "t"), Side("j", "u"), (Side("k", "v"),), "task", "1", 0.5, "l") for _ in range(2))
    assert to_bytes(one) == to_bytes(other)


def test_text_that_is_not_unicode_is_refused():
    with pytest.raises(ValueError, match=r"row 'r7' of task 'a' holds text that is not valid Unicode"):
        to_bytes(Example(Side("", "\ud800"), Side("", "x"), (), "a", "r7"))


def test_weight_that_vanishes_in_float32_is_refused():
    with pytest.raises(ValueError, match=r"weight=1e-60 .* is 0\.0 in float32"):
        to_bytes(Example(Side("", "t"), Side("", "x"), (), "a", "r7", weight=1e-60))
