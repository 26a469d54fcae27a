"""`convert --to stablehlo`: the model as a program that JAX exports and other runtimes read.

The weights lie beside it in a safetensors file, so that the program stays small; it takes them as its first argument, a
dictionary by name, in whatever type they are stored, and computes in float32. Batch and length are
symbols, so that one program serves all shapes.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from instructor_jax.config import ModelConfig
from instructor_jax.io.folder_writer import appearing_folder
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.weights.names import check_params
from instructor_jax.io.weights.safetensors_files import write_safetensors
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.layout import Layout, unstacked_params
from instructor_jax.nn.model import embed
from instructor_jax.text.batches import TokenBatch

from .runtime_folder import check_tokenizer, write_manifest

PROGRAM = "model.stablehlo"
WEIGHTS = "model.safetensors"
# One program for all: without kernels of one kind of device in it, whatever this machine has.
PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
_APART = Layout(stacked=False)  # layers by number: a scan over stacked ones copies each layer's weights on CPUs


def write_stablehlo(target: Path, folder: ModelFolder, params: dict[str, Any]) -> None:
    """Writes a folder with the program, its weights, a manifest and the tokenizer.

    Args:
        target: where; must not exist, or be an empty folder.
        folder: configuration and prompts; its `path` is where the tokenizer's files are copied from.
        params: the weights, written in their dtype.

    Raises:
        ValueError: the target is not empty, the weights do not fit the configuration, there is no tokenizer.json, or
            the package is absent by which JAX writes programs.
        OSError: it cannot be written; nothing is left then.
    """
    if importlib.util.find_spec("flatbuffers") is None:
        raise ValueError("a StableHLO program needs flatbuffers: pip install 'instructor-jax[stablehlo]'")
    check_tokenizer(folder)
    check_params(folder.config, params)
    weights = named_weights(params)
    program = export_program(folder.config, weights)
    with appearing_folder(target) as draft:
        (draft / PROGRAM).write_bytes(program.serialize())
        write_safetensors(draft / WEIGHTS, weights)
        about = {
            "graph": PROGRAM,
            "format": "jax.export",
            "calling_convention_version": program.calling_convention_version,
            "platforms": list(program.platforms),
            "weights": WEIGHTS,
            "arguments": [*sorted(weights), "input_ids", "attention_mask", "instruction_tokens"],
        }
        write_manifest(draft, folder, about)


def named_weights(params: dict[str, Any]) -> dict[str, np.ndarray]:
    """Returns our nested parameters as a flat dictionary by dotted names, each layer's apart."""
    apart = {**params, "encoder": unstacked_params(params["encoder"], _APART)}
    leaves = jax.tree_util.tree_leaves_with_path(apart)
    return {".".join(str(key.key) for key in path): np.asarray(leaf) for path, leaf in leaves}


def export_program(config: ModelConfig, weights: dict[str, Any]) -> export.Exported:
    """Returns the program from weights by name and the three arrays of token ids to vectors [batch, dim].

    Args:
        config: of the model.
        weights: arrays, or their shapes and types, by the names of `named_weights`.
    """
    batch, length = export.symbolic_shape("batch, len")
    of_texts, of_tokens = jax.ShapeDtypeStruct((batch,), jnp.int32), jax.ShapeDtypeStruct((batch, length), jnp.int32)
    shapes = {name: jax.ShapeDtypeStruct(array.shape, array.dtype) for name, array in weights.items()}
    program = export.export(jax.jit(_vectors_of(config)), platforms=PLATFORMS)
    return program(shapes, of_tokens, of_tokens, of_texts)


def _vectors_of(config: ModelConfig) -> Callable[..., jax.Array]:
    compute = Compute(layout=_APART, attention="einsum")

    def vectors(
        weights: dict[str, jax.Array],
        input_ids: jax.Array,
        attention_mask: jax.Array,
        instruction_tokens: jax.Array,
    ) -> jax.Array:
        params = _nested({name: weight.astype(jnp.float32) for name, weight in weights.items()})
        rows, length = input_ids.shape
        keep = attention_mask != 0
        pooled = keep & (jnp.arange(length) >= instruction_tokens[:, None])
        tokens, segments = jnp.where(keep, input_ids, 0), jnp.where(keep, 0, -1).astype(jnp.int32)
        slots = jnp.arange(rows, dtype=jnp.int32)
        batch = TokenBatch(tokens[None], segments[None], pooled[None], slots[None], 1)
        return embed(config, params, batch, compute=compute)[0]

    return vectors


def _nested(weights: dict[str, Any]) -> dict[str, Any]:
    tree: dict[Any, Any] = {}
    for name, weight in weights.items():
        *above, last = [int(part) if part.isdecimal() else part for part in name.split(".")]
        place = tree
        for part in above:
            place = place.setdefault(part, {})
        place[last] = weight
    return tree
