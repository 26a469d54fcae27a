"""The `convert` command: what it takes, what it refuses in one line, and that nothing is left half written."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from flax import serialization
from safetensors.numpy import load_file, save_file

from instructor_jax.cli import main
from instructor_jax.convert.sources import read_source
from instructor_jax.io.folders import read_folder, read_params

from ..convert import test_from_flax as flax
from ..convert import test_from_t5x as t5x
from ..small_models import SMALL, assert_identical, model_folder, random_arrays, random_params, tokenizer_folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("convert") / "base")


@pytest.fixture
def folder(base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base, tmp_path / "m"))


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    return tokenizer_folder(tmp_path / "tokenizer")


def convert(*arguments: object) -> None:
    main(["convert", *map(str, arguments)])


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must exit with 2 and one line on stderr, which is returned."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            convert(*arguments)
        lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
        assert caught.value.code == 2
        assert len(lines) == 1, lines
        assert lines[0].startswith("instructor-jax: error: ")
        assert lines[0].isprintable()
        return lines[0]

    return run


def left(tmp_path: Path) -> set[str]:
    return {path.name for path in tmp_path.iterdir()}


# --- What it takes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["pytorch", "sentence-transformers"])
def test_pytorch_is_another_name_for_its_layout(
    folder: Path, tmp_path: Path, to: str, capsys: pytest.CaptureFixture[str]
) -> None:
    convert(folder, tmp_path / "out", "--to", to)
    assert "(PyTorch, sentence-transformers): " in capsys.readouterr().out
    assert_identical(read_params(read_folder(tmp_path / "out")), random_params(SMALL))
    assert (tmp_path / "out" / "modules.json").is_file()


def test_takes_the_packaged_model_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    convert("default", tmp_path / "out")
    assert capsys.readouterr().out.startswith("default (")
    assert read_folder(tmp_path / "out").config == read_folder(Path(read_source_of_default())).config


def read_source_of_default() -> str:
    from instructor_jax.io.default_model import DEFAULT_FOLDER

    return str(DEFAULT_FOLDER)


def test_takes_a_name_of_the_hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instructor_jax.convert.main.resolve_model", {"some/model": folder}.__getitem__)
    convert("some/model", tmp_path / "out")
    assert_identical(read_params(read_folder(tmp_path / "out")), random_params(SMALL))


@pytest.mark.parametrize("name", ["alone.safetensors", "alone.bin", "alone.pt"])
def test_takes_a_single_file(tmp_path: Path, tokenizer: Path, name: str) -> None:
    arrays = random_arrays(SMALL)
    if name.endswith(".safetensors"):
        save_file(arrays, tmp_path / name)
    else:
        torch = pytest.importorskip("torch")
        torch.save({key: torch.from_numpy(array) for key, array in arrays.items()}, tmp_path / name)
    convert(tmp_path / name, tmp_path / "out", "--tokenizer", tokenizer)
    found = read_source(tmp_path / "out")
    assert (found.folder.config.projection, found.folder.config.normalize) == (12, True)
    assert_identical(found.params, random_params(SMALL))


@pytest.mark.parametrize("name", ["test_t5_tiny.checkpoint_0", "checkpoint", "checkpoint_1000", "x.msgpack"])
def test_takes_a_t5x_checkpoint_in_one_file(tmp_path: Path, tokenizer: Path, name: str) -> None:
    model = t5x.random_model(t5x.T5, projection=6)
    place = t5x.write(tmp_path / "a", t5x.with_decoder(t5x.as_t5x(t5x.T5, model))) / "checkpoint"
    place.rename(tmp_path / name)
    convert(tmp_path / name, tmp_path / "out", "--tokenizer", tokenizer)
    expected = read_source(t5x.write(tmp_path / "b", t5x.as_t5x(t5x.T5, model)))
    assert_identical(read_source(tmp_path / "out").params, expected.params)


def test_a_run_whose_only_step_is_a_file(tmp_path: Path, tokenizer: Path) -> None:
    model = t5x.as_t5x(t5x.T5, t5x.random_model(t5x.T5))
    (t5x.write(tmp_path / "a", model) / "checkpoint").rename(tmp_path / "a" / "checkpoint_7")
    convert(tmp_path / "a", tmp_path / "out", "--tokenizer", tokenizer)
    assert read_source(tmp_path / "out").folder.config.encoder.layers == 3


def test_takes_a_flax_file(tmp_path: Path, tokenizer: Path) -> None:
    flax.write(tmp_path / "weights.msgpack", flax.random_flax())
    convert(tmp_path / "weights.msgpack", tmp_path / "out", "--tokenizer", tokenizer)
    assert read_source(tmp_path / "out").folder.config.encoder.embed == 12


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("to", ["pytorch", "orbax"])
def test_casts(folder: Path, tmp_path: Path, dtype: str, to: str) -> None:
    convert(folder, tmp_path / "out", "--dtype", dtype, "--to", to)
    params = read_params(read_folder(tmp_path / "out"))
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    assert params["projection"].dtype == kind
    np.testing.assert_array_equal(params["projection"], random_params(SMALL)["projection"].astype(kind))
    if (dtype, to) == ("float16", "pytorch"):  # or transformers would compute in it, and T5 overflows
        assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "float32"


@pytest.mark.parametrize("name", ["out put", "-out", "ünïcode", "a\nb", "x.y.z", "out/deeper/still"])
def test_odd_names_of_targets(folder: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    convert(folder, tmp_path / name)
    assert read_folder(tmp_path / name).config == SMALL
    assert "parameters" in capsys.readouterr().out


# --- Weights that are no numbers ------------------------------------------------------------------------------------


def poison(folder: Path, value: float, *names: str) -> None:
    arrays = {name: array.copy() for name, array in load_file(folder / "model.safetensors").items()}
    for name in names:
        arrays[name].flat[3] = value
    save_file(arrays, folder / "model.safetensors")


WO = "encoder.block.1.layer.1.DenseReluDense.wo.weight"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["as-is", "float16", "bfloat16"])
def test_not_a_number_is_kept_and_told_in_one_line(
    folder: Path, tmp_path: Path, value: float, dtype: str, capsys: pytest.CaptureFixture[str]
) -> None:
    poison(folder, value, WO, "shared.weight")
    convert(folder, tmp_path / "out", "--dtype", dtype)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("instructor-jax: warning: encoder.embed.embedding, encoder.layers.mlp.wo[1] hold NaN or inf")
    found = read_params(read_folder(tmp_path / "out"))["encoder"]["layers"]["mlp"]["wo"]
    assert (~np.isfinite(found)).sum() == 1


@pytest.mark.parametrize("value", [70000.0, -1e30, 65520.0])
def test_what_float16_cannot_hold_is_refused_by_name(
    folder: Path, tmp_path: Path, value: float, fails: Callable[..., str]
) -> None:
    poison(folder, value, WO)
    line = fails(folder, tmp_path / "out", "--dtype", "float16")
    assert "float16 cannot hold weights of encoder.layers.mlp.wo[1]: its greatest number is 65504" in line
    assert left(tmp_path) == {"m"}
    convert(folder, tmp_path / "out", "--dtype", "bfloat16")


def test_the_greatest_number_of_float16_is_held(folder: Path, tmp_path: Path) -> None:
    poison(folder, 65504.0, WO)
    convert(folder, tmp_path / "out", "--dtype", "float16")


def test_infinity_beside_an_overflow_is_still_refused(folder: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    poison(folder, np.inf, "shared.weight")
    poison(folder, 1e30, WO)
    with pytest.raises(SystemExit):
        convert(folder, tmp_path / "out", "--dtype", "float16")
    assert left(tmp_path) == {"m"}


# --- Places ---------------------------------------------------------------------------------------------------------


def test_a_target_inside_the_source_is_refused(folder: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    before = left(folder)
    (tmp_path / "link").symlink_to(folder)
    for target in (folder / "out", folder / "1_Pooling" / "out", tmp_path / "link" / "out", folder / "a" / "b" / "c"):
        assert "lies inside the source" in fails(folder, target)
    assert left(folder) == before


def test_a_source_inside_the_target_is_refused(folder: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    assert "exists and is not an empty folder" in fails(folder, tmp_path)
    assert "exists and is not an empty folder" in fails(folder, folder)
    assert_identical(read_params(read_folder(folder)), random_params(SMALL))


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling link", "below a file"])
def test_what_is_there_is_not_replaced(folder: Path, tmp_path: Path, kind: str, fails: Callable[..., str]) -> None:
    target = tmp_path / "out"
    if kind == "folder":
        target.mkdir()
        (target / "own.txt").write_text("mine")
    elif "link" in kind:
        target.symlink_to(tmp_path / ("absent" if kind == "dangling link" else "m"))
    else:
        target.write_text("mine")
    before = left(tmp_path)
    assert "out" in fails(folder, target / "deeper" if kind == "below a file" else target)
    assert left(tmp_path) == before
    assert not target.is_file() or target.read_text() == "mine"


def test_an_empty_folder_is_filled(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    convert(folder, tmp_path / "out")
    assert read_folder(tmp_path / "out").config == SMALL


@pytest.mark.parametrize("to", ["pytorch", "orbax"])
def test_a_full_disk_leaves_nothing(
    folder: Path, tmp_path: Path, to: str, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out")

    monkeypatch.setattr("instructor_jax.io.folder_writer.shutil.copyfile", full)  # after the weights were written
    assert "No space left" in fails(folder, tmp_path / "out", "--to", to)
    assert left(tmp_path) == {"m"}


# --- Sources --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "hub name|is empty|names no model"),
        ("a/b/c/d", "neither an existing folder nor a hub name"),
        ("./absent", "neither an existing folder nor a hub name"),
        ("some/absent-model", "not in the local cache"),
        ("../x\x1b[31m", "hub name"),
    ],
)
def test_a_source_that_is_nowhere_is_told(tmp_path: Path, source: str, message: str, fails: Callable[..., str]) -> None:
    line = fails(source, tmp_path / "out")
    assert any(part in line for part in message.split("|")), line
    assert left(tmp_path) == set()


FILES = {
    "text.txt": b"hello",
    "empty.bin": b"",
    "empty.safetensors": b"",
    "empty": b"",
    "json.json": b"{}",
    "zip.zip": b"PK\x03\x04",
    "cut.bin": b"PK\x03\x04 and no archive",
    "list.msgpack": b"\x93\x01\x02\x03",
    "cut.msgpack": b"\x81\xa1a",
    "nothing.msgpack": b"\x80",
    "numbers.msgpack": serialization.msgpack_serialize({"encoder": {"block": {"0": 3}}}),
    "pickle.pkl": b"\x80\x04N.",
    "gguf.gguf": b"GGUF\x03\x00\x00\x00",
    "pointer.bin": b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_holds_no_weights_is_told(tmp_path: Path, name: str, fails: Callable[..., str]) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    assert name in fails(tmp_path / name, tmp_path / "out")
    assert left(tmp_path) == {name}


@pytest.mark.parametrize("name", ["model.safetensors", "adapter_model.safetensors"])
def test_a_part_of_a_folder_is_not_taken_for_the_model(
    folder: Path, tmp_path: Path, name: str, fails: Callable[..., str]
) -> None:
    (folder / name).touch()
    assert "is a part of a model's folder; give the folder" in fails(folder / name, tmp_path / "out")


def test_a_source_without_a_tokenizer_names_the_option(tmp_path: Path, fails: Callable[..., str]) -> None:
    save_file(random_arrays(SMALL), tmp_path / "alone.safetensors")
    assert "--tokenizer" in fails(tmp_path / "alone.safetensors", tmp_path / "out")
    assert "--tokenizer" in fails(tmp_path / "alone.safetensors", tmp_path / "out", "--tokenizer", tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        ("--to", "torch"),
        ("--to", "tensorflow"),
        ("--dtype", "int8"),
        ("--dtype", "float64"),
        ("--dtype", ""),
        ("--unknown",),
    ],
)
def test_options_are_checked(folder: Path, tmp_path: Path, options: tuple[str, ...], fails: Callable[..., str]) -> None:
    fails(folder, tmp_path / "out", *options)
    assert left(tmp_path) == {"m"}


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("kind", ["packaged", "prefixed", "bin"])
def test_verify_takes_what_convert_takes(folder: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    arrays = load_file(folder / "model.safetensors")
    if kind == "prefixed":
        save_file({f"module.{name}": array for name, array in arrays.items()}, folder / "model.safetensors")
    elif kind == "bin":
        (folder / "model.safetensors").unlink()
        torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, folder / "pytorch_model.bin")
    main(["convert", "verify", "default" if kind == "packaged" else str(folder)])
    assert "verdict: equal to PyTorch" in capsys.readouterr().out
