"""The record of the EmbeddingGemma 2 family, whose text model it is, and the names of its weights."""

import dataclasses
import re
from typing import Any

from instructor_jax.backbones.embedding_gemma2.config import EmbeddingGemma2Config, read_config, write_config
from instructor_jax.backbones.gemma.family import HABITS, NORMS
from instructor_jax.backbones.qwen3 import grouped_heads
from instructor_jax.backbones.registry import Backbone, EncoderModule
from instructor_jax.backbones.weight_names import Entry, linear, same
from instructor_jax.config import ModelConfig

_BLOCK = f"{grouped_heads.LAYER}ple_block."


def _build(config: EmbeddingGemma2Config, compute: Any, rngs: Any) -> EncoderModule:
    # JAX and flax, which reading a folder does without
    from instructor_jax.backbones.embedding_gemma2.encoder import Encoder

    return Encoder(config, compute, rngs)


def table(config: EmbeddingGemma2Config) -> list[Entry]:
    """Returns the entries of all parameters of a model with this configuration."""
    embed, ple_dim = config.embed, config.ple_dim
    of_all = (config.layers * ple_dim, embed)
    split = (embed, config.layers, ple_dim)
    entries = [
        same("encoder.embed.embedding", grouped_heads.EMBEDDING, config.vocab, embed),
        linear("encoder.ple", "ple.per_layer_model_projection.weight", *of_all, split=split),
        same("encoder.ple_norm.scale", "ple.per_layer_projection_norm.weight", ple_dim),
        same("encoder.final_norm.scale", "norm.weight", embed),
        linear("encoder.projection", "embedding_projection.weight", config.output, embed),
    ]
    for place in range(config.full_every):
        path = f"encoder.layers.layer_{place}"
        of_layer = [
            *grouped_heads.layer_entries(config.of_place(place), NORMS, path, grouped_heads.LAYER),
            linear(f"{path}.ple_gate", f"{_BLOCK}per_layer_input_gate.weight", ple_dim, embed),
            linear(f"{path}.ple_out", f"{_BLOCK}per_layer_projection.weight", embed, ple_dim),
            same(f"{path}.ple_norm.scale", f"{_BLOCK}post_per_layer_input_norm.weight", embed),
            same(f"{path}.scale", f"{grouped_heads.LAYER}layer_scalar", 1),
        ]
        entries += [dataclasses.replace(entry, first=place, every=config.full_every) for entry in of_layer]
    return entries


NAMES = dataclasses.replace(
    grouped_heads.names(table),
    left_out=re.compile(r"(vision_tower|embed_vision|audio_tower|embed_audio)\..*|.*rotary_emb\..*"),
    recognised=re.compile(r"embed_tokens\.weight|layers\.\d+\..*|norm\.weight|ple\..*|embedding_projection\.weight"),
    adapted=grouped_heads.adapted(r"ple_block\.(per_layer_input_gate|per_layer_projection)"),
    whole_prefix="language_model.",
)

BACKBONE = Backbone(
    title="EmbeddingGemma 2",
    config=EmbeddingGemma2Config,
    build=_build,
    read_config=read_config,
    write_config=write_config,
    weights=NAMES,
    # the published vocabulary begins as that of Gemma 3
    tokenizer=HABITS,
    pools_instruction=True,
    residual_outputs=(),
    published={
        "embeddinggemma-2": ModelConfig(EmbeddingGemma2Config(), max_length=2048, pool_instruction=True),
    },
    multimodal=True,
)
