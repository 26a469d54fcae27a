"""Published models with their own weights, where somebody put them: sentence-transformers' vectors, and the same bits.

`INSTRUCTOR_JAX_PUBLISHED_MODELS` names their folders, separated as in PATH; `INSTRUCTOR_JAX_REAL_TEXTS` may name a file
with a text on each line, in place of lines of this project's own pages.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.convert.sources import read_source
from instructor_jax.convert.verify import verify
from instructor_jax.io.folder_writer import write_own, write_sentence_transformers
from instructor_jax.io.folders import read_folder, read_params
from instructor_jax.io.other_libraries import sentence_transformer
from instructor_jax.io.weights.tensor_files import read_tensors

from ..small_models import assert_identical

_MODELS = "INSTRUCTOR_JAX_PUBLISHED_MODELS"
_TEXTS = "INSTRUCTOR_JAX_REAL_TEXTS"
FOLDERS = [Path(path) for path in os.environ.get(_MODELS, "").split(os.pathsep) if path]

pytestmark = [
    pytest.mark.torch,
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDERS, reason=f"published weights are not part of this project; {_MODELS} names folders"),
]


def real_texts(repository: Path, count: int) -> list[str]:
    """Lines of prose."""
    named = os.environ.get(_TEXTS)
    files = [Path(named)] if named else [repository / "README.md", *sorted((repository / "docs").glob("*.md"))]
    lines = [line.strip() for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if len(line.split()) > 3][:count]


@pytest.mark.parametrize("path", FOLDERS, ids=lambda path: path.name)
def test_vectors_equal_sentence_transformers(path: Path, repository: Path) -> None:
    pytest.importorskip("sentence_transformers", reason="needs the extra `torch`")
    texts = real_texts(repository, 500)
    assert len(texts) == 500
    theirs, ours = sentence_transformer(path, local=True), Instructor(path)
    for prompt in (None, "Represent the sentence: "):
        expected = theirs.encode(texts, prompt=prompt, batch_size=16)
        found = ours.encode(texts, prompt=prompt)
        print(f"{path.name}, prompt {prompt!r}: {np.abs(found - expected).max():.2e}")
        assert np.abs(found - expected).max() <= 1e-5  # float32 on both sides, sums in another order
    assert len(np.unique(found.round(4), axis=0)) > 450  # texts that differ, not one vector for all


@pytest.mark.parametrize("path", FOLDERS, ids=lambda path: path.name)
def test_weights_there_and_back_are_identical(path: Path, tmp_path: Path) -> None:
    folder = read_folder(path)
    params = read_params(folder)
    stored = read_tensors(path)
    for name, write in (("pytorch", write_sentence_transformers), ("own", write_own)):
        write(tmp_path / name, folder, params)
        source = read_source(tmp_path / name)
        assert source.folder.config == folder.config
        assert_identical(source.params, params)
    back = read_tensors(tmp_path / "pytorch")
    left = {name for name in stored if name not in back}
    assert all(name.startswith("pooler.") or name.endswith("position_ids") for name in left)
    for name, array in back.items():
        assert array.tobytes() == stored[name].tobytes(), name


@pytest.mark.parametrize("path", FOLDERS, ids=lambda path: path.name)
def test_every_layer_equals_pytorch(path: Path) -> None:
    pytest.importorskip("transformers", reason="needs the extra `torch`")
    assert [row.name for row in verify(read_source(path)) if not row.passed] == []
