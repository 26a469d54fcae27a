"""From any folder or file that holds an encoder's weights to a configuration and our parameters.

Which reader serves is decided by what lies there, never by trying one after another: a broken file of one format must
be reported as such, not as an unknown folder.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from instructor_jax.backbones.registry import backbone_of
from instructor_jax.config import BackboneConfig, ModelConfig
from instructor_jax.io.folders import dense_weights, encoder_folder, read_folder, read_params
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.own_folder import OWN_CONFIG
from instructor_jax.io.run_checkpoint import is_run, open_checkpoint
from instructor_jax.io.settings.family import backbone_in
from instructor_jax.io.weights.adapters import refuse_lone_adapter
from instructor_jax.io.weights.names import PROJECTION, encoder_arrays, params_from_torch
from instructor_jax.io.weights.prefixes import plain_names
from instructor_jax.io.weights.safetensors_files import read_safetensors
from instructor_jax.io.weights.tensor_files import find_weights, read_tensors
from instructor_jax.io.weights.torch_files import read_torch_file

from . import from_flax, from_t5x
from .msgpack_tree import is_msgpack_map, read_msgpack
from .shapes import encoder_config_of

_TORCH_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
# Names that weights have in a whole model's folder; there the folder says which of them is the model.
_WHOLE = (
    "model.safetensors",
    "pytorch_model.bin",
    "flax_model.msgpack",
    "adapter_model.safetensors",
    "adapter_model.bin",
)


@dataclasses.dataclass(frozen=True)
class Source:
    """A model that was read.

    Attributes:
        folder: configuration, prompts, and where the tokenizer lies.
        params: our nested parameters, in their dtype on disk.
        format: what kind of folder or file it was, for people.
    """

    folder: ModelFolder
    params: dict[str, Any]
    format: str


def read_source(path: Path) -> Source:
    """Reads a model's folder of PyTorch, Flax or our own, a T5X checkpoint, or a single file of weights.

    Raises:
        ValueError: nothing known lies there, or what lies there is broken or does not fit.
        OSError: it is not there, or cannot be read.
    """
    if path.is_file():
        return _read_file(path)
    if not path.is_dir():
        raise ValueError(f"{path} is not there, neither as a folder nor as a file.")
    if (path / OWN_CONFIG).is_file():
        folder = read_folder(path)
        return Source(folder, read_params(folder), "instructor-jax (Orbax)")
    if find_weights(encoder_folder(path)) is not None:
        if not any((path / name).is_file() for name in ("modules.json", "config.json")):
            return _from_torch(path, read_tensors(path))  # a trainer's checkpoint: weights alone
        folder = read_folder(path)
        title = backbone_of(folder.config.encoder).title
        kind = "sentence-transformers" if (path / "modules.json").is_file() else f"PyTorch {title}"
        return Source(folder, read_params(folder), kind)
    if is_run(path):
        checkpoint = open_checkpoint(path)
        return Source(checkpoint.folder, checkpoint.params(), f"step {checkpoint.step:,} of a training run")
    for module, kind in ((from_flax, "Flax msgpack"), (from_t5x, "T5X")):
        if module.recognises(path):
            encoder, arrays = module.read(path)
            return _from_arrays(path, encoder, arrays, kind)
    refuse_lone_adapter(encoder_folder(path))
    raise ValueError(
        f"{path} holds no weights that can be read: model.safetensors, pytorch_model.bin (or their shards), "
        f"flax_model.msgpack, a T5X checkpoint, or {OWN_CONFIG}."
    )


def _read_file(path: Path) -> Source:
    """Reads one file that is all there is of a model: what trainers leave behind."""
    if path.name in _WHOLE and any((path.parent / name).is_file() for name in ("config.json", "modules.json")):
        raise ValueError(f"{path} is a part of a model's folder; give the folder, {path.parent}.")
    if path.name == "checkpoint" and from_t5x.recognises(path.parent):
        return read_source(path.parent)
    if path.suffix == ".safetensors":
        return _from_torch(path, read_safetensors(path))
    if path.suffix in _TORCH_SUFFIXES:
        return _from_torch(path, read_torch_file(path))
    if not is_msgpack_map(path):
        raise ValueError(
            f"{path} is no file of weights that is known: .safetensors, .bin or .pt of PyTorch, a msgpack file of Flax "
            "or T5X."
        )
    tree = read_msgpack(path)
    module, kind = (from_flax, "Flax msgpack") if _is_hugging_face(tree) else (from_t5x, "T5X")
    encoder, arrays = module.read(path)
    return _from_arrays(path.parent, encoder, arrays, kind)


def _is_hugging_face(tree: Mapping[Any, Any]) -> bool:
    """Whether a msgpack tree has transformers' names (`encoder/block/0/...`), not T5X's (`encoder/layers_0/...`)."""
    inner = tree["params"] if isinstance(tree.get("params"), Mapping) else tree
    encoder = inner.get("encoder")
    return isinstance(encoder, Mapping) and "block" in encoder


def _from_torch(path: Path, stored: Mapping[str, np.ndarray]) -> Source:
    """PyTorch weights without a folder around them: of an encoder, a whole model, or a sentence-transformers model."""
    folder = path.parent if path.is_file() else path
    backbone = backbone_in(folder)
    arrays = encoder_arrays(plain_names(stored, path, backbone.weights), backbone)
    encoder = encoder_config_of(folder, arrays, {name: name for name in arrays}, backbone)
    return _from_arrays(folder, encoder, arrays, "PyTorch weights")


def _from_arrays(path: Path, encoder: BackboneConfig, arrays: dict[str, np.ndarray], kind: str) -> Source:
    """Completes what bare weights, Flax and T5X checkpoints do not say: projection and normalisation."""
    if (path / "modules.json").is_file():  # Flax weights inside a sentence-transformers folder
        folder = read_folder(path)
        if PROJECTION not in arrays:
            arrays = {**arrays, **dense_weights(folder)}
    else:
        width = arrays[PROJECTION].shape[0] if PROJECTION in arrays else None
        # dual encoders (gtr, sentence-t5, instructor) normalise after the projection; a plain T5 has neither
        folder = ModelFolder(path, ModelConfig(encoder, projection=width, normalize=width is not None))
    return Source(folder, params_from_torch(folder.config, arrays), kind)
