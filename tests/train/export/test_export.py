"""The same bytes from a running state on eight devices, from its checkpoint, and from all weights at once."""

import contextlib
import dataclasses
import io
from pathlib import Path

import jax
import ml_dtypes
import numpy as np
import pytest

from instructor_jax.cli import main
from instructor_jax.convert.sources import read_source
from instructor_jax.io.folder_writer import write_in_pieces, write_sentence_transformers, write_without_weights
from instructor_jax.io.folders import read_folder
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.run_checkpoint import open_checkpoint
from instructor_jax.io.run_layout import CHECKPOINTS, MODEL_SETTINGS
from instructor_jax.nn.model import Params
from instructor_jax.sharding import MeshShape, make_mesh
from instructor_jax.train.export.sharded_pieces import sharded_pieces
from instructor_jax.train.run.checkpoints import Checkpoints
from instructor_jax.train.settings.sections import CheckpointConfig
from instructor_jax.train.step import abstract_state, state_shardings

from ...small_models import tokenizer_folder
from ..random_batches import tiny_config

DTYPES = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
CONFIG = tiny_config()
MESH = make_mesh(MeshShape(data=2, fsdp=2, tensor=2))


def weights_of(step: int) -> Params:
    """Random weights, with numbers that narrow types cannot hold or only just."""
    chance = np.random.default_rng(step)

    def draw(x: jax.ShapeDtypeStruct) -> np.ndarray:
        values = chance.normal(size=x.shape).astype(np.float32)
        values.flat[:3] = (1e-7, 3.0e-41, 1.0 + 2.0**-9)
        return values

    return jax.tree.map(draw, abstract_state(CONFIG).params)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> ModelFolder:
    place = tokenizer_folder(tmp_path_factory.mktemp("model") / "tokenizer")
    return ModelFolder(place, CONFIG.model, {"query": "Q: "})


@pytest.fixture(scope="module")
def run(tmp_path_factory, folder) -> Path:
    """A run's folder with three checkpoints of eight devices; that of step 2 is the best."""
    place = tmp_path_factory.mktemp("run")
    write_without_weights(place / MODEL_SETTINGS, folder)
    checkpoints = Checkpoints(place / CHECKPOINTS, CheckpointConfig(keep=3))
    for step, accuracy in ((1, None), (2, 0.5), (3, 0.25)):
        state = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), abstract_state(CONFIG))
        state = dataclasses.replace(state, params=weights_of(step), step=np.int32(step))
        placed = jax.device_put(state, state_shardings(CONFIG, MESH))
        checkpoints.save(placed, {"run": {"export": "bfloat16"}}, accuracy)
        checkpoints.wait()
    checkpoints.close()
    return place


@pytest.fixture(scope="module")
def at_once(tmp_path_factory, folder) -> Path:
    """What is written from all weights at once, for each step and type."""
    place = tmp_path_factory.mktemp("expected")
    for step in (1, 2, 3):
        for name, dtype in DTYPES.items():
            params = jax.tree.map(lambda x, dtype=dtype: np.asarray(x, dtype), weights_of(step))
            write_sentence_transformers(place / f"{step}-{name}", folder, params)
    return place


@pytest.mark.parametrize("dtype", DTYPES)
def test_from_the_devices_piece_by_piece(tmp_path, folder, at_once, dtype: str) -> None:
    placed = jax.device_put(weights_of(2), state_shardings(CONFIG, MESH).params)
    write_in_pieces(tmp_path / "m", folder, sharded_pieces(placed, CONFIG.model, MESH), DTYPES[dtype])
    assert files(tmp_path / "m") == files(at_once / f"2-{dtype}")


