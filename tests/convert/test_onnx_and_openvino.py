"""Folders for ONNX Runtime and OpenVINO: their vectors are those of `encode`, at shapes that were not traced.

PyTorch's exporter takes seconds of a core for a tiny model, so whatever exports is slow, and both runtimes read each
export: a folder for OpenVINO holds what OpenVINO read from such a graph.
"""

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.convert import openvino_file
from instructor_jax.convert.main import convert
from instructor_jax.io.default_model import DEFAULT_MODEL

from ..backbones.family_folders import TEXTS, family_folder
from ..backbones.test_folders import MODELS
from .runtime_inputs import INSTRUCTION, LONG, inputs

pytestmark = pytest.mark.torch

NAMES = ("input_ids", "attention_mask", "instruction_tokens")
RUNTIMES = ("onnx", "openvino")
# float32 on both sides, sums in another order: as near as PyTorch's own vectors are to ours.
NEAR = 2e-6
Run = Callable[[list[np.ndarray]], np.ndarray]


def openvino() -> Any:
    try:
        return openvino_file.imported_openvino()
    except ValueError as error:
        pytest.skip(str(error))


def opened(graph: Path, runtime: str) -> Run:
    """A function from the three arrays to vectors, by a runtime in float32."""
    if runtime == "onnx":
        onnxruntime = pytest.importorskip("onnxruntime")
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        return lambda arrays: session.run(["sentence_embedding"], dict(zip(NAMES, arrays, strict=True)))[0]
    # without the hint OpenVINO takes bfloat16 where the CPU has it
    compiled = openvino().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda arrays: np.array(compiled(dict(zip(NAMES, arrays, strict=True)))["sentence_embedding"])


@pytest.fixture(scope="module")
def onnx_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxscript", reason="needs the extra `onnx`")
    target = tmp_path_factory.mktemp("runtime") / "onnx"
    convert(DEFAULT_MODEL, str(target), to="onnx")
    return target


@pytest.fixture(scope="module")
def of_the_same_graph(onnx_folder: Path) -> Callable[..., None]:
    """`convert --to openvino` of the packaged model, with the graph that PyTorch has exported already."""

    def convert_to(target: Path, **options: Any) -> None:
        def copied(file: Path, *_: object) -> None:
            for part in onnx_folder.glob("model.onnx*"):
                shutil.copy(part, file.parent)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(openvino_file, "write_graph", copied)
            convert(DEFAULT_MODEL, str(target), to="openvino", **options)

    return convert_to


