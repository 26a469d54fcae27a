"""`instructor-jax create`: a folder that loads, the same for the same seed, and nothing where something is wrong."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

from instructor_jax.backbones.published import PUBLISHED
from instructor_jax.io.default_model import DEFAULT_FOLDER
from instructor_jax.io.folders import read_folder, read_params
from instructor_jax.io.tokenizers.folders import load_token_ids, vocabulary_size

from ..small_models import SMALL, assert_identical, leaves, tokenizer_folder


def test_the_tiny_model(
    run: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_folder: Path
) -> None:
    capsys.readouterr()
    run("create", tmp_path / "a")
    assert capsys.readouterr().out == f"wrote {tmp_path / 'a'}: tiny, random weights, vectors of 48 dimensions\n"
    folder = read_folder(tmp_path / "a")
    assert folder.config.encoder.vocab == vocabulary_size(tmp_path / "a")
    assert (folder.config.embedding_dim, folder.config.normalize, folder.config.max_length) == (48, True, 512)
    words = load_token_ids(tmp_path / "a")(["Represent the Science title: the river"])[0]
    assert len(words) < 15  # common words are whole tokens
    states = leaves(read_params(folder))
    assert all(np.isfinite(value).all() and value.dtype == np.float32 for value in states.values())
    seed_3 = read_params(read_folder(tiny_folder))["projection"]
    assert np.abs(states["projection"] - seed_3).max() > 0.1


def test_the_seed_decides_every_weight(run: Callable[..., None], tmp_path: Path, tiny_folder: Path) -> None:
    run("create", tmp_path / "again", "--seed", 3)
    first, second = (read_params(read_folder(folder)) for folder in (tiny_folder, tmp_path / "again"))
    assert_identical(first, second)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """A published size that is small enough for tests."""
    monkeypatch.setitem(PUBLISHED, "small-size", dataclasses.replace(SMALL, max_length=77))


@pytest.mark.slow
@pytest.mark.usefixtures("published")
def test_a_published_size_takes_the_tokenizer_of_a_folder(run: Callable[..., None], tmp_path: Path) -> None:
    tokenizer = tokenizer_folder(tmp_path / "t")
    run("create", tmp_path / "a", "--size", "small-size", "--tokenizer", tokenizer)
    assert read_folder(tmp_path / "a").config == PUBLISHED["small-size"]
    assert (tmp_path / "a" / "tokenizer.json").read_bytes() == (tokenizer / "tokenizer.json").read_bytes()
    shapes = {leaf.shape for leaf in jax.tree.leaves(read_params(read_folder(tmp_path / "a")))}
    assert (600, 16) in shapes


@pytest.mark.usefixtures("published")
def test_refusals_are_one_line_and_write_nothing(
    fails: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, empty = tokenizer_folder(tmp_path / "t"), tmp_path / "empty"
    empty.mkdir()
    (empty / "tokenizer_config.json").write_text("{}")
    before = sorted(tmp_path.rglob("*"))
    target = tmp_path / "a"
    assert "size 'huge' is unknown; known are tiny, t5-small" in fails("create", target, "--size", "huge")
    assert "needs --tokenizer FOLDER" in fails("create", target, "--size", "small-size")
    assert "has no tokenizer" in fails("create", target, "--size", "small-size", "--tokenizer", empty)
    assert "has no tokenizer" in fails("create", target, "--size", "small-size", "--tokenizer", tmp_path)
    few = dataclasses.replace(SMALL.encoder, vocab=500)
    monkeypatch.setitem(PUBLISHED, "few-words", dataclasses.replace(SMALL, encoder=few))
    assert "has 565 tokens; a model of this size knows only 500" in (
        fails("create", target, "--size", "few-words", "--tokenizer", tokenizer)
    )
    many = dataclasses.replace(SMALL.encoder, vocab=40_000)
    monkeypatch.setitem(PUBLISHED, "many-words", dataclasses.replace(SMALL, encoder=many))
    told = fails("create", target, "--size", "many-words", "--tokenizer", DEFAULT_FOLDER)  # a BERT's
    assert f"the tokenizer in {DEFAULT_FOLDER} is not for a model of size many-words" in told
    assert "which lower-cases texts" in told
    assert "has no tokenizer.json" in fails("create", target, "--tokenizer", empty)
    assert "exists and is not an empty folder" in fails("create", tokenizer)
    assert "requires an argument" in fails("create")
    assert sorted(tmp_path.rglob("*")) == before
