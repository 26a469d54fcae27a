"""From any folder that holds a T5 encoder's weights to a configuration and our parameters.

Which reader serves is decided by what lies in the folder, never by trying one after another: a broken file of one
format must be reported as such, not as an unknown folder.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.folders import (
    ModelFolder,
    encoder_folder,
    projection_weights,
    read_folder,
    read_params,
)
from instructor_jax.own_folder import OWN_CONFIG
from instructor_jax.tensor_files import find_weights
from instructor_jax.weights import PROJECTION, params_from_torch

from . import from_flax, from_t5x


@dataclasses.dataclass(frozen=True)
class Source:
    """A model that was read.

    Attributes:
        folder: configuration, prompts, and where the tokenizer lies.
        params: our nested parameters, in their dtype on disk.
        format: what kind of folder it was, for people.
    """

    folder: ModelFolder
    params: dict[str, Any]
    format: str


def read_source(path: Path) -> Source:
    """Reads a sentence-transformers or T5 PyTorch folder, our own, a Flax msgpack folder, or a T5X checkpoint.

    Raises:
        ValueError: nothing known lies there, or what lies there is broken or does not fit.
    """
    if not path.is_dir():
        raise ValueError(f"{path} is not a folder.")
    if (path / OWN_CONFIG).is_file():
        folder = read_folder(path)
        return Source(folder, read_params(folder), "instructor-jax (Orbax)")
    if find_weights(encoder_folder(path)) is not None:
        folder = read_folder(path)
        kind = "sentence-transformers" if (path / "modules.json").is_file() else "PyTorch T5"
        return Source(folder, read_params(folder), kind)
    for module, kind in ((from_flax, "Flax msgpack"), (from_t5x, "T5X")):
        if module.recognises(path):
            encoder, arrays = module.read(path)
            return _from_arrays(path, encoder, arrays, kind)
    raise ValueError(
        f"{path} holds no weights that can be read: model.safetensors, pytorch_model.bin (or their shards), "
        f"flax_model.msgpack, a T5X checkpoint, or {OWN_CONFIG}."
    )


def _from_arrays(path: Path, encoder: EncoderConfig, arrays: dict[str, np.ndarray], kind: str) -> Source:
    """Completes what Flax and T5X checkpoints do not say: projection and normalisation."""
    if (path / "modules.json").is_file():  # Flax weights inside a sentence-transformers folder
        folder = read_folder(path)
        if folder.config.projection is not None and PROJECTION not in arrays:
            arrays = {**arrays, PROJECTION: projection_weights(folder)}
    else:
        width = arrays[PROJECTION].shape[0] if PROJECTION in arrays else None
        # dual encoders (gtr, sentence-t5) normalise after the projection; a plain T5 has neither
        folder = ModelFolder(path, ModelConfig(encoder, projection=width, normalize=width is not None))
    return Source(folder, params_from_torch(folder.config, arrays), kind)