@pytest.fixture(scope="module", params=RUNTIMES)
def folder(
    request: pytest.FixtureRequest, onnx_folder: Path, of_the_same_graph: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    if request.param == "onnx":
        return onnx_folder
    openvino()
    target = tmp_path_factory.mktemp("runtime") / "openvino"
    of_the_same_graph(target)
    return target


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return opened(folder / manifest["graph"], manifest["format"])


@pytest.mark.slow
def test_a_graph_gives_the_vectors_of_encode(folder: Path, run: Run) -> None:
    model = Instructor.from_pretrained(devices=jax.devices()[:1], tokens_per_call=512)
    # Longer than the greatest distance of T5's bias, whose boundaries are powers of two: a logarithm that a runtime
    # rounds otherwise would put pairs of tokens there into another bucket.
    texts = [LONG, "one", "a short text", LONG * 5]
    arrays = inputs(folder, texts, INSTRUCTION)
    assert arrays[0].shape[1] > 130
    together = run(arrays)
    assert np.abs(together - model.encode(texts, instruction=INSTRUCTION)).max() <= NEAR
    for index, text in enumerate(texts[:2]):  # in a batch of one and of another length
        assert np.abs(run(inputs(folder, [text], INSTRUCTION))[0] - together[index]).max() <= NEAR


@pytest.mark.slow
def test_the_instruction_is_read_and_not_pooled_and_padding_is_not_read(folder: Path, run: Run) -> None:
    ids, mask, head = inputs(folder, ["a short text"], INSTRUCTION)
    assert head[0] > 1
    masked, pooled = (run([ids, mask, number]) for number in (head, head * 0))
    assert np.abs(masked - pooled).max() > 1e-3
    padded = [np.pad(array, ((0, 0), (0, 5)), constant_values=value) for array, value in ((ids, 7), (mask, 0))]
    assert np.abs(run([*padded, head]) - masked).max() <= NEAR


@pytest.mark.slow
def test_a_folder_holds_what_its_manifest_says_and_no_path_of_this_machine(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert [entry["name"] for entry in manifest["inputs"]] == list(NAMES)
    assert {entry["dtype"] for entry in manifest["inputs"]} == {"int64"}
    own = {manifest["graph"], manifest["weights"], "manifest.json", "tokenizer.json"}
    assert {file.name for file in folder.iterdir()} >= own
    assert not [file.name for file in folder.iterdir() if file.name.startswith("model.") and file.name not in own]
    content = (folder / manifest["graph"]).read_bytes()
    for trace in (str(Path(sys.prefix)), "site-packages", "convert/", "modeling_"):
        assert trace.encode() not in content


@pytest.mark.slow
@pytest.mark.parametrize("family", MODELS)
def test_every_family_becomes_a_graph(family: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra `onnx`")
    kind, config = MODELS[family]
    if family in ("bert", "mpnet", "qwen3"):  # whose layers are all alike
        config = dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, layers=1))
    path = family_folder(tmp_path / "model", kind, config)
    convert(str(path), str(tmp_path / "graph"), to="onnx")
    texts: list[Any] = list(TEXTS)
    expected = Instructor.from_pretrained(path, devices=jax.devices()[:1], tokens_per_call=256).encode(texts)
    scale = max(1.0, float(np.abs(expected).max()))  # not all of these models give unit vectors
    for runtime in RUNTIMES:
        found = opened(tmp_path / "graph" / "model.onnx", runtime)(inputs(tmp_path / "graph", texts, ""))
        assert np.abs(found - expected).max() <= NEAR * scale, runtime


@pytest.mark.slow
def test_float16_weights_take_half_the_place_in_openvino(of_the_same_graph: Any, tmp_path: Path) -> None:
    openvino()
    of_the_same_graph(tmp_path / "full")
    of_the_same_graph(tmp_path / "half", dtype="float16")
    full, half = ((tmp_path / name / "model.bin").stat().st_size for name in ("full", "half"))
    assert half < 0.51 * full
    arrays = inputs(tmp_path / "half", ["one", "two"], INSTRUCTION)
    vectors = [opened(tmp_path / name / "model.xml", "openvino")(arrays) for name in ("full", "half")]
    assert np.abs(vectors[0] - vectors[1]).max() <= NEAR  # the package has the weights in float16 already


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_errors_are_one_line_and_leave_nothing(
    runtime: str, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_file, "imported_openvino", lambda: None)
    dear = tmp_path / "dear"
    dear.mkdir()
    (dear / "file").write_text("dear")
    with pytest.raises(ValueError, match="not an empty folder"):
        convert(str(tiny_folder), str(dear), to=runtime)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"--dtype bfloat16 with --to {runtime}: the graph is float32"):
        convert(str(tiny_folder), str(tmp_path / "new"), to=runtime, dtype="bfloat16")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ValueError, match=rf"needs onnx: pip install 'instructor-jax\[{runtime}\]'"):
        convert(str(tiny_folder), str(tmp_path / "new"), to=runtime)  # type: ignore[arg-type]
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "openvino", None)
    if runtime == "openvino":
        with pytest.raises(ValueError, match=r"needs openvino: pip install 'instructor-jax\[openvino\]'"):
            convert(str(tiny_folder), str(tmp_path / "new"), to=runtime)
    assert [path.name for path in tmp_path.iterdir()] == ["dear"]
    assert (dear / "file").read_text() == "dear"


@pytest.mark.slow
def test_a_model_that_pytorch_cannot_export_is_told_in_one_line(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra `onnx`")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("there is no operator\nfor this")

    monkeypatch.setattr("torch.onnx.export", fail)
    with pytest.raises(ValueError, match=r"cannot export this model \(t5\) to ONNX: there is no operator.*stablehlo"):
        convert(str(tiny_folder), str(tmp_path / "new"), to="onnx")
    assert not any(tmp_path.iterdir())


def test_openvino_is_imported_without_its_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    found = openvino().tools.ovc.telemetry_utils
    assert found.tm.__name__ == "openvino.tools.ovc.telemetry_stub"
    assert not any(name.startswith("openvino_telemetry") for name in sys.modules)
    assert not any(tmp_path.iterdir())
