"""The published sizes of the T5 family, and the embedders that were made from them."""

import dataclasses
from typing import Any

from instructor_jax.backbones.t5.config import T5Config
from instructor_jax.config import ModelConfig


def _t5(embed: int, layers: int, heads: int, head_dim: int, ffn: int, **other: Any) -> T5Config:
    return T5Config(embed=embed, layers=layers, heads=heads, head_dim=head_dim, ffn=ffn, **other)


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


def published() -> dict[str, ModelConfig]:
    """Returns the published models by name."""
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
