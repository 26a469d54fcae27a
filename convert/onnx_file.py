"""`convert --to onnx`: the model as an ONNX graph, for ONNX Runtime and whatever else reads the format.

PyTorch's exporter traces `pooled_encoder`. The graph is float32 with free batch and length; runtimes make int8 or
bfloat16 of it by themselves.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructor_jax.io.folder_writer import appearing_folder
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.printable import one_line
from instructor_jax.io.weights.names import check_params

from .pooled_encoder import pooled_encoder
from .runtime_folder import check_tokenizer, write_manifest

GRAPH = "model.onnx"
INPUTS = ("input_ids", "attention_mask", "instruction_tokens")
OUTPUT = "sentence_embedding"
OPSET = 20  # of 2023: ONNX Runtime from 1.17 on, and OpenVINO, read it


def write_onnx(target: Path, folder: ModelFolder, params: dict[str, Any]) -> None:
    """Writes a folder with the graph, its weights in `model.onnx.data`, a manifest and the tokenizer.

    Args:
        target: where; must not exist, or be an empty folder.
        folder: configuration and prompts; its `path` is where the tokenizer's files are copied from.
        params: the weights, written as float32.

    Raises:
        ValueError: the target is not empty, the weights do not fit the configuration, there is no tokenizer.json,
            PyTorch cannot export this model, or the extra `onnx` is absent.
        OSError: it cannot be written; nothing is left then.
    """
    check_tokenizer(folder)
    check_params(folder.config, params)
    with appearing_folder(target) as draft:
        write_graph(draft / GRAPH, folder, params, "onnx")
        about = {"graph": GRAPH, "format": "onnx", "opset": OPSET, "weights": f"{GRAPH}.data"}
        write_manifest(draft, folder, about, integers="int64")


def write_graph(file: Path, folder: ModelFolder, params: dict[str, Any], extra: str) -> None:
    """Writes the graph alone, and its weights in a file beside it.

    Args:
        file: of the graph.
        folder: of which the configuration is taken.
        params: the weights.
        extra: named where packages are absent.

    Raises:
        ValueError: packages are absent, or PyTorch cannot export this model.
    """
    try:
        import onnx  # noqa: F401 - torch imports them late, and asks for one at a time
        import onnxscript  # noqa: F401
        import torch
    except ImportError as error:
        raise ValueError(f"convert --to {extra} needs {error.name}: pip install 'instructor-jax[{extra}]'") from error
    module = pooled_encoder(folder.config, params)
    # Two texts of unlike lengths: an exporter takes a size of 1 for a constant.
    ids, mask = torch.ones(2, 7, dtype=torch.int64), torch.tensor([[1] * 7, [1] * 5 + [0] * 2])
    batch, length = torch.export.Dim.DYNAMIC, torch.export.Dim.DYNAMIC
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                module,
                (ids, mask, torch.tensor([2, 0])),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(INPUTS),
                output_names=[OUTPUT],
                dynamic_shapes=({0: batch, 1: length}, {0: batch, 1: length}, {0: batch}),
            )
        except Exception as error:  # the exporter raises many kinds
            raise ValueError(
                f"PyTorch {torch.__version__} cannot export this model ({folder.config.encoder.model_type}) to ONNX: "
                f"{one_line(str(error), 300)} Use --to stablehlo."
            ) from error
        assert program is not None
        for part in (program.model.graph, *program.model.functions.values()):
            for node in part:  # stack traces, which hold the paths of this machine
                node.metadata_props.clear()
                node.doc_string = None
        program.save(str(file), external_data=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's progress and advice, which concern its own developers."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(None):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
