"""The record of the Gemma family, as EmbeddingGemma uses it, and the names of its weights."""

import re
from typing import Any

from instructor_jax.backbones.gemma.config import GemmaConfig, read_config, write_config
from instructor_jax.backbones.registry import Backbone, EncoderModule
from instructor_jax.backbones.tokenizer_habits import TokenizerClass, TokenizerHabits
from instructor_jax.backbones.weight_names import Entry, WeightNames, config_needed, linear, reshaped, same
from instructor_jax.config import DenseShape, ModelConfig

_EMBEDDING = "embed_tokens.weight"
_LAYER = "layers.{layer}."


def _build(config: GemmaConfig, compute: Any, rngs: Any) -> EncoderModule:
    from instructor_jax.backbones.gemma.encoder import Encoder  # JAX and flax, which reading a folder does without

    return Encoder(config, compute, rngs)


def table(config: GemmaConfig) -> list[Entry]:
    """Returns the entries of all parameters of a model with this configuration."""
    embed, ffn, head_dim, path = config.embed, config.ffn, config.head_dim, "encoder.layers.attention"
    entries = [same("encoder.embed.embedding", _EMBEDDING, config.vocab, embed)]
    for ours, theirs, heads in (
        ("query", "q_proj", config.heads),
        ("key", "k_proj", config.kv_heads),
        ("value", "v_proj", config.kv_heads),
    ):
        name, inner = f"{_LAYER}self_attn.{theirs}", heads * head_dim
        entries.append(linear(f"{path}.{ours}", f"{name}.weight", inner, embed, split=(embed, heads, head_dim)))
        if config.attention_bias:
            entries.append(reshaped(f"{path}.{ours}_bias", f"{name}.bias", heads, head_dim))
    name, inner = f"{_LAYER}self_attn.o_proj", config.heads * head_dim
    entries.append(linear(f"{path}.out", f"{name}.weight", embed, inner, split=(config.heads, head_dim, embed)))
    if config.attention_bias:
        entries.append(same(f"{path}.out_bias", f"{name}.bias", embed))
    for ours, theirs in (("query_norm", "q_norm"), ("key_norm", "k_norm")):
        entries.append(same(f"{path}.{ours}.scale", f"{_LAYER}self_attn.{theirs}.weight", head_dim))
    for ours, theirs in (("wi_0", "gate_proj"), ("wi_1", "up_proj")):
        entries.append(linear(f"encoder.layers.mlp.{ours}", f"{_LAYER}mlp.{theirs}.weight", ffn, embed))
    entries.append(linear("encoder.layers.mlp.wo", f"{_LAYER}mlp.down_proj.weight", embed, ffn))
    for ours, theirs in (
        ("before_attention", "input_layernorm"),
        ("behind_attention", "post_attention_layernorm"),
        ("before_mlp", "pre_feedforward_layernorm"),
        ("behind_mlp", "post_feedforward_layernorm"),
    ):
        entries.append(same(f"encoder.layers.{ours}.scale", f"{_LAYER}{theirs}.weight", embed))
    entries.append(same("encoder.final_norm.scale", "norm.weight", embed))
    return entries


NAMES = WeightNames(
    table=table,
    infer_config=config_needed,
    embedding=_EMBEDDING,
    embedding_copies=(),
    left_out=re.compile(r"(lm_head\..*|score\..*|(model\.)?rotary_emb(_local)?\.inv_freq)"),
    recognised=re.compile(r"embed_tokens\.weight|layers\.\d+\..*|norm\.weight"),
    stack=None,
    stack_prefix="",
    adapted=re.compile(
        r"layers\.(?P<layer>\d+)\.(self_attn\.(q_proj|k_proj|v_proj|o_proj)|mlp\.(gate_proj|up_proj|down_proj))"
    ),
    layer_list="layers",
    whole_prefix="model.",
)

_SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
_NAMED = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"}


def finish(tokenizer: Any) -> None:
    """Gives a `tokenizers.Tokenizer` that begins with Gemma's special tokens the beginning and end of a text."""
    from tokenizers import decoders, processors

    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(parts)
    ends = [("<bos>", _SPECIAL.index("<bos>")), ("<eos>", _SPECIAL.index("<eos>"))]
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A <eos>", special_tokens=ends)
    tokenizer.add_special_tokens(list(_SPECIAL))


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
