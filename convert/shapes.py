"""The configuration that PyTorch-named T5 weights belong to, and whether all of them fit it.

The number of heads is in no kernel's shape: it comes from the relative-bias table, which has a column per head, and the
head size from what is left of the query kernel.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from instructor_jax.config import EncoderConfig, ModelConfig, encoder_config_from_t5
from instructor_jax.io.json_files import read_json
from instructor_jax.io.weights.names import FLOATS, PROJECTION, torch_shapes
from instructor_jax.io.weights.tensor_files import few

_BLOCK = "encoder.block.{}."
_BIAS = "layer.0.SelfAttention.relative_attention_bias.weight"

Shapes = Mapping[str, tuple[int, ...]]


def encoder_config_of(
    folder: Path, tensors: Mapping[str, Shaped[np.ndarray, "..."]], origins: Mapping[str, str]
) -> EncoderConfig:
    """The configuration from the folder's `config.json`, else from the shapes, once all weights fit it.

    Args:
        folder: where the weights come from.
        tensors: PyTorch-named weights of one encoder, with a projection or without.
        origins: the name in the source of each weight, for the messages.

    Raises:
        ValueError: a weight is missing, surplus, of another shape, or not of floating point; or `config.json` is not
            that of a T5 encoder.
    """
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    path = folder / "config.json"
    try:
        for name, tensor in tensors.items():
            if tensor.dtype not in FLOATS:
                raise ValueError(f"{origins[name]} has dtype {tensor.dtype}; weights are floating point")
        config = encoder_config_from_t5(read_json(path), path) if path.is_file() else infer_encoder_config(shapes)
        _check_shapes(config, shapes, origins)
    except ValueError as error:
        raise ValueError(f"{folder} does not hold a whole T5 encoder: {str(error).rstrip('.')}.") from error
    return config


def infer_encoder_config(shapes: Shapes) -> EncoderConfig:
    """The encoder that weights of these shapes belong to.

    What shapes do not show is taken from the published models: gated feed-forward layers use the tanh approximation of
    GELU and others ReLU, distances saturate at 128, epsilon is 1e-6; a bias table in every layer means umT5.

    Raises:
        ValueError: a weight that decides a size is missing, or sizes do not divide.
    """
    first = _BLOCK.format(0)
    layers = {int(match[1]) for name in shapes if (match := re.match(r"encoder\.block\.(\d+)\.", name))}
    if gaps := sorted(set(range(len(layers))) - layers):
        raise ValueError(f"the checkpoint has weights of {len(layers)} layers, but none of layer {gaps[0]}")
    shared_bias = _BLOCK.format(1) + _BIAS not in shapes
    vocab, embed = _matrix(shapes, "shared.weight")
    buckets, heads = _matrix(shapes, first + _BIAS)
    joined, _ = _matrix(shapes, first + "layer.0.SelfAttention.q.weight")
    gated = f"{first}layer.1.DenseReluDense.wi_0.weight" in shapes
    ffn, _ = _matrix(shapes, f"{first}layer.1.DenseReluDense.{'wi_0' if gated else 'wi'}.weight")
    if joined % heads:
        raise ValueError(f"the query kernel has {joined} columns, which {heads} heads cannot share equally")
    return EncoderConfig(
        vocab=vocab,
        embed=embed,
        layers=len(layers),
        heads=heads,
        head_dim=joined // heads,
        ffn=ffn,
        activation="gelu_new" if gated else "relu",
        gated=gated,
        relative_buckets=buckets,
        shared_relative_bias=shared_bias,
        model_type="t5" if shared_bias else "umt5",
    )


def _check_shapes(config: EncoderConfig, shapes: Shapes, origins: Mapping[str, str]) -> None:
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


def _matrix(shapes: Shapes, name: str) -> tuple[int, int]:
    if name not in shapes:
        raise ValueError(f"the checkpoint lacks {name}, from whose shape the configuration follows")
    if len(shapes[name]) != 2 or 0 in shapes[name]:
        raise ValueError(f"{name} has shape {shapes[name]}, not that of a matrix")
    return shapes[name][0], shapes[name][1]
