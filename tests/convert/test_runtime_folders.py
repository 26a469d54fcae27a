"""Folders for other runtimes: what a program that knows only the manifest computes is what `encode` returns."""

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax import export
from safetensors.numpy import load_file

from instructor_jax import Instructor
from instructor_jax.convert.main import convert
from instructor_jax.convert.sources import read_source
from instructor_jax.convert.stablehlo_file import write_stablehlo

from ..backbones.family_folders import TEXTS, family_folder
from ..backbones.test_folders import MODELS
from .runtime_inputs import INSTRUCTION, LONG, inputs


@pytest.fixture(scope="module")
def stablehlo(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("runtime") / "graph"
    convert(str(tiny_folder), str(target), to="stablehlo")
    return target


def run_stablehlo(folder: Path, arrays: list[np.ndarray]) -> np.ndarray:
    program = export.deserialize(bytearray((folder / "model.stablehlo").read_bytes()))
    return np.asarray(program.call(load_file(folder / "model.safetensors"), *arrays))


def test_a_program_gives_the_vectors_of_encode(stablehlo: Path, tiny_folder: Path, embedder: Instructor) -> None:
    for texts in ([LONG, "one", "a short text"], ["alone"]):  # two shapes of one program
        expected = embedder.encode(texts, instruction=INSTRUCTION)
        found = run_stablehlo(stablehlo, inputs(stablehlo, texts, INSTRUCTION))
        assert np.abs(found - expected).max() <= 2e-6  # float32, sums of a row of another length


def test_the_instruction_is_read_and_not_pooled(stablehlo: Path) -> None:
    ids, mask, head = inputs(stablehlo, ["a short text"], INSTRUCTION)
    assert head[0] > 1
    masked, pooled = (run_stablehlo(stablehlo, [ids, mask, number]) for number in (head, head * 0))
    assert np.abs(masked - pooled).max() > 1e-3
    padded = [np.pad(array, ((0, 0), (0, 5)), constant_values=value) for array, value in ((ids, 7), (mask, 0))]
    assert np.abs(run_stablehlo(stablehlo, [*padded, head]) - masked).max() <= 2e-6  # padding is not read


def test_the_manifest_tells_the_program(stablehlo: Path, tiny_folder: Path) -> None:
    manifest = json.loads((stablehlo / "manifest.json").read_text(encoding="utf-8"))
    program = export.deserialize(bytearray((stablehlo / "model.stablehlo").read_bytes()))
    weights = load_file(stablehlo / "model.safetensors")
    assert manifest["arguments"] == [*sorted(weights), "input_ids", "attention_mask", "instruction_tokens"]
    assert len(program.in_avals) == len(manifest["arguments"])
    assert set(program.platforms) == set(manifest["platforms"]) == {"cpu", "cuda", "rocm", "tpu"}
    assert manifest["max_length"] == read_source(tiny_folder).folder.config.max_length
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (stablehlo / name).read_bytes() == (tiny_folder / name).read_bytes()


def test_narrow_weights_stay_narrow(tiny_folder: Path, tmp_path: Path) -> None:
    convert(str(tiny_folder), str(tmp_path / "half"), to="stablehlo", dtype="bfloat16")
    assert (tmp_path / "half" / "model.safetensors").stat().st_size < 0.55 * (
        tiny_folder / "model.safetensors"
    ).stat().st_size
    found = run_stablehlo(tmp_path / "half", inputs(tmp_path / "half", ["one", "two"], INSTRUCTION))
    expected = Instructor.from_pretrained(tiny_folder, devices=jax.devices()[:1], tokens_per_call=512).encode(
        ["one", "two"], instruction=INSTRUCTION
    )
    assert 1e-6 < np.abs(found - expected).max() < 2e-2  # weights of 8 bits, computed in float32


@pytest.mark.slow
@pytest.mark.parametrize("family", MODELS)
def test_every_family_becomes_a_program(family: str, tmp_path: Path) -> None:
    kind, config = MODELS[family]
    path = family_folder(tmp_path / "model", kind, config)
    convert(str(path), str(tmp_path / "graph"), to="stablehlo")
    texts: list[Any] = list(TEXTS)
    model = Instructor.from_pretrained(path, devices=jax.devices()[:1], tokens_per_call=256)
    found = run_stablehlo(tmp_path / "graph", inputs(tmp_path / "graph", texts, ""))
    scale = max(1.0, float(np.abs(found).max()))  # not all of these models give unit vectors
    assert np.abs(found - model.encode(texts)).max() <= 2e-6 * scale


def test_nothing_is_written_over_or_left(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dear = tmp_path / "dear"
    dear.mkdir()
    (dear / "file").write_text("dear")
    with pytest.raises(ValueError, match="not an empty folder"):
        convert(str(tiny_folder), str(dear), to="stablehlo")
    source = read_source(tiny_folder)
    without = dataclasses.replace(source.folder, path=dear)
    with pytest.raises(ValueError, match=r"has no tokenizer\.json"):
        write_stablehlo(tmp_path / "new", without, source.params)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("instructor_jax.convert.stablehlo_file.write_safetensors", full)
    with pytest.raises(OSError, match="No space left"):
        convert(str(tiny_folder), str(tmp_path / "new"), to="stablehlo")
    assert [path.name for path in tmp_path.iterdir()] == ["dear"]
    assert (dear / "file").read_text() == "dear"


def test_without_its_package_the_extra_is_named(tiny_folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "flatbuffers" else find(name))
    with pytest.raises(ValueError, match=r"needs flatbuffers: pip install 'instructor-jax\[stablehlo\]'"):
        convert(str(tiny_folder), str(tmp_path / "new"), to="stablehlo")
    assert not any(tmp_path.iterdir())
