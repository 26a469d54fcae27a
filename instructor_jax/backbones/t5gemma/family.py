"""The record of the T5Gemma family: the encoders of Google's encoder-decoder models, and the names of their weights."""

import dataclasses
import re
from typing import Any

from instructor_jax.backbones.gemma.family import HABITS, NORMS
from instructor_jax.backbones.qwen3 import grouped_heads
from instructor_jax.backbones.registry import Backbone, EncoderModule
from instructor_jax.backbones.t5gemma.config import T5GemmaConfig, read_config, write_config
from instructor_jax.backbones.weight_names import Entry
from instructor_jax.config import ModelConfig

_PREFIX = "encoder."
_THEIRS = {"input_layernorm": "pre_self_attn_layernorm", "post_attention_layernorm": "post_self_attn_layernorm"}
_NORMS = tuple((ours, _THEIRS.get(theirs, theirs)) for ours, theirs in NORMS)


def _build(config: T5GemmaConfig, compute: Any, rngs: Any) -> EncoderModule:
    # JAX and flax, which reading a folder does without
    from instructor_jax.backbones.gemma.encoder import Encoder
    from instructor_jax.backbones.gemma.layer import LayerShape
    from instructor_jax.nn.layers import FeedForwardShape
    from instructor_jax.nn.self_attention import AttentionShape

    attention = AttentionShape(
        config.embed, config.heads, config.kv_heads, config.head_dim, config.score_width**-0.5,
        config.attention_dropout, bias=config.attention_bias,
    )  # fmt: skip
    mlp = FeedForwardShape(config.embed, config.ffn, config.activation, gated=True, dropout=config.dropout)
    shape = LayerShape(attention, mlp, config.norm_epsilon, dropout=config.dropout)
    return Encoder(config, shape, compute, rngs)


def table(config: T5GemmaConfig) -> list[Entry]:
    """Returns the entries of all parameters of an encoder with this configuration."""
    return grouped_heads.table(config, _NORMS, _PREFIX, head_norms=False)


NAMES = dataclasses.replace(
    grouped_heads.names(table),
    embedding=_PREFIX + grouped_heads.EMBEDDING,
    left_out=re.compile(r"(decoder\..*|lm_head\..*|score\..*|classifier\..*|encoder\.rotary_emb\.inv_freq)"),
    recognised=re.compile(r"encoder\.(embed_tokens\.weight|layers\.\d+\..*|norm\.weight)|decoder\..*|lm_head\..*"),
    stack=re.compile(r"embed_tokens\.weight|layers\.\d+\..*|norm\.weight"),
    stack_prefix=_PREFIX,
    adapted=grouped_heads.adapted(prefix=_PREFIX),
)


def _sized(embed: int, layers: int, ffn: int, heads: int, kv_heads: int, head_dim: int) -> ModelConfig:
    encoder = T5GemmaConfig(
        embed=embed, layers=layers, ffn=ffn, heads=heads, kv_heads=kv_heads, head_dim=head_dim, score_width=head_dim
    )
    return ModelConfig(encoder, max_length=512, pool_instruction=True)


# Sizes of encoder and decoder, as the published models are called by them, and the encoder's shape.
_SIZES = {
    "s-s": _sized(512, 8, 1024, 8, 8, 64),
    "b-b": _sized(768, 12, 2048, 12, 12, 64),
    "l-l": _sized(1024, 24, 2816, 16, 16, 64),
    "xl-xl": _sized(2048, 24, 5120, 32, 32, 64),
    "2b-2b": _sized(2304, 26, 9216, 8, 4, 256),
    "9b-2b": _sized(3584, 42, 14336, 16, 8, 256),
    "9b-9b": _sized(3584, 42, 14336, 16, 8, 256),
}

BACKBONE = Backbone(
    title="T5Gemma",
    config=T5GemmaConfig,
    build=_build,
    read_config=read_config,
    write_config=write_config,
    weights=NAMES,
    # the vocabulary of Gemma 2, whose first tokens are those of Gemma 3
    tokenizer=dataclasses.replace(HABITS, new_settings={**HABITS.new_settings, "model_max_length": 8192}),
    pools_instruction=True,
    residual_outputs=(("attention", "out"), ("mlp", "wo")),
    published={f"t5gemma-{size}-{kind}": model for size, model in _SIZES.items() for kind in ("ul2", "prefixlm")},
)
