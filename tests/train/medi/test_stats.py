import numpy as np
import pytest

from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.stats import LENGTH_EDGES, collect
from instructor_jax.train.medi.storage.staging import Staging
from instructor_jax.train.medi.storage.store import MediStore
from instructor_jax.train.medi.storage.store_writer import write_store


def pair(query, positive, row_id, task, negatives=()):
    return Example(Side("Q: ", query), Side("D: ", positive), tuple(Side("D: ", n) for n in negatives), task, row_id)


SHARED = "The quick brown fox jumps over the lazy dog."


@pytest.fixture
def store(tmp_path):
    staging = Staging(tmp_path / "partial")
    rows = [
        pair("one two three", "a", "1", "first", ["n"]),
        pair("One, two THREE!", "A", "2", "first", ["n", "m"]),  # repeats row 1
        pair(SHARED, "some answer", "3", "first"),
        pair("x" * 40, "b c", "4", "first"),
    ]
    staging.write("first", rows, about={"licence": "MIT"})
    staging.write("second", [pair(SHARED, "Some answer!", "1", "second"), pair("alone", "here", "2", "second")])
    write_store(tmp_path / "medi", staging)
    return MediStore(tmp_path / "medi")


def test_counts_by_hand(store):
    stats = collect(store)
    first, second = stats.tasks
    assert stats.rows == 6
    assert (first.rows, first.repeated_rows, first.licence, first.negatives_per_row) == (4, 1, "MIT", 0.75)
    assert (second.rows, second.repeated_rows) == (2, 0)
    assert stats.repeated_across == 2  # the pair of the fox is in both tasks
    assert stats.negatives == {0: 4, 1: 1, 2: 1}
    assert first.instructions == [("Q: ", "D: ", 4)]
    words = first.lengths["query", "words"]
    assert (words.median, words.longest) == (3, 9)  # of 3, 3, 9, 1
    assert first.lengths["negatives", "characters"].histogram.sum() == 3
    assert second.lengths["negatives", "characters"].median == 0
    assert stats.units == ("characters", "words")
    assert stats.evaluation is None


def test_histogram_bins_hold_the_lengths(store):
    characters = collect(store).tasks[0].lengths["query", "characters"]
    expected = np.histogram([13, 15, len(SHARED), 40], LENGTH_EDGES)[0]
    np.testing.assert_array_equal(characters.histogram, expected)


def test_contamination_names_tasks_and_sets(store):
    texts = [("sts", SHARED.upper()), ("sts", "not in the mixture at all"), ("bank", "y" * 40), ("tiny", "alone")]
    stats = collect(store, evaluation=iter(texts))
    assert [task.contaminated for task in stats.tasks] == [1, 1]
    assert stats.contaminated == {("first", "sts"): 1, ("second", "sts"): 1}
    assert stats.evaluation == {"bank": (1, 0), "sts": (2, 1), "tiny": (0, 0)}  # "alone" is too short to compare


def test_tokens_are_counted_with_the_instruction(store, tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    stats = collect(store, tmp_path / "tokenizer.json")
    assert stats.units == ("characters", "words", "tokens")
    assert stats.tasks[0].lengths["query", "tokens"].longest == 10  # "Q:" and the nine words of the fox


def test_broken_tokenizer_is_refused(store, tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"is not a tokenizer\.json that can be read"):
        collect(store, tmp_path / "tokenizer.json")
