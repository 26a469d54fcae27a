"""`convert --to openvino`: the model as OpenVINO's intermediate representation, made from the ONNX graph.

`import openvino` reports itself to Google Analytics and writes a number for this user into ~/intel, unless that was
refused before; here it finds that module absent, which it allows for, and does neither.
"""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructor_jax.io.folder_writer import appearing_folder
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.weights.names import check_params

from .onnx_file import OUTPUT, write_graph
from .runtime_folder import check_tokenizer, write_manifest

GRAPH, WEIGHTS = "model.xml", "model.bin"
_REPORTER = "openvino_telemetry"


def write_openvino(target: Path, folder: ModelFolder, params: dict[str, Any], *, half: bool = False) -> None:
    """Writes a folder with the graph, its weights, a manifest and the tokenizer.

    Args:
        target: where; must not exist, or be an empty folder.
        folder: configuration and prompts; its `path` is where the tokenizer's files are copied from.
        params: the weights.
        half: write weights as float16; OpenVINO computes with them in the type that it would take anyway.

    Raises:
        ValueError: the target is not empty, the weights do not fit the configuration, there is no tokenizer.json,
            the model cannot be exported, or the extra `openvino` is absent.
        OSError: it cannot be written; nothing is left then.
    """
    check_tokenizer(folder)
    check_params(folder.config, params)
    openvino = imported_openvino()
    with appearing_folder(target) as draft:
        write_graph(draft / "model.onnx", folder, params, "openvino")
        model = openvino.Core().read_model(draft / "model.onnx")
        model.outputs[0].get_tensor().set_names({OUTPUT})
        openvino.save_model(model, draft / GRAPH, compress_to_fp16=half)
        del model  # maps the weights of the graph
        for file in draft.glob("model.onnx*"):
            file.unlink()
        about = {"graph": GRAPH, "format": "openvino", "version": openvino.get_version(), "weights": WEIGHTS}
        write_manifest(draft, folder, about, integers="int64")


def imported_openvino() -> Any:
    """Returns the package `openvino`, which reports nothing about its use.

    Raises:
        ValueError: it is not installed.
    """
    with _without_reports():
        try:
            import openvino
        except ImportError as error:
            raise ValueError("convert --to openvino needs openvino: pip install 'instructor-jax[openvino]'") from error
    return openvino


@contextlib.contextmanager
def _without_reports() -> Iterator[None]:
    """While imports of the reporting module fail; who has imported it before keeps it."""
    absent = _REPORTER not in sys.modules
    if absent:
        sys.modules[_REPORTER] = None  # type: ignore[assignment] - Python's way to say that it cannot be imported
    try:
        yield
    finally:
        if absent:
            del sys.modules[_REPORTER]
