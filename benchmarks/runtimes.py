"""What a CPU user picks instead: ONNX Runtime and OpenVINO, with graphs that `instructor-jax convert` wrote.

They are called as a careful user would: texts sorted by length, batches padded to their longest text.
"""

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from contenders import Dtype, Setting
from tokenizers import Tokenizer

from instructor_jax.processor import multiplies_bfloat16

Runtime = Literal["onnx", "onnx-int8", "openvino", "openvino-bf16"]
RUNTIMES: tuple[Runtime, ...] = ("onnx", "onnx-int8", "openvino", "openvino-bf16")
_PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino"}
_NAMES = ("input_ids", "attention_mask", "instruction_tokens")
_OUTPUT = "sentence_embedding"


def installed_runtimes() -> tuple[Runtime, ...]:
    """Those whose packages are here, with PyTorch to export the graph; bfloat16 where the CPU has it."""
    if any(importlib.util.find_spec(name) is None for name in ("torch", "onnx", "onnxscript")):
        return ()
    packages = {name: _PACKAGES[name.partition("-")[0]] for name in RUNTIMES}
    here: list[Runtime] = [name for name in RUNTIMES if importlib.util.find_spec(packages[name]) is not None]
    return tuple(name for name in here if name != "openvino-bf16" or multiplies_bfloat16())


def of_dtype(runtimes: Sequence[Runtime], dtype: Dtype) -> list[Runtime]:
    """Which of them stand beside a type: bfloat16 beside itself, int8 beside float32, whose vectors it comes near."""
    return [name for name in runtimes if name.endswith("bf16") == (dtype == "bfloat16")]


def write_graph(model: Path, target: Path, runtime: Runtime) -> Path:
    """Writes a runtime's folder by the command line, in a process of its own.

    Raises:
        ValueError: the model cannot be converted; the command's message.
    """
    kind = runtime.partition("-")[0]
    command = [sys.executable, "-m", "instructor_jax", "convert", str(model), str(target), "--to", kind]
    if target.is_dir():
        return target
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        raise ValueError(f"no graph for {runtime} could be made: {made.stderr.strip()}")
    return target


class GraphLibrary:
    """A graph in its runtime.

    Args:
        folder: written by `write_graph`.
        runtime: which; int8 weights and products are made here, by ONNX Runtime's dynamic quantisation.
    """

    def __init__(self, folder: Path, runtime: Runtime):
        started = time.perf_counter()
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        self._tokenizer = Tokenizer.from_file(str(folder / manifest["tokenizer"]))
        self._pools_instruction = bool(manifest["pool_instruction"])
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(manifest["max_length"])
        run, settings = (_onnx if runtime.startswith("onnx") else _openvino)(folder, runtime)
        self._run: Callable[[dict[str, np.ndarray]], np.ndarray] = run
        self.about: dict[str, Any] = {"load_seconds": time.perf_counter() - started, **settings}

    def encode(self, setting: Setting, texts: Any, instruction: str) -> tuple[np.ndarray, None, None]:
        """See `Library.encode`."""
        several = [texts] if isinstance(texts, str) else texts
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch([instruction + text for text in several])]
        count = len(self._tokenizer.encode(instruction.strip()).ids) - 1
        # a single one is pooled, such as what BERT's tokenizer puts before any text
        head = 0 if self._pools_instruction or count <= 1 else count
        order = np.argsort([-len(row) for row in rows], kind="stable")
        size = setting.batch_size or 32
        vectors: list[np.ndarray] = []
        for start in range(0, len(rows), size):
            vectors.append(self._run(_padded([rows[index] for index in order[start : start + size]], head)))
        joined = np.concatenate(vectors)
        found = np.empty_like(joined)
        found[order] = joined
        return found, None, None


def _padded(rows: list[list[int]], head: int) -> dict[str, np.ndarray]:
    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    mask = np.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)], mask[index, : len(row)] = row, 1
    return dict(zip(_NAMES, (ids, mask, np.full(len(rows), head)), strict=True))


def _onnx(folder: Path, runtime: Runtime) -> tuple[Callable[..., np.ndarray], dict[str, Any]]:
    import onnxruntime

    graph = folder / "model.onnx"
    if runtime == "onnx-int8":
        from onnxruntime.quantization import QuantType, quantize_dynamic

        narrow = folder / "model.int8.onnx"
        # Without VNNI two products of 8 bits may overflow their sum of 16; ONNX Runtime's advice are weights of 7 bits.
        seven = not has_vnni()
        quantize_dynamic(graph, narrow, weight_type=QuantType.QInt8, reduce_range=seven)
        graph = narrow
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    about = {"device": "cpu", "version": onnxruntime.__version__, "bytes": _bytes(graph)}
    return lambda arrays: np.asarray(session.run([_OUTPUT], arrays)[0]), about


def has_vnni() -> bool:
    """Whether the CPU adds products of 8 bits in 32; by the instruction sets that Linux names."""
    from machine import describe_machine

    return bool({"avx512_vnni", "avx_vnni"} & set(describe_machine()["cpu_flags"]))


def _openvino(folder: Path, runtime: Runtime) -> tuple[Callable[..., np.ndarray], dict[str, Any]]:
    from instructor_jax.convert.openvino_file import imported_openvino

    openvino = imported_openvino()
    hint = {"INFERENCE_PRECISION_HINT": "bf16" if runtime.endswith("bf16") else "f32"}
    compiled = openvino.compile_model(folder / "model.xml", "CPU", hint)
    about = {"device": "cpu", "version": openvino.get_version(), "bytes": _bytes(folder / "model.bin"), **hint}
    # a copy: the array of a result is overwritten by the next one
    return lambda arrays: np.array(compiled(arrays)[_OUTPUT]), about


def _bytes(graph: Path) -> int:
    return sum(file.stat().st_size for file in graph.parent.glob(f"{graph.name}*"))
