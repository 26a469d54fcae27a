"""Ours and sentence-transformers' embedder on one folder: the same strings, tokens and vectors."""

from pathlib import Path

import numpy as np
import pytest

from instructor_jax.evaluation.embedders import (
    Embedder,
    JaxEmbedder,
    WithoutInstructions,
    folder_hash,
    folder_name,
    load,
)

TEXTS = ["a cat sat", "  blanks around  ", "", "word " * 700, "ein Satz\nmit Zeilen"]
INSTRUCTIONS = ["", "Represent the sentence: ", "Represent the Science document for retrieval; Input: "]
# Float32 forward passes of two frameworks over two layers; measured 3e-7.
EQUAL = 2e-6


def test_names_of_folders_tell_models_of_runs_apart(tmp_path, monkeypatch) -> None:
    (tmp_path / "first run" / "model").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "first run" / "model")
    monkeypatch.chdir(tmp_path / "first run")
    for given, name in (
        ("model", "first_run-model"),
        (".", "first_run"),
        ("../link", "link"),
        ("model/..", "first_run"),
    ):
        assert folder_name(Path(given)) == name


@pytest.fixture(scope="module")
def ours(tiny_instructor):
    """On one device, with few buckets to compile."""
    import jax

    from instructor_jax import Instructor

    model = Instructor.from_pretrained(tiny_instructor, devices=jax.devices()[:1], tokens_per_call=512)
    return JaxEmbedder(model, "local/tiny_instructor", folder_hash(tiny_instructor))


@pytest.fixture(scope="module")
def theirs(tiny_instructor):
    pytest.importorskip("sentence_transformers")
    return load(f"st:{tiny_instructor}")


@pytest.mark.torch
@pytest.mark.parametrize("instruction", INSTRUCTIONS)
def test_both_give_the_same_vectors_and_counts(ours, theirs, instruction):
    first, second = (embedder.encode(TEXTS, instruction) for embedder in (ours, theirs))
    np.testing.assert_allclose(first, second, atol=EQUAL)
    assert ours.count_tokens(TEXTS, instruction) == theirs.count_tokens(TEXTS, instruction)
    assert max(ours.count_tokens(TEXTS, instruction)) > ours.max_length  # before truncation


@pytest.mark.torch
def test_both_describe_the_same_model(tiny_instructor, theirs):
    ours = load(str(tiny_instructor))
    assert isinstance(ours, Embedder)
    assert isinstance(theirs, Embedder)
    assert (ours.dimension, ours.max_length, ours.parameters) == (
        theirs.dimension,
        theirs.max_length,
        theirs.parameters,
    )
    assert ours.revision == theirs.revision
    assert (ours.name, theirs.name) == ("local/tiny_instructor", "sentence-transformers/tiny_instructor")
    assert theirs.encode([], "x: ").shape == ours.encode([], "x: ").shape == (0, ours.dimension)


def test_counts_include_instruction_and_end(ours):
    bare, together = ours.count_tokens(["a cat"], "")[0], ours.count_tokens(["a cat"], "Represent the sentence: ")[0]
    assert 2 <= bare < together
    assert ours.count_tokens([""], "") == [1]


def test_without_instructions_they_are_ignored_and_the_revision_says_so(ours):
    deaf = WithoutInstructions(ours)
    np.testing.assert_array_equal(deaf.encode(TEXTS[:2], INSTRUCTIONS[1]), ours.encode(TEXTS[:2], ""))
    assert deaf.count_tokens(TEXTS, INSTRUCTIONS[1]) == ours.count_tokens(TEXTS, "")
    assert deaf.revision != ours.revision


def test_the_revision_changes_with_any_file_but_the_readme(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "weights").write_bytes(b"123")
    first = folder_hash(tmp_path)
    (tmp_path / "README.md").write_text("words", encoding="utf-8")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x").write_text("y", encoding="utf-8")
    assert folder_hash(tmp_path) == first
    (tmp_path / "sub" / "weights").write_bytes(b"124")
    assert folder_hash(tmp_path) != first


@pytest.mark.torch
def test_a_folder_without_a_model_is_one_line(tmp_path):
    pytest.importorskip("sentence_transformers")
    with pytest.raises(ValueError, match="cannot load"):
        load(f"st:{tmp_path}")
    with pytest.raises(ValueError, match="not a model folder"):
        load(str(tmp_path))
