"""What a model is: an encoder of some family, and the pooling, projection and normalisation around it.

A family's configuration is its own (`backbones/`); what the rest of the library asks of any of them is in
`BackboneConfig`.
"""

import dataclasses
import importlib
from typing import Any

from instructor_jax.backbones.checks import check_flag, check_whole
from instructor_jax.backbones.configuration import BackboneConfig
from instructor_jax.backbones.t5.config import T5Config as EncoderConfig  # the one family there was under this name
from instructor_jax.io.bounds import SIZE

__all__ = ["LONGEST", "BackboneConfig", "EncoderConfig", "ModelConfig", "parameter_count"]

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
class ModelConfig:
    """An embedding model: encoder, instruction-masked mean pooling, then optional projection and normalisation.

    A plain encoder's folder has neither projection nor normalisation: its embedding is the mean of the text tokens'
    states.
    """

    encoder: BackboneConfig = _ENCODER
    projection: int | None = None  # output size of the bias-free projection; 768 in every gtr, sentence-t5, instructor
    normalize: bool = True
    max_length: int = 512  # tokens of instruction + text, EOS included
    pool_instruction: bool = False  # True only for folders that say so: their mean is over instruction and text

    def __post_init__(self) -> None:
        if self.projection is not None:
            check_whole("ModelConfig.projection", self.projection, 1, SIZE, " (or None for no projection)")
        check_whole("ModelConfig.max_length", self.max_length, 2, LONGEST, ": one token and EOS at least")
        for name in ("normalize", "pool_instruction"):
            check_flag(f"ModelConfig.{name}", getattr(self, name))

    @property
    def embedding_dim(self) -> int:
        """Size of the vectors the model gives."""
        return self.projection or self.encoder.embed


def parameter_count(config: ModelConfig | BackboneConfig) -> int:
    """Number of weights, counted from the shapes (nothing is allocated)."""
    if isinstance(config, ModelConfig):
        return config.encoder.weight_count + (config.projection or 0) * config.encoder.embed
    return config.weight_count


def __getattr__(name: str) -> Any:
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _MOVED[name].partition(":")
    return getattr(importlib.import_module(f"instructor_jax.{module}"), attribute)