def test_no_piece_is_larger_than_a_layer() -> None:
    placed = jax.device_put(weights_of(2), state_shardings(CONFIG, MESH).params)
    found = list(sharded_pieces(placed, CONFIG.model, MESH))
    assert all(piece.array.shape == piece.entry.shape for piece in found)
    assert sum(piece.array.size for piece in found) == sum(x.size for x in jax.tree.leaves(placed))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "3-bfloat16"),  # the latest, in the type that the run says
        (["--step", "best"], "2-bfloat16"),
        (["--step", "1", "--dtype", "float32"], "1-float32"),
        (["--dtype", "float16"], "3-float16"),
    ],
)
def test_from_a_checkpoint(tmp_path, run, at_once, options: list[str], expected: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        main(["export", str(run), str(tmp_path / "m"), *options])
    assert f"step {expected[0]} of" in printed.getvalue()
    assert files(tmp_path / "m") == files(at_once / expected)


def test_a_run_may_be_named_from_the_current_folder(tmp_path, run, at_once, monkeypatch) -> None:
    monkeypatch.chdir(run.parent)
    with contextlib.redirect_stdout(io.StringIO()):
        main(["export", run.name, str(tmp_path / "m")])
    assert files(tmp_path / "m") == files(at_once / "3-bfloat16")


def test_convert_reads_runs_and_single_checkpoints(run) -> None:
    for place, step in ((run, 3), (run / CHECKPOINTS, 3), (run / CHECKPOINTS / "1", 1)):
        source = read_source(place)
        assert source.format == f"step {step} of a training run"
        assert source.folder.prompts == {"query": "Q: "}
        jax.tree.map(np.testing.assert_array_equal, source.params, weights_of(step))


def test_what_a_run_notes_of_its_model_is_all_but_its_weights(run, folder) -> None:
    noted = read_folder(run / MODEL_SETTINGS)
    assert (noted.config, noted.prompts) == (folder.config, folder.prompts)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--step", "7"], "no checkpoint of step 7; there are 1, 2, 3"),
        (["--step", "last"], "number of a step, latest or best"),
        (["--step", "-1"], "number of a step, latest or best"),
    ],
)
def test_a_step_that_is_not_there_is_told(run, tmp_path, capsys, arguments: list[str], problem: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["export", str(run), str(tmp_path / "m"), *arguments])
    assert ended.value.code == 2
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_nothing_is_written_over(run, capsys, tmp_path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "mine").write_text("x")
    for target in (tmp_path / "m", run / CHECKPOINTS / "new", run / MODEL_SETTINGS / "new"):
        with pytest.raises(SystemExit) as ended:
            main(["export", str(run), str(target)])
        assert ended.value.code == 2
    capsys.readouterr()
    assert files(tmp_path / "m") == {"mine": b"x"}
    assert not (run / CHECKPOINTS / "new").exists()


def test_another_model_than_the_noted_one_is_refused(run, folder, tmp_path) -> None:
    encoder = dataclasses.replace(CONFIG.model.encoder, ffn=CONFIG.model.encoder.ffn * 2)
    config = dataclasses.replace(CONFIG.model, encoder=encoder)
    checkpoint = open_checkpoint(run, 1)
    other = dataclasses.replace(checkpoint, folder=dataclasses.replace(folder, config=config))
    with pytest.raises(ValueError, match="has shape .* expected is"):
        write_in_pieces(tmp_path / "m", other.folder, other.pieces(), np.float32)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_leaves_nothing(run, tmp_path) -> None:
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    for path in (copy / CHECKPOINTS / "3" / "state").rglob("*"):
        if path.is_file() and path.parent.name == "d":
            path.write_bytes(b"")
    checkpoint = open_checkpoint(copy)
    with pytest.raises(ValueError, match="cannot be read"):
        write_in_pieces(tmp_path / "m", checkpoint.folder, checkpoint.pieces(), np.float32)
    assert not (tmp_path / "m").exists()


def test_a_folder_that_is_no_run_is_told(tmp_path) -> None:
    with pytest.raises(ValueError, match="no folder of a training run"):
        open_checkpoint(tmp_path)
