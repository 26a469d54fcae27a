"""Prepare, finish and the pipeline between them, each alone: order, weights of windows, errors, and reading ahead."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from instructor_jax.inference.pipeline import pipeline
from instructor_jax.inference.stages import Prepared, finish, prepare, run_calls
from instructor_jax.text.buckets import PackingConfig
from instructor_jax.text.tokenization import OnOverflow, Pair, Tokenizer

EOS = 1
PACKING = PackingConfig(max_length=16, tokens_per_call=32)


def letters(strings) -> list[list[int]]:
    """A token for every letter: a -> 10, b -> 11, ..."""
    return [[ord(letter) - ord("a") + 10 for letter in string if letter.isalpha()] + [EOS] for string in strings]


def prepared(texts: list[str], on_overflow: OnOverflow = "truncate", max_texts: int | None = None) -> Prepared:
    return prepare(Tokenizer(letters, 16), [Pair("", text) for text in texts], PACKING, on_overflow, max_texts)


def first_tokens(batch) -> np.ndarray:
    """Stands for the model: each text's vector is its first token and its number of tokens."""
    vectors = np.zeros((*batch.slots.shape, 2), np.float32)
    for group, slots in enumerate(batch.slots):
        for text, slot in enumerate(slots):
            row, segment = divmod(int(slot), batch.segments_per_row)
            own = batch.tokens[group, row][batch.segments[group, row] == segment] if slot >= 0 else np.array([0])
            vectors[group, text] = own[0], len(own)
    return vectors


def test_vectors_come_back_in_the_callers_order() -> None:
    texts = ["b" * 3, "a", "c" * 15, "", "d" * 9, "e" * 7, "f"]
    chunk = prepared(texts)
    result = finish(chunk, run_calls(chunk, first_tokens), normalized=False)
    assert result.vectors.tolist() == [[11, 4], [10, 2], [12, 16], [EOS, 1], [13, 10], [14, 8], [15, 2]]
    assert result.token_counts.tolist() == [4, 2, 16, 1, 10, 8, 2]
    assert result.real_tokens == 43
    assert result.computed_tokens == sum(call.bucket.length * call.bucket.rows for call in chunk.calls) >= 43
    assert result.calls == len(chunk.calls)


def test_cut_texts_are_marked_with_their_full_length() -> None:
    chunk = prepared(["a" * 40, "b" * 15])
    assert chunk.truncated.tolist() == [True, False]
    assert chunk.token_counts.tolist() == [41, 16]
    assert chunk.texts.lengths.tolist() == [16, 16]


def test_windows_are_averaged_by_the_tokens_they_pool() -> None:
    """20 letters: windows of 15 and 5 with end-of-sequence, so 16 and 6 tokens."""
    chunk = prepared(["a" * 20, "b"], "mean_of_windows")
    assert chunk.texts.lengths.tolist() == [16, 6, 2]
    assert chunk.token_counts.tolist() == [21, 2]
    assert not chunk.truncated.any()
    vectors = np.array([[3.0, 0.0], [0.0, 4.0], [5.0, 5.0]], np.float32)
    results = [vectors[call.texts[0]][None] for call in chunk.calls]
    mean = np.array([16 * 3.0, 6 * 4.0]) / 22
    plain = finish(chunk, results, normalized=False).vectors
    np.testing.assert_allclose(plain, np.stack([mean, np.array([5.0, 5.0])]), rtol=1e-6)
    unit = finish(chunk, results, normalized=True).vectors
    np.testing.assert_allclose(unit[0], mean / np.linalg.norm(mean), rtol=1e-6)
    np.testing.assert_array_equal(unit[1], [5, 5])  # one window is the text itself, to the bit


def test_nothing_is_prepared_for_nothing() -> None:
    for on_overflow in ("warn", "mean_of_windows"):
        chunk = prepared([], on_overflow)
        assert chunk.calls == []
        assert finish(chunk, [], normalized=True).vectors.shape[0] == 0


@pytest.mark.parametrize("max_texts", [1, 2, 5])
def test_max_texts_bounds_every_call(max_texts: int) -> None:
    chunk = prepared(["a", "bb", "c", "dddd", "e", "f", "g"], max_texts=max_texts)
    assert max(len(texts) for call in chunk.calls for texts in call.texts) <= max_texts
    assert sorted(text for call in chunk.calls for texts in call.texts for text in texts) == list(range(7))


def test_messages_count_from_the_first_text_of_the_caller() -> None:
    with pytest.raises(ValueError, match="text 8193 has 21 tokens"):
        prepare(Tokenizer(letters, 16), [Pair("", "a"), Pair("", "b" * 20)], PACKING, "error", first=8192)


# --- The pipeline --------------------------------------------------------------------------------------------------


def test_chunks_come_in_order_and_only_a_few_are_read_ahead() -> None:
    read: list[int] = []

    def chunks() -> Iterator[list[str]]:
        for index in range(20):
            read.append(index)
            yield [chr(ord("a") + index)] * 3

    threads = set()

    def stage_one(chunk: list[str]) -> Prepared:
        threads.add(threading.current_thread().name)
        return prepared(chunk)

    seen = 0
    for result in pipeline(chunks(), stage_one, first_tokens, normalized=False):
        assert result.vectors[:, 0].tolist() == [10 + seen] * 3
        seen += 1
        assert len(read) <= seen + 3
    assert seen == 20
    assert threading.current_thread().name not in threads  # prepared beside the device's work


@pytest.mark.parametrize("stage", ["source", "prepare", "run"])
def test_an_error_in_any_stage_reaches_the_caller(stage: str) -> None:
    def fail_at(name: str, index: int) -> None:
        if name == stage and index == 2:
            raise RuntimeError(f"in {name}")

    def chunks() -> Iterator[int]:
        for index in range(5):
            fail_at("source", index)
            yield index

    def stage_one(index: int) -> Prepared:
        fail_at("prepare", index)
        return prepared([chr(ord("a") + index)])

    def stage_two(batch) -> np.ndarray:
        fail_at("run", int(first_tokens(batch)[0, 0, 0]) - 10)
        return first_tokens(batch)

    before = threading.active_count()
    with pytest.raises(RuntimeError, match=f"in {stage}"):
        list(pipeline(chunks(), stage_one, stage_two, normalized=False))
    assert threading.active_count() == before  # its thread is gone


def test_a_pipeline_that_is_left_early_ends_its_thread() -> None:
    before = threading.active_count()
    stream = pipeline(iter([["a"]] * 50), prepared, first_tokens, normalized=False)
    next(stream)
    stream.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert threading.active_count() == before
