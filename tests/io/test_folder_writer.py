"""Written folders: complete or not there at all, and read by sentence-transformers 6 as the same model."""

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from instructor_jax.io import folder_writer
from instructor_jax.io.folder_writer import write_own, write_sentence_transformers
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.own_folder import RANGES
from instructor_jax.io.settings.family import read_encoder_config
from instructor_jax.io.weights.tensor_files import read_tensors

from ..small_models import SMALL, UMT5, random_arrays, random_params, tokenizer_folder

WRITERS = {"sentence-transformers": write_sentence_transformers, "own": write_own}


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    ranges = {12: np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 12)}
    return ModelFolder(tokenizer_folder(tmp_path / "tokenizer"), SMALL, {"query": "Q: "}, "query", ranges)


def test_what_lies_in_the_folder(tmp_path: Path, folder: ModelFolder) -> None:
    target = tmp_path / "new" / "m"
    write_sentence_transformers(target, folder, random_params(SMALL, ml_dtypes.bfloat16))
    files = {path.relative_to(target).as_posix() for path in target.rglob("*")}
    assert files == {
        "1_Pooling", "1_Pooling/config.json", "2_Dense", "2_Dense/config.json", "2_Dense/model.safetensors",
        "3_Normalize", "config.json", "config_sentence_transformers.json", "int8_ranges.json", "model.safetensors",
        "modules.json", "sentence_bert_config.json", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    arrays = read_tensors(target)
    assert {array.dtype for array in arrays.values()} == {np.dtype(ml_dtypes.bfloat16)}
    assert set(arrays) == set(random_arrays(SMALL)) - {"projection.weight"}
    assert read_encoder_config(json.loads((target / "config.json").read_text())) == SMALL.encoder
    assert json.loads((target / "1_Pooling" / "config.json").read_text())["include_prompt"] is False
    assert json.loads((target / "config_sentence_transformers.json").read_text())["prompts"] == {"query": "Q: "}
    assert (target / "tokenizer.json").read_bytes() == (folder.path / "tokenizer.json").read_bytes()
    assert np.array(json.loads((target / RANGES).read_text())["12"], np.float32).tobytes() == (
        folder.int8_ranges[12].tobytes()
    )
    assert target.stat().st_mode & 0o777 == (tmp_path / "new").stat().st_mode & 0o777


def test_float16_weights_are_computed_with_in_float32(tmp_path: Path, folder: ModelFolder) -> None:
    """transformers would else compute in the type that it finds, in which T5 overflows."""
    for dtype in (np.float16, np.float32):
        write_sentence_transformers(tmp_path / dtype.__name__, folder, random_params(SMALL, dtype))
    settings = json.loads((tmp_path / "float16" / "config.json").read_text())
    assert settings["dtype"] == settings["torch_dtype"] == "float32"
    assert read_encoder_config(settings) == SMALL.encoder
    assert "dtype" not in json.loads((tmp_path / "float32" / "config.json").read_text())
    assert {array.dtype for array in read_tensors(tmp_path / "float16").values()} == {np.dtype(np.float16)}


def test_modules_that_the_model_lacks_are_not_written(tmp_path: Path, folder: ModelFolder) -> None:
    write_sentence_transformers(tmp_path / "m", ModelFolder(folder.path, UMT5), random_params(UMT5))
    modules = json.loads((tmp_path / "m" / "modules.json").read_text())
    assert [module["path"] for module in modules] == ["", "1_Pooling"]
    assert not (tmp_path / "m" / RANGES).exists()


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["copy_tokenizer", "_write_json"])
@pytest.mark.parametrize("writer", WRITERS)
def test_nothing_half_written_appears(
    tmp_path: Path, folder: ModelFolder, writer: str, step: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    before = set(tmp_path.iterdir())
    monkeypatch.setattr(folder_writer, step, fail)
    with pytest.raises(type(error)):
        WRITERS[writer](tmp_path / "m", folder, random_params(SMALL))
    assert set(tmp_path.iterdir()) == before
    monkeypatch.undo()
    WRITERS[writer](tmp_path / "m", folder, random_params(SMALL))
    assert set(tmp_path.iterdir()) == before | {tmp_path / "m"}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_is_there_already_is_never_replaced(tmp_path: Path, folder: ModelFolder, writer: str) -> None:
    target = tmp_path / "m"
    target.mkdir()
    (target / "mine.txt").write_text("dear")
    for taken in (target, target / "mine.txt"):
        with pytest.raises(ValueError, match=r"exists and is not an empty folder; choose another name or remove it"):
            WRITERS[writer](taken, folder, random_params(SMALL))
    assert (target / "mine.txt").read_text() == "dear"
    (target / "mine.txt").unlink()
    WRITERS[writer](target, folder, random_params(SMALL))  # an empty folder is taken
    assert len(list(target.iterdir())) > 4


@pytest.mark.parametrize("writer", WRITERS)
def test_weights_that_do_not_fit_write_nothing(tmp_path: Path, folder: ModelFolder, writer: str) -> None:
    params = random_params(SMALL)
    with pytest.raises(ValueError, match=r"parameter projection has shape \(12, 16\)"):
        WRITERS[writer](tmp_path / "m", folder, params | {"projection": params["projection"].T})
    assert not (tmp_path / "m").exists()


@pytest.mark.slow
@pytest.mark.torch
def test_sentence_transformers_pools_as_we_do(tiny_folder: Path, embedder, tmp_path: Path) -> None:
    """Ten instructions, one call of ours; its own tokenizer, T5, pooling and projection in PyTorch."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    embedder.save_pretrained(tmp_path / "saved")
    model = sentence_transformers.SentenceTransformer(str(tmp_path / "saved"), device="cpu", local_files_only=True)
    assert model[1].include_prompt is False
    assert model.max_seq_length == embedder.max_seq_length
    kinds = ("title", "sentence", "question", "review", "paper")
    instructions = [f"Represent the {kind}{end}" for kind in kinds for end in (" for retrieval: ", ":")]
    texts = ["A river in the north.", "3.14 and äöü", "", "the water of a small river " * 60, "x"]
    pairs = [[instruction, text.strip()] for instruction in instructions for text in texts]
    expected = [model.encode(text, prompt=instruction) for instruction, text in pairs]
    vectors = embedder.encode(pairs, on_overflow="truncate")
    # float32 on both sides, sums in another order; vectors have unit length
    np.testing.assert_allclose(vectors, np.stack(expected), rtol=0, atol=1e-5)
