"""The packaged model: loads without a name and without a network, is small, and its vectors mean something."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.io.default_model import DEFAULT_FOLDER, DEFAULT_MODEL
from instructor_jax.io.hub import resolve_model
from instructor_jax.io.weights.tensor_files import read_tensors
from instructor_jax.model_options import ModelOptions, model_name

TOPICS = {
    "cooking": ["How long do I have to boil the eggs?", "Fry the onions until they are soft.", "A recipe for soup"],
    "money": ["The bank raised its interest rates.", "How do I pay back my loan?", "Shares fell on the stock market"],
    "animals": ["A dog chased the cat.", "Wolves hunt in packs.", "The horse ate hay in its stable"],
}
SENTENCES = [text for texts in TOPICS.values() for text in texts]
MEGABYTES = 47


@pytest.fixture(scope="module")
def default() -> Instructor:
    return Instructor.from_pretrained(tokens_per_call=256)


def test_it_is_small_and_whole() -> None:
    files = [path for path in DEFAULT_FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MEGABYTES * 1e6
    names = {path.relative_to(DEFAULT_FOLDER).as_posix() for path in files}
    # the published layout, a tokenizer that needs no conversion, and the card with sources and licences
    assert {"modules.json", "config.json", "model.safetensors", "1_Pooling/config.json", "tokenizer.json"} <= names
    assert "licen" in (DEFAULT_FOLDER / "README.md").read_text(encoding="utf-8").lower()


def test_its_weights_are_kept_in_float16_and_finite() -> None:
    # sentence-transformers reads float16 as it is; int8 would open there with wrong vectors and no error
    for array in read_tensors(DEFAULT_FOLDER).values():
        assert array.dtype == np.float16
        assert np.isfinite(array).all()


def test_texts_of_a_topic_are_nearest(default: Instructor) -> None:
    vectors = default.encode(SENTENCES)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    scores = vectors @ vectors.T
    same = np.kron(np.eye(len(TOPICS)), np.ones((3, 3))).astype(bool)
    others = ~np.eye(len(SENTENCES), dtype=bool)
    # no two of a topic share a word that means anything, so that lexical overlap alone does not pass
    assert scores[same & others].mean() > scores[~same].mean() + 0.1
    assert (np.where(others, scores, -1).argmax(1) // 3 == np.arange(len(SENTENCES)) // 3).mean() >= 2 / 3


def test_an_instruction_moves_the_vector(default: Instructor) -> None:
    text = "The staff was friendly, but the soup was cold."
    plain, topic, feeling = default.encode(
        [
            ["", text],
            ["Represent the review for clustering by topic: ", text],
            ["Represent the review for classifying the sentiment: ", text],
        ]
    )
    assert max(plain @ topic, plain @ feeling, topic @ feeling) < 0.999


@pytest.mark.parametrize(
    ("objective", "least", "most"),
    [
        ("classifying the disease that it is about", 0.95, 1.0),
        ("classifying what it wants to know of the disease", 0.0, 0.05),
    ],
)
def test_the_instruction_decides_what_is_alike(default: Instructor, objective: str, least: float, most: float) -> None:
    """Of two questions, one of the same disease and one of the same kind; in words that training did not use."""
    kinds = ("How do I know whether I have {}?", "Which pills cure {}?", "Why do people get {}?")
    diseases = ("gout", "tonsillitis", "glaucoma", "anemia", "a stroke")
    asked = [kind.format(disease) for disease in diseases for kind in kinds]
    vectors = default.encode(asked, instruction=f"Represent the medicine question for {objective}: ")
    scores = (vectors @ vectors.T).reshape(5, 3, 5, 3)
    same_disease = [
        scores[d, k, d, other_kind] > scores[d, k, other, k]
        for d, k, other, other_kind in np.ndindex(5, 3, 5, 3)
        if other != d and other_kind != k
    ]
    assert len(same_disease) == 120
    assert least <= np.mean(same_disease) <= most  # measured: 1.00 and 0.00, without an instruction 1.00


def test_the_name_is_always_the_packaged_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / DEFAULT_MODEL).mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve_model(DEFAULT_MODEL) == DEFAULT_FOLDER
    assert resolve_model(f"./{DEFAULT_MODEL}") == Path(DEFAULT_MODEL)
    assert model_name(ModelOptions()) == DEFAULT_MODEL
    assert model_name(ModelOptions(model=f"./{DEFAULT_MODEL}")) == str(tmp_path / DEFAULT_MODEL)


@pytest.mark.slow
def test_the_command_needs_neither_a_name_nor_a_network(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("\n".join(SENTENCES) + "\n")
    # every attempt to open a connection fails, whatever library makes it
    blocked = (
        "import socket, sys; socket.socket.connect = None; from instructor_jax.cli import main; main(sys.argv[1:])"
    )
    found = subprocess.run(
        [sys.executable, "-c", blocked, "search", notes, "--query", "a hungry pony", "--json", "--top-k", "1"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"},
    )
    hit = json.loads(found.stdout)["results"][0]["hits"][0]
    assert hit["text"] in TOPICS["animals"]


def test_an_instruction_sorts_reviews_by_feeling_that_are_alike_by_topic(default: Instructor) -> None:
    """Reviews of things that training has none of; without the instruction the thing decides."""
    things = ("a hotel room", "a pair of boots", "a phone", "a bicycle", "a language course")
    pleased = ("I love it, {} as good as I have ever had.", "{}, and everything about it was wonderful.")
    cross = ("I regret it, {} as bad as I have ever had.", "{}, and everything about it was awful.")
    texts = [line.format(thing) for thing in things for line in (*pleased, *cross)]
    feeling = np.tile([1, 1, 0, 0], len(things))
    vectors = default.encode(texts, instruction="Represent the review for classifying the sentiment: ")
    scores = vectors @ vectors.T - 2 * np.eye(len(texts))
    assert (feeling[scores.argmax(axis=1)] == feeling).mean() >= 0.9
    plain = default.encode(texts)
    scores = plain @ plain.T - 2 * np.eye(len(texts))
    assert (feeling[scores.argmax(axis=1)] == feeling).mean() <= 0.7


@pytest.mark.torch
def test_sentence_transformers_gives_the_same_vectors(default: Instructor) -> None:
    transformers = pytest.importorskip("sentence_transformers")
    peer = transformers.SentenceTransformer(str(DEFAULT_FOLDER), local_files_only=True, device="cpu").float()
    instruction = "Represent the sentence for retrieval: "
    theirs = peer.encode(SENTENCES, prompt=instruction)
    # two frameworks in float32, over a few layers of weights that were rounded to float16
    np.testing.assert_allclose(default.encode(SENTENCES, instruction=instruction), theirs, atol=1e-5)
    np.testing.assert_allclose(default.encode(SENTENCES), peer.encode(SENTENCES), atol=1e-5)
