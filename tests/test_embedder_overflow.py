"""Texts longer than the model reads, what `encode` tells about its texts, and the states of their tokens."""

import warnings

import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.inference.encode_info import TruncationWarning
from instructor_jax.text.tokenization import as_pairs

SAME = 2e-6  # float32: the same sums over other padding; vectors have unit length
INSTRUCTION = "Represent the Science document: "
LONG = " ".join(f"the river {number} of the world" for number in range(200))  # more than 1,000 tokens
SHORT = "a short one"


def length(embedder: Instructor, text: str, instruction: str = "") -> int:
    return int(embedder.tokenizer(as_pairs([text], instruction)).full_lengths[0])


def test_the_default_cuts_and_says_so(embedder: Instructor) -> None:
    count = length(embedder, LONG)
    with pytest.warns(TruncationWarning, match=rf"1 of 2 texts were cut to 512 tokens \(text 1 has {count}\)"):
        vectors = embedder.encode([SHORT, LONG])
    np.testing.assert_array_equal(vectors, embedder.encode([SHORT, LONG], on_overflow="truncate"))


def test_truncation_on_request_is_silent(embedder: Instructor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cut = embedder.encode(LONG, on_overflow="truncate")
        embedder.encode([SHORT])
    beginning = " ".join(LONG.split()[:900])  # still too long; what lies behind the limit does not count
    assert length(embedder, beginning) > 512
    assert np.abs(embedder.encode(beginning, on_overflow="truncate") - cut).max() <= SAME


def test_an_error_on_request(embedder: Instructor) -> None:
    with pytest.raises(ValueError, match=r"text 1 has \d+ tokens with its instruction, more than max_length=512"):
        embedder.encode([SHORT, LONG], on_overflow="error")
    assert embedder.encode([SHORT], on_overflow="error").shape == (1, 48)


@pytest.mark.slow
def test_the_mean_of_windows(embedder: Instructor) -> None:
    """A long text's vector is the mean of its pieces', each under the instruction, weighted by their tokens."""
    windows, owner = embedder.tokenizer.windows(as_pairs([LONG, SHORT], INSTRUCTION))
    assert owner.tolist() == [0] * (len(owner) - 1) + [1]
    assert len(owner) > 3
    assert windows.lengths.max() <= 512
    vectors, info = embedder.encode(
        [LONG, SHORT], instruction=INSTRUCTION, on_overflow="mean_of_windows", return_info=True
    )
    # the pieces as texts of their own: words are whole tokens here, so they can be cut out of the text again
    words, pieces, start = LONG.split(), [], 0
    while start < len(words):
        end = start + 1
        while end < len(words) and length(embedder, " ".join(words[start : end + 1]), INSTRUCTION) <= 512:
            end += 1
        pieces.append(" ".join(words[start:end]))
        start = end
    counts = np.array([length(embedder, piece, INSTRUCTION) for piece in pieces])
    assert counts.tolist() == windows.lengths[:-1].tolist()  # no word lies across two windows
    weights = counts - (length(embedder, "", INSTRUCTION) - 1)
    mean = (embedder.encode(pieces, instruction=INSTRUCTION) * weights[:, None]).sum(axis=0) / weights.sum()
    assert np.abs(vectors[0] - mean / np.linalg.norm(mean)).max() <= SAME
    assert np.abs(vectors[1] - embedder.encode(SHORT, instruction=INSTRUCTION)).max() <= SAME
    assert not info.truncated.any()
    assert info.token_counts.tolist() == [length(embedder, text, INSTRUCTION) for text in (LONG, SHORT)]
    assert np.abs(vectors[0] - embedder.encode(LONG, instruction=INSTRUCTION, on_overflow="truncate")).max() > 1e-3


def test_what_is_told_about_the_texts(embedder: Instructor) -> None:
    texts = [SHORT, LONG, "", "x"] * 20
    _, info = embedder.encode(texts, instruction=INSTRUCTION, on_overflow="truncate", return_info=True)
    assert info.token_counts.tolist() == [length(embedder, text, INSTRUCTION) for text in texts]
    assert info.truncated.tolist() == [text == LONG for text in texts]
    assert 0 <= info.padding < 0.2
    assert 1 <= info.calls < 80
    vector, info = embedder.encode(SHORT, return_info=True)
    assert (vector.shape, len(info.token_counts), info.calls) == ((48,), 1, 1)


@pytest.mark.slow
def test_states_of_the_tokens(embedder: Instructor) -> None:
    """Their masked mean, projected and normalised, is the text's vector: pooling done again in NumPy."""
    pairs = [[INSTRUCTION, SHORT], ["", "x"], ["Represent", "glued"], [INSTRUCTION, ""], [INSTRUCTION, LONG]]
    texts = embedder.tokenizer(as_pairs(pairs, None))
    states = embedder.encode(pairs, output_value="token_embeddings", on_overflow="truncate")
    vectors = embedder.encode(pairs, on_overflow="truncate")
    for index, (state, vector) in enumerate(zip(states, vectors, strict=True)):
        assert (state.shape, state.dtype) == ((texts.lengths[index], 64), np.float32)
        mean = state[texts.unpooled[index] :].mean(axis=0) @ embedder.params["projection"]
        assert np.abs(mean / np.linalg.norm(mean) - vector).max() <= SAME
    single = embedder.encode(SHORT, output_value="token_embeddings", instruction=INSTRUCTION)
    assert np.abs(single - states[0]).max() <= 1e-5  # states are of order 1 to 10


def test_everything_about_each_text(embedder: Instructor) -> None:
    pairs = [[INSTRUCTION, SHORT], ["", "x"]]
    outputs, info = embedder.encode(pairs, output_value=None, return_info=True)
    assert set(outputs[0]) == {"sentence_embedding", "token_embeddings", "input_ids", "pooled"}
    np.testing.assert_allclose(outputs[0]["sentence_embedding"], embedder.encode(pairs)[0], rtol=0, atol=SAME)
    for output, count in zip(outputs, info.token_counts, strict=True):
        assert len(output["token_embeddings"]) == len(output["input_ids"]) == len(output["pooled"]) == count
        assert output["input_ids"][-1] == 1
    assert outputs[1]["pooled"].all()
    assert not outputs[0]["pooled"][: length(embedder, "", INSTRUCTION) - 1].any()
    assert info.calls == 1


def test_states_warn_of_truncation_too(embedder: Instructor) -> None:
    with pytest.warns(TruncationWarning, match="1 of 1 texts were cut"):
        [state] = embedder.encode([LONG], output_value="token_embeddings")
    assert len(state) == 512
