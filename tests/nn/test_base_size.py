"""A model of base size on real texts beside sentence-transformers: what a newcomer would compare first."""

import itertools
from pathlib import Path

import jax
import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.commands.create import create

pytest.importorskip("torch", reason="needs the extra `torch`")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

SOURCES = ("nq_open", "pubmedqa", "scitldr", "gsm8k", "nl2bash", "fnc1", "liar_plus", "conala", "medquad", "e2e_nlg")
TEXTS = 12  # of each source; a text costs half a second on two cores, here and in PyTorch
LETTERS = 400  # of a text; whole ones pass too and take three times as long


@pytest.fixture(scope="module")
def texts(shared: Path) -> dict[str, list[str]]:
    """Instruction -> real texts, of ten sources."""
    from instructor_jax.train.data.examples import Example
    from instructor_jax.train.medi.readers.source import read_source
    from instructor_jax.train.medi.registry import all_sources

    root = shared / "data" / "raw"
    found: dict[str, list[str]] = {}
    for folder in SOURCES:
        source = next(one for one in all_sources(root) if one.folder.startswith(folder) and not one.mined)
        rows = (row for row in read_source(source, root) if isinstance(row, Example))
        some = list(itertools.islice(rows, TEXTS))
        sides = [row.query if index % 2 else row.positive for index, row in enumerate(some)]
        found[f"Represent the {folder} text for retrieval: "] = [side.text[:LETTERS] for side in sides]
    assert [len(some) for some in found.values()] == [TEXTS] * len(SOURCES)
    return found


@pytest.fixture(scope="module")
def folder(texts: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    from instructor_jax.train.data.examples import Example, Side
    from instructor_jax.train.data.vocabulary import train_vocabulary

    rows = [
        Example(Side(instruction, text), Side("", text), (), "all", f"{instruction}{index}")
        for instruction, some in texts.items()
        for index, text in enumerate(some)
    ]
    path = tmp_path_factory.mktemp("base")

    class Rows:
        fingerprint, tasks = "real texts", ("all",)

        def rows(self, task: str) -> range:
            return range(len(rows))

        def read(self, numbers: range) -> list[Example]:
            return [rows[number] for number in numbers]

    train_vocabulary(Rows(), path / "tokenizer", 8000)
    create(path / "model", size="instructor-base", tokenizer=path / "tokenizer")
    return path / "model"


def test_real_texts_under_ten_instructions_in_one_call(folder: Path, texts: dict[str, list[str]]) -> None:
    from sentence_transformers import SentenceTransformer

    peer = SentenceTransformer(str(folder), device="cpu")
    peer.set_pooling_include_prompt(False)  # it would pool over the instruction of a local folder
    order = np.random.default_rng(0).permutation(TEXTS * len(SOURCES))
    pairs = [(instruction, text) for instruction, some in texts.items() for text in some]
    expected = np.concatenate([peer.encode(some, prompt=instruction) for instruction, some in texts.items()])
    one = jax.local_devices()[:1]  # eight devices on the same cores take longer
    model = Instructor.from_pretrained(folder, devices=one)
    vectors = model.encode([list(pairs[index]) for index in order])
    # both sides are float32 and sum in other orders; entries of unit vectors of 768 numbers are about 0.04
    np.testing.assert_allclose(vectors, expected[order], rtol=0, atol=1e-5)
    low = Instructor.from_pretrained(folder, dtype="bfloat16", devices=one).encode([list(pair) for pair in pairs[::10]])
    assert (low * expected[::10]).sum(axis=1).min() >= 0.999
