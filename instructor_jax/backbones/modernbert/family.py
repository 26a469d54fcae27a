"""The record of the ModernBERT family, and the names of its weights."""

import re
from typing import Any

from instructor_jax.backbones.modernbert.config import ModernBertConfig, read_config, write_config
from instructor_jax.backbones.registry import Backbone, EncoderModule
from instructor_jax.backbones.tokenizer_habits import TokenizerClass, TokenizerHabits, begin_and_end
from instructor_jax.backbones.weight_names import Entry, WeightNames, config_needed, linear, reshaped, same
from instructor_jax.config import ModelConfig

_EMBEDDING = "embeddings.tok_embeddings.weight"
_LAYER = "layers.{layer}."


def _build(config: ModernBertConfig, compute: Any, rngs: Any) -> EncoderModule:
    from instructor_jax.backbones.modernbert.encoder import Encoder  # JAX and flax, which reading a folder does without

    return Encoder(config, compute, rngs)


def table(config: ModernBertConfig) -> list[Entry]:
    """Returns the entries of all parameters of an encoder with this configuration."""
    embed, ffn, heads = config.embed, config.ffn, (config.heads, config.head_dim)
    entries = [same("encoder.embed.embedding", _EMBEDDING, config.vocab, embed)]
    entries += _norm(config, "encoder.embed_norm", "embeddings.norm")
    for layer in range(1, config.layers):  # the first layer has none
        entries += _norm(config, f"encoder.attention_norms.layer_{layer}", f"layers.{layer}.attn_norm")
    path, name = "encoder.layers.attention", f"{_LAYER}attn"
    entries.append(linear(f"{path}.qkv", f"{name}.Wqkv.weight", 3 * embed, embed, split=(embed, 3, *heads)))
    entries.append(linear(f"{path}.out", f"{name}.Wo.weight", embed, embed, split=(*heads, embed)))
    if config.attention_bias:
        entries.append(reshaped(f"{path}.qkv_bias", f"{name}.Wqkv.bias", 3, *heads))
        entries.append(same(f"{path}.out_bias", f"{name}.Wo.bias", embed))
    entries += _norm(config, "encoder.layers.mlp_norm", f"{_LAYER}mlp_norm")
    entries.append(linear("encoder.layers.mlp.wi", f"{_LAYER}mlp.Wi.weight", 2 * ffn, embed, split=(embed, 2, ffn)))
    entries.append(linear("encoder.layers.mlp.wo", f"{_LAYER}mlp.Wo.weight", embed, ffn))
    if config.mlp_bias:
        entries.append(reshaped("encoder.layers.mlp.wi_bias", f"{_LAYER}mlp.Wi.bias", 2, ffn))
        entries.append(same("encoder.layers.mlp_bias", f"{_LAYER}mlp.Wo.bias", embed))
    return entries + _norm(config, "encoder.final_norm", "final_norm")


def _norm(config: ModernBertConfig, path: str, name: str) -> list[Entry]:
    bias = [same(f"{path}.bias", f"{name}.bias", config.embed)] if config.norm_bias else []
    return [same(f"{path}.scale", f"{name}.weight", config.embed), *bias]


NAMES = WeightNames(
    table=table,
    infer_config=config_needed,
    embedding=_EMBEDDING,
    embedding_copies=(),
    left_out=re.compile(r"(head\..*|decoder\..*|classifier\..*)"),
    recognised=re.compile(r"embeddings\.(tok_embeddings|norm)\..*|layers\.\d+\..*|final_norm\..*"),
    stack=None,
    stack_prefix="",
    adapted=re.compile(r"layers\.(?P<layer>\d+)\.(attn\.(Wqkv|Wo)|mlp\.(Wi|Wo))"),
    layer_list="layers",
    whole_prefix="model.",
)

_SPECIAL = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")
_NAMED = {
    "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]",
}  # fmt: skip


def finish(tokenizer: Any) -> None:
    """Gives a `tokenizers.Tokenizer` of bytes that begins with the special tokens the beginning and end of a text."""
    from tokenizers import decoders

    tokenizer.decoder = decoders.ByteLevel()
    begin_and_end(tokenizer, _SPECIAL, "[CLS]", "[SEP]")


HABITS = TokenizerHabits(
    classes={"PreTrainedTokenizer": TokenizerClass(), "TokenizersBackend": TokenizerClass()},
    default=lambda name, model_type: name or "PreTrainedTokenizer",
    from_sentencepiece=None,
    special=_SPECIAL,
    finish=finish,
    new_settings={"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 8192, **_NAMED},
    ends_with_eos=False,  # texts end with [SEP]
    only={"add_prefix_space": (False,)},
)

_BASE = ModernBertConfig()
_LARGE = ModernBertConfig(embed=1024, layers=28, heads=16, ffn=2624)

BACKBONE = Backbone(
    title="ModernBERT",
    config=ModernBertConfig,
    build=_build,
    read_config=read_config,
    write_config=write_config,
    weights=NAMES,
    tokenizer=HABITS,
    pools_instruction=True,
    residual_outputs=(("attention", "out"), ("mlp", "wo")),
    published={
        "ModernBERT-base": ModelConfig(_BASE, normalize=False, max_length=8192, pool_instruction=True),
        "ModernBERT-large": ModelConfig(_LARGE, normalize=False, max_length=8192, pool_instruction=True),
        "modernbert-embed-base": ModelConfig(_BASE, max_length=8192, pool_instruction=True),
        "gte-modernbert-base": ModelConfig(
            _BASE, normalize=False, max_length=8192, pool_instruction=True, pooling="cls"
        ),
    },
)
