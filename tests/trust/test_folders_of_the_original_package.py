"""Folders that the original package saved (`INSTRUCTOR.save`, the last line of its training script) open and convert.

The folders are made as InstructorEmbedding 1.0.1 with sentence-transformers 2.2.2 writes them; see
`saved_by_the_original`. The golden vectors are those that this code computed.
"""

import json
import os
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.io.folders import read_folder, read_params

from ..small_models import SMALL, assert_identical, model_folder
from .folder_variants import build, encoder_in, nothing, read, saved_by_the_original

NAMINGS = ("module", "class", "repository")


def test_it_is_what_the_original_writes(tmp_path: Path) -> None:
    """The files of a folder that the original's code wrote on a machine of ours."""
    path = build(tmp_path / "m", SMALL, saved_by_the_original("module"))
    assert read(path / "modules.json") == [
        {"idx": 0, "name": "0", "path": "", "type": "InstructorEmbedding.instructor"},
        {"idx": 1, "name": "1", "path": "1_INSTRUCTOR_Pooling", "type": "InstructorEmbedding.instructor"},
        {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
        {"idx": 3, "name": "3", "path": "3_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    assert set(read(path / "1_INSTRUCTOR_Pooling" / "config.json")) == {
        "word_embedding_dimension", "pooling_mode_cls_token", "pooling_mode_mean_tokens", "pooling_mode_max_tokens",
        "pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken",
    }  # fmt: skip
    assert set(read(path / "2_Dense" / "config.json")) == {"in_features", "out_features", "bias", "activation_function"}
    assert read(path / "sentence_bert_config.json") == {"max_seq_length": 512, "do_lower_case": False}
    assert set(read(path / "config_sentence_transformers.json")) == {"__version__"}


@pytest.mark.parametrize("naming", NAMINGS)
def test_the_golden_vectors(shared: Path, tiny_instructor: Path, tmp_path: Path, naming: str) -> None:
    path = Path(shutil.copytree(tiny_instructor, tmp_path / "m", copy_function=shutil.copyfile))
    for folder, _, _ in os.walk(path):
        Path(folder).chmod(0o755)
    saved_by_the_original(naming)(path)
    assert_identical(read_params(read_folder(path)), read_params(read_folder(tiny_instructor)))
    assert read_folder(path).config == read_folder(tiny_instructor).config
    if naming == "module":  # the same weights and settings give the same vectors
        model = Instructor.from_pretrained(path, devices=jax.devices()[:1], tokens_per_call=512)
        pairs = json.loads((shared / "fixtures" / "tiny_instructor_golden_inputs.json").read_text())
        expected = np.load(shared / "fixtures" / "tiny_instructor_golden_embeddings.npy")
        vectors = model.encode(pairs, on_overflow="truncate")
        np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("to", ["sentence-transformers", "orbax"])
@pytest.mark.parametrize("naming", NAMINGS)
def test_it_converts(tmp_path: Path, naming: str, to: str) -> None:
    from instructor_jax.cli import main

    path = build(tmp_path / "original", SMALL, saved_by_the_original(naming))
    main(["convert", str(path), str(tmp_path / "converted"), "--to", to])
    standard = read_folder(build(tmp_path / "standard", SMALL, nothing))
    converted = read_folder(tmp_path / "converted")
    assert converted.config == standard.config
    assert_identical(read_params(converted), read_params(standard))


def test_an_encoder_in_a_folder_of_its_own_converts(tmp_path: Path) -> None:
    """Its tokenizer comes along; the target is in the usual layout."""
    from instructor_jax.cli import main

    path = build(tmp_path / "old", SMALL, encoder_in("0_Transformer"))
    main(["convert", str(path), str(tmp_path / "converted")])
    standard = model_folder(tmp_path / "standard")
    assert (tmp_path / "converted" / "tokenizer.json").read_bytes() == (standard / "tokenizer.json").read_bytes()
    assert read_folder(tmp_path / "converted").config == read_folder(standard).config
    assert_identical(read_params(read_folder(tmp_path / "converted")), read_params(read_folder(standard)))
