"""The configuration that PyTorch-named weights belong to, and whether all of them fit it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from instructor_jax.backbones.registry import Backbone
from instructor_jax.backbones.weight_names import PROJECTION, Shapes
from instructor_jax.config import BackboneConfig, ModelConfig
from instructor_jax.io.json_files import read_json
from instructor_jax.io.printable import few
from instructor_jax.io.settings.family import read_encoder_config
from instructor_jax.io.weights.names import FLOATS, torch_shapes


def encoder_config_of(
    folder: Path, tensors: Mapping[str, Shaped[np.ndarray, "..."]], origins: Mapping[str, str], backbone: Backbone
) -> BackboneConfig:
    """The configuration from the folder's `config.json`, else from the shapes, once all weights fit it.

    Args:
        folder: where the weights come from.
        tensors: PyTorch-named weights of one encoder, with a projection or without.
        origins: the name in the source of each weight, for the messages.
        backbone: the family that the names are of.

    Raises:
        ValueError: a weight is missing, surplus, of another shape, or not of floating point; or `config.json` is not
            that of an encoder.
    """
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    path = folder / "config.json"
    try:
        for name, tensor in tensors.items():
            if tensor.dtype not in FLOATS:
                raise ValueError(f"{origins[name]} has dtype {tensor.dtype}; weights are floating point")
        config = read_encoder_config(read_json(path), path) if path.is_file() else backbone.weights.infer_config(shapes)
        _check_shapes(config, shapes, origins)
    except ValueError as error:
        raise ValueError(
            f"{folder} does not hold a whole {backbone.title} encoder: {str(error).rstrip('.')}."
        ) from error
    return config


def _check_shapes(config: BackboneConfig, shapes: Shapes, origins: Mapping[str, str]) -> None:
    projection = shapes[PROJECTION][0] if PROJECTION in shapes else None
    expected = torch_shapes(ModelConfig(config, projection))
    missing = [name for name in expected if name not in shapes]
    surplus = [origins[name] for name in shapes if name not in expected]
    if missing or surplus:
        parts = [f"lacks {few(missing)}"] if missing else []
        parts += [f"has {few(surplus)}, which the rest leaves no place for"] if surplus else []
        raise ValueError("the checkpoint " + " and ".join(parts))
    for name, shape in expected.items():
        if shapes[name] != shape:
            raise ValueError(f"{origins[name]} ({name}) has shape {shapes[name]}, but {shape} fits the other weights")
