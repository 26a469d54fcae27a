"""The record of the Gemma family, as EmbeddingGemma uses it, and the names of its weights."""

from typing import Any

from instructor_jax.backbones.gemma.config import GemmaConfig, read_config, write_config
from instructor_jax.backbones.qwen3 import grouped_heads
from instructor_jax.backbones.registry import Backbone, EncoderModule
from instructor_jax.backbones.tokenizer_habits import TokenizerClass, TokenizerHabits, begin_and_end
from instructor_jax.backbones.weight_names import Entry
from instructor_jax.config import DenseShape, ModelConfig

NORMS = (
    ("before_attention", "input_layernorm"),
    ("behind_attention", "post_attention_layernorm"),
    ("before_mlp", "pre_feedforward_layernorm"),
    ("behind_mlp", "post_feedforward_layernorm"),
)


def _build(config: GemmaConfig, compute: Any, rngs: Any) -> EncoderModule:
    # JAX and flax, which reading a folder does without
    from instructor_jax.backbones.gemma.encoder import Encoder
    from instructor_jax.backbones.gemma.layer import LayerShape
    from instructor_jax.nn.layers import FeedForwardShape
    from instructor_jax.nn.self_attention import AttentionShape

    attention = AttentionShape(
        config.embed, config.heads, config.kv_heads, config.head_dim, config.score_width**-0.5,
        config.attention_dropout, bias=config.attention_bias, norm_epsilon=config.norm_epsilon, norm_offset=1.0,
    )  # fmt: skip
    mlp = FeedForwardShape(config.embed, config.ffn, config.activation, gated=True, dropout=0.0)
    return Encoder(config, LayerShape(attention, mlp, config.norm_epsilon), compute, rngs)


def table(config: GemmaConfig) -> list[Entry]:
    """Returns the entries of all parameters of a model with this configuration."""
    return grouped_heads.table(config, NORMS)


NAMES = grouped_heads.names(table)

_SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
_NAMED = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"}


def finish(tokenizer: Any) -> None:
    """Gives a `tokenizers.Tokenizer` that begins with Gemma's special tokens the beginning and end of a text."""
    from tokenizers import decoders

    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(parts)
    begin_and_end(tokenizer, _SPECIAL, "<bos>", "<eos>")


HABITS = TokenizerHabits(
    classes={
        "GemmaTokenizer": TokenizerClass(named=_NAMED),
        "PreTrainedTokenizer": TokenizerClass(),
        "TokenizersBackend": TokenizerClass(),
    },
    default=lambda name, model_type: name or "GemmaTokenizer",
    from_sentencepiece=None,
    special=_SPECIAL,
    finish=finish,
    # the class of Gemma makes its tokenizer anew from the vocabulary in transformers 5
    new_settings={"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 2048, **_NAMED},
    only={"add_prefix_space": (False,)},
    harmless=("use_default_system_prompt",),  # conversations
)

BACKBONE = Backbone(
    title="Gemma",
    config=GemmaConfig,
    build=_build,
    read_config=read_config,
    write_config=write_config,
    weights=NAMES,
    tokenizer=HABITS,
    pools_instruction=True,
    residual_outputs=(("attention", "out"), ("mlp", "wo")),
    published={
        "embeddinggemma-300m": ModelConfig(
            GemmaConfig(), dense=(DenseShape(3072, bias=False),), projection=768, max_length=2048, pool_instruction=True
        )
    },
)
