"""What a model is: the frozen shape of a T5 encoder, of the embedder around it, and the published sizes.

The encoder's numbers come from the published `config.json` files of the T5 family; `encoder_config_from_t5` reads any
such file, and refuses what the encoder could not compute instead of guessing.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from instructor_jax.io.bounds import LAYERS, SIZE
from instructor_jax.io.json_files import Fields
from instructor_jax.io.settings.encoder import MODEL_TYPES, encoder_settings
from instructor_jax.io.settings.transformer import LONGEST

Activation = Literal["relu", "gelu", "gelu_new", "silu"]
_ACTIVATIONS: tuple[Activation, ...] = ("relu", "gelu", "gelu_new", "silu")


def _check_whole(name: str, value: Any, least: int, most: int, remark: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name}={value!r} must be a whole number from {least} to {most}{remark}.")


def _check_number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name}={value!r} must be a number.")


def _check_flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r} must be True or False.")


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """Shape of a T5 encoder; `heads * head_dim` may differ from `embed` (T5-3b: 32 x 128 with 1024)."""

    vocab: int = 32128
    embed: int = 768
    layers: int = 12
    heads: int = 12
    head_dim: int = 64
    ffn: int = 3072
    activation: Activation = "relu"
    gated: bool = False  # v1.1, Flan, mT5, umT5, ByT5: activation(wi_0 x) * (wi_1 x)
    relative_buckets: int = 32
    relative_max_distance: int = 128
    shared_relative_bias: bool = True  # umT5: False, every layer owns a table
    norm_epsilon: float = 1e-6
    dropout: float = 0.1  # used in training only
    pad_id: int = 0
    eos_id: int = 1
    model_type: str = "t5"  # t5, mt5 or umt5: the name written into an exported config.json

    def __post_init__(self) -> None:
        for name in ("vocab", "embed", "heads", "head_dim", "ffn", "relative_buckets", "relative_max_distance"):
            _check_whole(f"EncoderConfig.{name}", getattr(self, name), 1, SIZE)
        _check_whole("EncoderConfig.layers", self.layers, 1, LAYERS)
        for name in ("pad_id", "eos_id"):
            _check_whole(f"EncoderConfig.{name}", getattr(self, name), 0, SIZE)
        for name in ("gated", "shared_relative_bias"):
            _check_flag(f"EncoderConfig.{name}", getattr(self, name))
        for name in ("norm_epsilon", "dropout"):
            _check_number(f"EncoderConfig.{name}", getattr(self, name))
        if self.relative_buckets < 4 or self.relative_buckets % 2:
            raise ValueError(
                f"EncoderConfig.relative_buckets={self.relative_buckets} must be even and at least 4: half of the "
                "buckets serve each direction, and half of those exact distances."
            )
        if self.relative_max_distance <= self.relative_buckets // 4:
            raise ValueError(
                f"EncoderConfig.relative_max_distance={self.relative_max_distance} must exceed relative_buckets // 4 = "
                f"{self.relative_buckets // 4}, the last exactly represented distance."
            )
        if self.activation not in _ACTIVATIONS:
            raise ValueError(f"EncoderConfig.activation={self.activation!r} must be one of {', '.join(_ACTIVATIONS)}.")
        if self.model_type not in MODEL_TYPES:
            raise ValueError(f"EncoderConfig.model_type={self.model_type!r} must be one of {', '.join(MODEL_TYPES)}.")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"EncoderConfig.dropout={self.dropout} must be in [0, 1).")
        if not 0.0 <= self.norm_epsilon <= 1.0:
            raise ValueError(f"EncoderConfig.norm_epsilon={self.norm_epsilon} must be in [0, 1].")


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """An embedding model: encoder, instruction-masked mean pooling, then optional projection and normalisation.

    A plain T5 folder has neither projection nor normalisation: its embedding is the mean of the text tokens' states.
    """

    encoder: EncoderConfig = EncoderConfig()
    projection: int | None = None  # output size of the bias-free projection; 768 in every gtr, sentence-t5, instructor
    normalize: bool = True
    max_length: int = 512  # tokens of instruction + text, EOS included
    pool_instruction: bool = False  # True only for folders that say so: their mean is over instruction and text

    def __post_init__(self) -> None:
        if self.projection is not None:
            _check_whole("ModelConfig.projection", self.projection, 1, SIZE, " (or None for no projection)")
        _check_whole("ModelConfig.max_length", self.max_length, 2, LONGEST, ": one token and EOS at least")
        for name in ("normalize", "pool_instruction"):
            _check_flag(f"ModelConfig.{name}", getattr(self, name))

    @property
    def embedding_dim(self) -> int:
        """Size of the vectors the model gives."""
        return self.projection or self.encoder.embed


def parameter_count(config: ModelConfig | EncoderConfig) -> int:
    """Number of weights, counted from the shapes (nothing is allocated)."""
    if isinstance(config, ModelConfig):
        return parameter_count(config.encoder) + (config.projection or 0) * config.encoder.embed
    attention = 4 * config.embed * config.heads * config.head_dim
    feed_forward = (3 if config.gated else 2) * config.embed * config.ffn
    tables = 1 if config.shared_relative_bias else config.layers
    per_layer = attention + feed_forward + 2 * config.embed
    return (
        config.vocab * config.embed
        + config.layers * per_layer
        + tables * config.relative_buckets * config.heads
        + config.embed
    )


# --- The published sizes -------------------------------------------------------------------------------------------


def _t5(embed: int, layers: int, heads: int, head_dim: int, ffn: int, **other: Any) -> EncoderConfig:
    return EncoderConfig(embed=embed, layers=layers, heads=heads, head_dim=head_dim, ffn=ffn, **other)


_GATED: dict[str, Any] = {"activation": "gelu_new", "gated": True}
_MT5: dict[str, Any] = {**_GATED, "vocab": 250112, "model_type": "mt5"}
_UMT5: dict[str, Any] = {**_GATED, "vocab": 256384, "model_type": "umt5", "shared_relative_bias": False}
_BYT5: dict[str, Any] = {**_GATED, "vocab": 384}

_T5_10 = {
    "small": _t5(512, 6, 8, 64, 2048),
    "base": _t5(768, 12, 12, 64, 3072),
    "large": _t5(1024, 24, 16, 64, 4096),
    "3b": _t5(1024, 24, 32, 128, 16384),
    "11b": _t5(1024, 24, 128, 128, 65536),
}
_T5_11 = {
    "small": _t5(512, 8, 6, 64, 1024, **_GATED),
    "base": _t5(768, 12, 12, 64, 2048, **_GATED),
    "large": _t5(1024, 24, 16, 64, 2816, **_GATED),
    "xl": _t5(2048, 24, 32, 64, 5120, **_GATED),
    "xxl": _t5(4096, 24, 64, 64, 10240, **_GATED),
}
# gtr and sentence-t5 start from T5 1.0 for base, large and xl (T5-3b); their xxl is T5-11b.
_DUAL = {"base": _T5_10["base"], "large": _T5_10["large"], "xl": _T5_10["3b"], "xxl": _T5_10["11b"]}
_BYT5_SHAPES = {
    "small": _t5(1472, 12, 6, 64, 3584, **_BYT5),
    "base": _t5(1536, 18, 12, 64, 3968, **_BYT5),
    "large": _t5(1536, 36, 16, 64, 3840, **_BYT5),
    "xl": _t5(2560, 36, 32, 64, 6720, **_BYT5),
    "xxl": _t5(4672, 36, 64, 64, 12352, **_BYT5),
}


def _published() -> dict[str, ModelConfig]:
    plain = {
        **{f"t5-{size}": config for size, config in _T5_10.items()},
        **{f"t5-v1_1-{size}": config for size, config in _T5_11.items()},
        **{f"flan-t5-{size}": config for size, config in _T5_11.items()},
        **{f"mt5-{size}": dataclasses.replace(config, **_MT5) for size, config in _T5_11.items()},
        **{f"umt5-{size}": dataclasses.replace(_T5_11[size], **_UMT5) for size in ("small", "base", "xl", "xxl")},
        **{f"byt5-{size}": config for size, config in _BYT5_SHAPES.items()},
    }
    models = {name: ModelConfig(config, projection=None, normalize=False) for name, config in plain.items()}
    for family, sizes, length in (
        ("gtr-t5", ("base", "large", "xl", "xxl"), 512),
        ("sentence-t5", ("base", "large", "xl", "xxl"), 256),
        ("instructor", ("base", "large", "xl"), 512),
    ):
        for size in sizes:
            models[f"{family}-{size}"] = ModelConfig(_DUAL[size], projection=768, max_length=length)
    return models


PUBLISHED: dict[str, ModelConfig] = _published()


# --- Reading and writing a T5 config.json --------------------------------------------------------------------------


def encoder_config_from_t5(config: Mapping[str, Any], where: str | Path = "config.json") -> EncoderConfig:
    """Reads the dictionary of a T5, mT5, umT5 or ByT5 `config.json`, of an encoder alone or of the whole model.

    Args:
        config: the dictionary.
        where: what messages call it.

    Raises:
        ValueError: the model type is missing or not of the T5 family, a size is missing, a value has a wrong type or
            range or asks for what the encoder does not compute, or a key is unknown (see `encoder_settings`).
    """
    return EncoderConfig(**encoder_settings(Fields(config, where)))


def encoder_config_to_t5(config: EncoderConfig) -> dict[str, Any]:
    """The `config.json` dictionary that transformers reads as the same encoder; a `ValueError` where none can say it.

    transformers reads "gated-gelu" as the tanh approximation, and takes the number of bias tables from the model type.
    """
    if config.gated and config.activation == "gelu":
        raise ValueError("a T5 config.json cannot name gated units with the exact gelu; use activation='gelu_new'.")
    if config.shared_relative_bias == (config.model_type == "umt5"):
        raise ValueError(f"{config}: shared_relative_bias must be False for model_type='umt5', and only for it.")
    if config.gated:
        feed_forward = "gated-gelu" if config.activation == "gelu_new" else f"gated-{config.activation}"
    else:
        feed_forward = config.activation
    architecture = {"t5": "T5EncoderModel", "mt5": "MT5EncoderModel", "umt5": "UMT5EncoderModel"}[config.model_type]
    return {
        "architectures": [architecture],
        "model_type": config.model_type,
        "vocab_size": config.vocab,
        "d_model": config.embed,
        "num_layers": config.layers,
        "num_decoder_layers": config.layers,
        "num_heads": config.heads,
        "d_kv": config.head_dim,
        "d_ff": config.ffn,
        "feed_forward_proj": feed_forward,
        "relative_attention_num_buckets": config.relative_buckets,
        "relative_attention_max_distance": config.relative_max_distance,
        "layer_norm_epsilon": config.norm_epsilon,
        "dropout_rate": config.dropout,
        "pad_token_id": config.pad_id,
        "eos_token_id": config.eos_id,
        "is_encoder_decoder": False,
        "use_cache": False,
    }
