"""Vectors on disk: computed once for each bare text, whoever asks; whole after a kill; found by number."""

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest

from instructor_jax.train.data.instruction_ablation import WithoutInstructions
from instructor_jax.train.data.teacher_vectors import META, TeacherVectors, VectorFiles
from instructor_jax.train.data.texts_without_instruction import text_hashes, texts_of
from instructor_jax.train.data.token_cache_writer import open_token_cache
from instructor_jax.train.distill import vectors_writer as writer
from instructor_jax.train.distill.vectors_writer import open_vectors
from instructor_jax.train.distillation import DistillConfig

from ..fake_teacher import WordTeacher


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch) -> None:
    monkeypatch.setattr(writer, "_BLOCK", 7)


@pytest.fixture
def config(tmp_path) -> DistillConfig:
    folder = tmp_path / "teacher"
    folder.mkdir()
    (folder / "modules.json").write_text("[]")
    return DistillConfig(teacher=str(folder))


@pytest.fixture
def source(make_source, random_examples):
    return make_source({"a": random_examples("a", 20, (3, 6)), "b": random_examples("b", 5, (3, 6))})


@pytest.fixture
def cache(source, tokenizer, tmp_path):
    return open_token_cache(source, tokenizer, "words", tmp_path / "tokens")


def everything(cache) -> np.ndarray:
    return np.ones(len(cache.array("text_ends")), bool)


def vectors_of(files: VectorFiles, source, cache) -> TeacherVectors:
    return TeacherVectors(files, files.numbers(np.asarray(text_hashes(source, cache)[:, 0])))


def check(vectors: TeacherVectors, source, cache, rows) -> None:
    """Of every text of the rows, what the teacher says of it, by itself."""
    for row in rows:
        (example,) = source.read([row])
        numbers = cache.rows.of(np.array([row]), np.array([0]), 1)
        texts = [side.text.strip() for side in (example.query, example.positive, *example.negatives)]
        expected = WordTeacher()(texts)
        np.testing.assert_allclose(vectors(numbers)[0], expected, atol=1e-3)  # float16 of numbers below 1


def test_every_text_is_found_by_its_number(config, source, cache, tmp_path) -> None:
    teacher = WordTeacher()
    files = open_vectors(config, tmp_path / "vectors", [(source, cache, everything(cache))], teacher)
    vectors = vectors_of(files, source, cache)
    check(vectors, source, cache, range(25))
    assert len(teacher.read) == len(set(teacher.read)) == files.texts
    assert not any("Represent" in text for text in teacher.read)
    empty = vectors(np.array([[3, -1], [-1, 0]]))
    assert empty.shape == (2, 2, 12)
    assert empty.dtype == np.float16
    assert not empty[0, 1].any()
    assert empty[1, 1].any()


def test_they_are_computed_once(config, source, cache, tmp_path) -> None:
    open_vectors(config, tmp_path / "vectors", [(source, cache, everything(cache))], WordTeacher())
    again = WordTeacher()
    open_vectors(config, tmp_path / "vectors", [(source, cache, everything(cache))], again)
    assert again.read == []


def test_other_texts_are_added_and_other_readings_share(config, source, cache, tokenizer, tmp_path) -> None:
    first, rest = WordTeacher(), WordTeacher()
    some = texts_of(cache, np.arange(4))
    open_vectors(config, tmp_path / "vectors", [(source, cache, some)], first)
    bare = WithoutInstructions(source)
    other = open_token_cache(bare, tokenizer, "words", tmp_path / "tokens")
    readings = [(source, cache, everything(cache)), (bare, other, everything(other))]
    files = open_vectors(config, tmp_path / "vectors", readings, rest)
    assert not set(first.read) & set(rest.read)
    assert len(first.read) + len(rest.read) == files.texts
    check(vectors_of(files, source, cache), source, cache, range(25))
    check(vectors_of(files, bare, other), bare, other, range(25))


@pytest.mark.parametrize("killed_after", [0, 7, 20])
def test_a_killed_computation_goes_on(config, source, cache, tmp_path, killed_after: int) -> None:
    place, killed = tmp_path / "vectors", WordTeacher(fail_after=killed_after)
    with pytest.raises(KeyboardInterrupt):
        open_vectors(config, place, [(source, cache, everything(cache))], killed)
    (folder,) = [path for path in place.iterdir() if path.is_dir()]
    with (folder / "vectors.bin").open("ab") as file:  # what a block left that was not whole
        file.write(b"half a block")
    rest = WordTeacher()
    files = open_vectors(config, place, [(source, cache, everything(cache))], rest)
    assert len(killed.read) == killed_after // 7 * 7
    assert not set(killed.read) & set(rest.read)
    check(vectors_of(files, source, cache), source, cache, range(25))


def test_another_teacher_or_another_reading_has_a_folder_of_its_own(config, source, cache, tmp_path) -> None:
    place, needed = tmp_path / "vectors", [(source, cache, texts_of(cache, np.arange(2)))]
    folders = {open_vectors(config, place, needed, WordTeacher()).folder}
    folders |= {
        open_vectors(dataclasses.replace(config, **changed), place, needed, WordTeacher()).folder
        for changed in ({"teacher_tokens": 64}, {"teacher_prompt": "query: "}, {"teacher_dtype": "bfloat16"})
    }
    Path(config.teacher, "model.safetensors").write_bytes(b"other weights")
    folders.add(open_vectors(config, place, needed, WordTeacher()).folder)
    assert len(folders) == 5


def test_smaller_vectors_keep_their_unit_length(config, source, cache, tmp_path) -> None:
    files = open_vectors(config, tmp_path / "vectors", [(source, cache, everything(cache))], WordTeacher())
    axes = np.linalg.qr(np.random.default_rng(0).standard_normal((12, 5)))[0].astype(np.float32)
    numbers = files.numbers(np.asarray(text_hashes(source, cache)[:, 0]))
    small, full = TeacherVectors(files, numbers, axes), TeacherVectors(files, numbers)
    texts = np.arange(10)
    assert small.dim == 5
    turned = full(texts).astype(np.float32) @ axes
    expected = turned / np.linalg.norm(turned, axis=1, keepdims=True)
    np.testing.assert_allclose(small(texts), expected, atol=1e-3)  # float16
    copy = pickle.loads(pickle.dumps(small))
    assert copy(texts).tobytes() == small(texts).tobytes()


def test_damaged_files_are_refused(config, source, cache, tmp_path) -> None:
    needed = [(source, cache, everything(cache))]
    folder = open_vectors(config, tmp_path / "vectors", needed, WordTeacher()).folder
    (folder / "vectors.bin").write_bytes(b"short")
    with pytest.raises(ValueError, match=r"vectors\.bin has 5 bytes, fewer than .*delete the folder"):
        open_vectors(config, tmp_path / "vectors", needed, WordTeacher())
    (folder / META).write_text('{"format": 99}')
    with pytest.raises(ValueError, match="is of format 99"):
        VectorFiles.opened(folder)


def test_hashes_that_are_not_there_have_no_number(tmp_path) -> None:
    none = VectorFiles.opened(tmp_path)
    assert none.numbers(np.array([1, 2], np.uint64)).tolist() == [-1, -1]
    hashes = np.array([7, 2**63 + 1, 3], np.uint64)
    hashes.tofile(tmp_path / "hashes.bin")
    files = VectorFiles(tmp_path, 3, 4)
    assert files.numbers(np.array([3, 4, 2**63 + 1, 2**64 - 1, 7], np.uint64)).tolist() == [2, -1, 1, -1, 0]
