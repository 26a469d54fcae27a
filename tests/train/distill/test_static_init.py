"""A student that was just made: its vectors are the weighted bag of its pieces' vectors."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.backbones.registry import default_backbone
from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.io.folder_writer import write_sentence_transformers
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.nn.model import init_params
from instructor_jax.train.data.vocabulary import train_vocabulary
from instructor_jax.train.distill.static_init import (
    Subwords,
    read_subwords,
    static_params,
    subword_vectors,
    subword_weights,
)

from ..fake_teacher import WordTeacher
from ..small_runs import WORDS, write_mixture

OUTPUTS = default_backbone().residual_outputs
MODEL = ModelConfig(
    EncoderConfig(vocab=200, embed=48, layers=2, heads=4, head_dim=12, ffn=96), projection=24, max_length=64
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> ModelFolder:
    """A vocabulary of whole words; the mixture has each of them some hundred times."""
    from instructor_jax.train.medi.storage.store import MediStore

    place = tmp_path_factory.mktemp("start")
    train_vocabulary(MediStore(write_mixture(place / "words", rows=120)), place / "tokenizer", 200)
    return ModelFolder(place / "tokenizer", MODEL)


@pytest.fixture(scope="module")
def params():
    return jax.device_get(init_params(MODEL, seed=0))


@pytest.fixture(scope="module")
def started(folder, params):
    pieces = read_subwords(folder.path)
    return static_params(params, subword_vectors(pieces, WordTeacher(24)), subword_weights(pieces), OUTPUTS)


def texts(count: int) -> list[str]:
    random = np.random.default_rng(5)
    return [" ".join(random.choice(WORDS, random.integers(2, 7))) for _ in range(count)]


def similarities(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]


def encoded(folder: ModelFolder, params, target: Path, given: list[str]) -> np.ndarray:
    write_sentence_transformers(target, folder, params)
    return Instructor.from_pretrained(target, devices=jax.devices()[:1], tokens_per_call=512).encode(given)


@pytest.mark.slow
def test_a_fresh_student_orders_texts_as_its_teacher(folder, params, started, tmp_path) -> None:
    given = texts(40)
    truth = similarities(WordTeacher(24)(given))
    own = np.corrcoef(truth, similarities(encoded(folder, started, tmp_path / "started", given)))[0, 1]
    random = np.corrcoef(truth, similarities(encoded(folder, params, tmp_path / "random", given)))[0, 1]
    assert own > 0.8, (own, random)
    assert own > random + 0.2, (own, random)


def test_embeddings_look_to_the_first_layer_as_usual(started) -> None:
    rows = started["encoder"]["embed"]["embedding"]
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(rows), axis=1)), 1, atol=1e-5)


def test_a_bag_of_pieces_is_the_projection_of_its_mean(folder, params, started) -> None:
    """Without layers: normalised mean of weight * vector, as far as the kept axes reach."""
    pieces = read_subwords(folder.path)
    vectors, weights = subword_vectors(pieces, WordTeacher(24)), subword_weights(pieces)
    table = started["encoder"]["embed"]["embedding"][: len(vectors)]
    made = table @ started["projection"]
    wide = dict(params, projection=np.zeros((48, 24), np.float32))
    assert 48 - 48 // 8 >= 24  # all axes are kept, so that nothing is lost
    np.testing.assert_allclose(made, np.sqrt(48) * weights[:, None] * vectors, atol=1e-4)
    again = static_params(wide, vectors, weights, OUTPUTS)
    np.testing.assert_array_equal(again["encoder"]["embed"]["embedding"], started["encoder"]["embed"]["embedding"])


def test_layers_start_quiet_and_the_rest_as_it_was(params, started) -> None:
    before, after = params["encoder"]["layers"], started["encoder"]["layers"]
    np.testing.assert_allclose(after["attention"]["out"], 0.1 * before["attention"]["out"], rtol=1e-6)
    np.testing.assert_allclose(after["mlp"]["wo"], 0.1 * before["mlp"]["wo"], rtol=1e-6)
    np.testing.assert_array_equal(after["attention"]["query"], before["attention"]["query"])
    assert jax.tree.structure(started) == jax.tree.structure(params)
    assert jax.tree.map(np.shape, started) == jax.tree.map(np.shape, params)


def test_frequent_pieces_weigh_less_and_special_ones_nothing() -> None:
    pieces = Subwords(["", "rare", "the"], np.array([1.0, 1e-6, 0.05]))
    np.testing.assert_allclose(subword_weights(pieces), [0, 0.999, 0.0196], atol=1e-3)
    assert not subword_vectors(pieces, WordTeacher(4))[0].any()


def test_pieces_are_what_the_tokenizer_calls_them(folder) -> None:
    pieces = read_subwords(folder.path)
    assert pieces.texts[:3] == ["", "", ""]
    assert set(WORDS) & set(pieces.texts)
    assert not any("▁" in text or text != text.strip() for text in pieces.texts)
    assert 0.5 < pieces.probability[3:].sum() <= 1.5  # of a unigram model


def test_other_tokenizers_and_sizes_are_refused(params, folder, tmp_path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE"}}))
    with pytest.raises(ValueError, match="of the type Unigram"):
        read_subwords(tmp_path)
    with pytest.raises(ValueError, match=r"set model\.projection=30"):
        static_params(params, np.ones((5, 30), np.float32), np.ones(5, np.float32), OUTPUTS)
    with pytest.raises(ValueError, match="201 pieces are more than"):
        static_params(params, np.ones((201, 24), np.float32), np.ones(201, np.float32), OUTPUTS)
