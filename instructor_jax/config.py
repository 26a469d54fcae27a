"""What a model is: an encoder of some family, and the pooling, dense layers, projection and normalisation around it.

A family's configuration is its own (`backbones/`); what the rest of the library asks of any of them is in
`BackboneConfig`.
"""

import dataclasses
import importlib
from typing import Any, Literal, get_args

from instructor_jax.backbones.checks import check_choice, check_flag, check_whole
from instructor_jax.backbones.configuration import BackboneConfig, output_width
from instructor_jax.backbones.t5.config import T5Config as EncoderConfig  # the one family there was under this name
from instructor_jax.io.bounds import SIZE

__all__ = [
    "LONGEST",
    "BackboneConfig",
    "DenseActivation",
    "DenseShape",
    "EncoderConfig",
    "ModelConfig",
    "PoolingKind",
    "parameter_count",
]

# sentence-transformers' names of the ways to pool, of which these can be computed.
PoolingKind = Literal["mean", "cls", "lasttoken"]
DenseActivation = Literal["identity", "tanh", "relu", "gelu", "silu", "sigmoid"]

# A greater limit of a text's tokens means none: transformers writes 1e30 (`VERY_LARGE_INTEGER`) or 1e20
# (`LARGE_INTEGER`).
LONGEST = 1_000_000

# Names that were here before each family had its own files.
_MOVED = {
    "PUBLISHED": "backbones.published:PUBLISHED",
    "encoder_config_from_t5": "io.settings.family:read_encoder_config",
    "encoder_config_to_t5": "backbones.t5.config_file:write_config",
}


_ENCODER = EncoderConfig()


@dataclasses.dataclass(frozen=True)
class DenseShape:
    """A dense layer on the pooled vector: activation(weight x + bias).

    Attributes:
        size: Number of values that it gives.
        bias: Whether it has a bias.
        activation: The function of each value; identity for none.
    """

    size: int
    bias: bool = True
    activation: DenseActivation = "identity"

    def __post_init__(self) -> None:
        check_whole("DenseShape.size", self.size, 1, SIZE)
        check_flag("DenseShape.bias", self.bias)
        check_choice("DenseShape.activation", self.activation, get_args(DenseActivation))

    @property
    def is_projection(self) -> bool:
        """Whether it is a matrix and nothing else."""
        return not self.bias and self.activation == "identity"


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """An embedding model: encoder, instruction-masked pooling, then optional dense layers, projection, normalisation.

    A plain encoder's folder has none of the three: its embedding is the mean of the text tokens' states.

    Attributes:
        encoder: Configuration of the encoder, of any family.
        projection: Output size of the last dense layer where that is a matrix alone, as the 768 of every gtr,
            sentence-t5 and instructor; None where there is none.
        normalize: Whether vectors get unit length.
        max_length: Most tokens of instruction and text, special tokens included.
        pool_instruction: Whether the instruction is pooled like the text.
        pooling: What becomes of the states of a text's pooled tokens: their mean, the first one or the last one.
        dense: The dense layers before the projection, in their order.
    """

    encoder: BackboneConfig = _ENCODER
    projection: int | None = None
    normalize: bool = True
    max_length: int = 512
    pool_instruction: bool = False
    pooling: PoolingKind = "mean"
    dense: tuple[DenseShape, ...] = ()

    def __post_init__(self) -> None:
        if self.projection is not None:
            check_whole("ModelConfig.projection", self.projection, 1, SIZE, " (or None for no projection)")
        check_whole("ModelConfig.max_length", self.max_length, 2, LONGEST, ": one token and EOS at least")
        for name in ("normalize", "pool_instruction"):
            check_flag(f"ModelConfig.{name}", getattr(self, name))
        check_choice("ModelConfig.pooling", self.pooling, get_args(PoolingKind))
        positions = self.encoder.positions
        if positions is not None and self.max_length > positions:
            raise ValueError(
                f"ModelConfig.max_length={self.max_length} must be at most {positions}: the encoder has positions for "
                "no more tokens of a text."
            )
        if self.projection is None and self.dense and self.dense[-1].is_projection:
            raise ValueError("ModelConfig.dense must not end in a matrix alone; give its size as projection.")

    @property
    def dense_widths(self) -> tuple[int, ...]:
        """Sizes of what goes into each dense layer, and of what leaves the last one."""
        return (output_width(self.encoder), *(layer.size for layer in self.dense))

    @property
    def embedding_dim(self) -> int:
        """Size of the vectors the model gives."""
        return self.projection or self.dense_widths[-1]


def parameter_count(config: ModelConfig | BackboneConfig) -> int:
    """Number of weights, counted from the shapes (nothing is allocated)."""
    if isinstance(config, ModelConfig):
        widths = config.dense_widths
        dense = sum((width + layer.bias) * layer.size for width, layer in zip(widths, config.dense, strict=False))
        return config.encoder.weight_count + dense + (config.projection or 0) * widths[-1]
    return config.weight_count


def __getattr__(name: str) -> Any:
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _MOVED[name].partition(":")
    return getattr(importlib.import_module(f"instructor_jax.{module}"), attribute)
