from pathlib import Path

import numpy as np
import pytest

from instructor_jax.train.data.examples import Side
from instructor_jax.train.medi.mining.neighbours import unit_rows
from instructor_jax.train.medi.mining.scorers import (
    InstructorScorer,
    Scorer,
    SentenceTransformerScorer,
    TfidfScorer,
    scorer_from_name,
)

TEXTS = [
    "How do I reset the password of my account?",
    "how do i reset the password of my account",
    "Resetting an account password",
    "The cat sleeps on the warm window sill.",
    "Interest rates rose again in the third quarter.",
]


def cosines(scorer, texts, instruction=""):
    vectors = unit_rows(scorer([Side(instruction, text) for text in texts]))
    return vectors @ vectors.T


@pytest.mark.parametrize("dim", [256, 100_000])  # with and without the sketch
def test_tfidf_puts_similar_texts_near(dim):
    found = cosines(TfidfScorer(dim), TEXTS)
    assert found[0, 1] > found[0, 2] > max(found[0, 3], found[0, 4])
    assert cosines(TfidfScorer(dim), TEXTS, "Represent this: ") == pytest.approx(found)  # instructions are not read


def test_sketch_keeps_cosines_up_to_its_noise():
    random = np.random.default_rng(0)
    words = [f"w{i:04}" for i in range(3000)]
    texts = [" ".join(random.choice(words, 30)) for _ in range(60)]  # unlike each other
    texts += [" ".join(words[i : i + 20]) for i in range(0, 90, 2)]  # each like its neighbours
    exact, sketched = cosines(TfidfScorer(10**6), texts), cosines(TfidfScorer(1024), texts)
    # Under a count sketch the inner product of two unit vectors has a standard deviation of at most sqrt(2 / dim).
    assert np.sqrt(np.mean((exact - sketched) ** 2)) < 0.044
    assert np.abs(exact - sketched).max() < 5 * 0.044
    assert np.corrcoef(exact.ravel(), sketched.ravel())[0, 1] > 0.9


def test_tfidf_is_reproducible():
    np.testing.assert_array_equal(cosines(TfidfScorer(64), TEXTS), cosines(TfidfScorer(64), TEXTS))
    assert np.abs(cosines(TfidfScorer(64), TEXTS) - cosines(TfidfScorer(64, seed=1), TEXTS)).max() > 0


def test_texts_without_content_are_zero():
    vectors = TfidfScorer()([Side("", text) for text in ("", "  ", "hello world")])
    assert not vectors[:2].any()
    assert vectors[2].any()
    assert TfidfScorer()([Side("", ""), Side("", "")]).shape == (2, 1)
    assert TfidfScorer()([]).shape == (0, 1)


def test_instructor_is_asked_with_instructions():
    class Recorder:
        def encode(self, pairs):
            self.pairs = pairs
            return [[1.0, 2.0]] * len(pairs)

    model = Recorder()
    vectors = InstructorScorer(model, "tiny")([Side("Represent: ", "a"), Side("", "b")])
    assert model.pairs == [["Represent: ", "a"], ["", "b"]]
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[1, 2], [1, 2]]


@pytest.mark.torch
def test_sentence_transformers_model(tiny_instructor: Path):
    transformers = pytest.importorskip("sentence_transformers")
    scorer = SentenceTransformerScorer(str(tiny_instructor))
    vectors = scorer([Side("not read", text) for text in TEXTS])
    expected = transformers.SentenceTransformer(str(tiny_instructor), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)  # float32, batches may be padded differently


def test_names_tell_scorers_apart():
    scorers = [TfidfScorer(), TfidfScorer(64), TfidfScorer(features=9), TfidfScorer(seed=1)]
    scorers += [SentenceTransformerScorer("m"), SentenceTransformerScorer("n"), InstructorScorer(None, "m")]
    assert len({scorer.name for scorer in scorers}) == len(scorers)
    assert all(isinstance(scorer, Scorer) for scorer in scorers)


def test_scorer_from_name():
    assert scorer_from_name("tfidf") == TfidfScorer()
    assert scorer_from_name("tfidf:64") == TfidfScorer(64)
    assert scorer_from_name("sentence-transformers:org/model") == SentenceTransformerScorer("org/model")
    for wrong in ("bm25", "tfidf:many", "tfidf:0", "instructor:", "sentence-transformers"):
        with pytest.raises(ValueError, match="is not known; give tfidf"):
            scorer_from_name(wrong)
