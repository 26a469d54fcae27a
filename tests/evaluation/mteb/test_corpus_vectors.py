"""What is encoded once is not encoded again, and nothing else is taken for it."""

import numpy as np

from instructor_jax.evaluation.mteb import corpus_vectors
from instructor_jax.evaluation.mteb.corpus_vectors import CorpusVectors

from ..known_vectors import KnownVectors


def test_a_second_pass_reads_and_gives_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_vectors, "BLOCK", 4)
    texts = [f"text {number}" for number in range(10)]
    first, second = (CorpusVectors(KnownVectors(), tmp_path) for _ in range(2))
    once = np.concatenate(list(first.blocks(iter(texts), "Read: ")))
    again = np.concatenate(list(second.blocks(iter(texts), "Read: ")))
    assert (first.encoded, first.read) == (10, 0)
    assert (second.encoded, second.read) == (0, 10)
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(once, KnownVectors().encode(texts, "Read: "))


def test_a_killed_run_goes_on_with_the_block_it_was_at(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_vectors, "BLOCK", 4)
    texts = [f"text {number}" for number in range(10)]
    stream = CorpusVectors(KnownVectors(), tmp_path).blocks(iter(texts), "")
    next(stream)
    rest = CorpusVectors(KnownVectors(), tmp_path)
    list(rest.blocks(iter(texts), ""))
    assert (rest.encoded, rest.read) == (6, 4)


def test_another_instruction_text_order_or_model_is_another_block(tmp_path):
    embedder = KnownVectors()
    vectors = CorpusVectors(embedder, tmp_path)
    vectors.block(["ab", "c"], "x: ")
    for texts, instruction in ((["ab", "c"], "y: "), (["a", "bc"], "x: "), (["c", "ab"], "x: "), (["ab"], "x: ")):
        vectors.block(texts, instruction)
    other = KnownVectors()
    other.revision = "2"  # type: ignore[misc]
    newer = CorpusVectors(other, tmp_path)
    newer.block(["ab", "c"], "x: ")
    assert vectors.read == newer.read == 0


def test_a_broken_file_is_encoded_again(tmp_path, caplog):
    vectors = CorpusVectors(KnownVectors(), tmp_path)
    expected = vectors.block(["a", "b"], "")
    (path,) = tmp_path.glob("*.npy")
    path.write_bytes(path.read_bytes()[:100])
    again = CorpusVectors(KnownVectors(), tmp_path)
    np.testing.assert_array_equal(again.block(["a", "b"], ""), expected)
    assert again.encoded == 2
    assert path.name in caplog.text
    np.testing.assert_array_equal(np.load(path), expected)


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CorpusVectors(KnownVectors(), None).block(["a"], "")
    assert list(tmp_path.iterdir()) == []
