"""The config.json of the modules behind an encoder, as sentence-transformers reads them, and where their weights go."""

from typing import Any, NamedTuple

from instructor_jax.backbones.configuration import output_width
from instructor_jax.backbones.weight_names import PROJECTION, dense_weight
from instructor_jax.config import DenseShape, ModelConfig
from instructor_jax.io.settings.vector_modules import activation_class


def pooling_settings(config: ModelConfig) -> dict[str, Any]:
    """Returns the settings of the Pooling module."""
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    return {
        "word_embedding_dimension": output_width(config.encoder),
        **{
            f"pooling_mode_{mode}": mode.removesuffix("_tokens").removesuffix("_token") == config.pooling
            for mode in modes
        },
        "include_prompt": config.pool_instruction,
    }


class DenseModule(NamedTuple):
    """A Dense module: its folder, its config.json, and what its weights are called there and in our tables."""

    place: str
    settings: dict[str, Any]
    names: dict[str, str]


def dense_modules(config: ModelConfig) -> list[DenseModule]:
    """Returns the Dense modules of a model: the layers before the projection, and the projection."""
    modules = []
    shapes = [*config.dense, *([] if config.projection is None else [DenseShape(config.projection, bias=False)])]
    for index, (width, shape) in enumerate(zip(config.dense_widths, shapes, strict=False)):
        names = {f"linear.{part}": dense_weight(index, part) for part in ("weight", "bias")[: 1 + shape.bias]}
        if index == len(config.dense):
            names = {"linear.weight": PROJECTION}
        settings = {
            "in_features": width,
            "out_features": shape.size,
            "bias": shape.bias,
            "activation_function": activation_class(shape.activation),
        }
        modules.append(DenseModule(f"{2 + index}_Dense", settings, names))
    return modules
