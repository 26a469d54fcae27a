"""The record of the MPNet family, and the names of its weights."""

import re
from typing import Any

from instructor_jax.backbones.bert.family import HABITS as BERT_HABITS
from instructor_jax.backbones.bert.names import attention_entries, feed_forward_entries, norm
from instructor_jax.backbones.mpnet.config import BUCKETS, MPNetConfig, read_config, write_config
from instructor_jax.backbones.registry import Backbone, EncoderModule
from instructor_jax.backbones.tokenizer_habits import TokenizerClass, TokenizerHabits, begin_and_end
from instructor_jax.backbones.weight_names import Entry, WeightNames, config_needed, same
from instructor_jax.config import ModelConfig

_EMBEDDING = "embeddings.word_embeddings.weight"
_LAYER = "encoder.layer.{layer}."


def _build(config: MPNetConfig, compute: Any, rngs: Any) -> EncoderModule:
    from instructor_jax.backbones.mpnet.encoder import Encoder  # JAX and flax, which reading a folder does without

    return Encoder(config, compute, rngs)


def table(config: MPNetConfig) -> list[Entry]:
    """Returns the entries of all parameters of an encoder with this configuration."""
    embed, attention = config.embed, {"query": "q", "key": "k", "value": "v", "out": "o"}
    bias = "encoder.relative_attention_bias.weight"
    return [
        same("encoder.embed.embedding", _EMBEDDING, config.vocab, embed),
        same("encoder.positions.embedding", "embeddings.position_embeddings.weight", config.position_vectors, embed),
        *norm("encoder.embed_norm", "embeddings.LayerNorm", embed),
        same("encoder.relative_bias.embedding", bias, BUCKETS, config.heads),
        *attention_entries(config, {ours: f"{_LAYER}attention.attn.{theirs}" for ours, theirs in attention.items()}),
        *norm("encoder.layers.attention_norm", f"{_LAYER}attention.LayerNorm", embed),
        *feed_forward_entries(config, _LAYER),
    ]


NAMES = WeightNames(
    table=table,
    infer_config=config_needed,
    embedding=_EMBEDDING,
    embedding_copies=(),
    left_out=re.compile(r"((mpnet\.)?pooler\..*|(mpnet\.)?embeddings\.position_ids|lm_head\..*|classifier\..*)"),
    recognised=re.compile(
        r"embeddings\.(word|position)_embeddings\..*|encoder\.(layer|relative_attention_bias)\..*|pooler\.dense\..*"
    ),
    stack=None,
    stack_prefix="",
    adapted=re.compile(r"encoder\.layer\.(?P<layer>\d+)\.(attention\.attn\.[qkvo]|(intermediate|output)\.dense)"),
    layer_list="layer",
    whole_prefix="mpnet.",
)

_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>")
_NAMED = {
    "bos_token": "<s>", "eos_token": "</s>", "unk_token": "[UNK]", "sep_token": "</s>", "pad_token": "<pad>",
    "cls_token": "<s>", "mask_token": "<mask>",
}  # fmt: skip


def finish(tokenizer: Any) -> None:
    """Gives a `tokenizers.Tokenizer` that begins with MPNet's special tokens the beginning and end of a text."""
    from tokenizers import decoders

    tokenizer.decoder = decoders.WordPiece(prefix="##")
    begin_and_end(tokenizer, _SPECIAL, "<s>", "</s>")


HABITS = TokenizerHabits(
    classes={
        "MPNetTokenizer": TokenizerClass(named=_NAMED),
        "PreTrainedTokenizer": TokenizerClass(),
        "TokenizersBackend": TokenizerClass(),
    },
    default=lambda name, model_type: name or "MPNetTokenizer",
    from_sentencepiece=None,
    special=_SPECIAL,
    finish=finish,
    new_settings={"tokenizer_class": "MPNetTokenizer", "model_max_length": 512, **_NAMED},
    normalizer_keys=BERT_HABITS.normalizer_keys,
    only=BERT_HABITS.only,
)

_BASE = MPNetConfig()

BACKBONE = Backbone(
    title="MPNet",
    config=MPNetConfig,
    build=_build,
    read_config=read_config,
    write_config=write_config,
    weights=NAMES,
    tokenizer=HABITS,
    pools_instruction=True,
    residual_outputs=(("attention", "out"), ("mlp", "wo")),
    published={
        "mpnet-base": ModelConfig(_BASE, normalize=False, pool_instruction=True),
        "all-mpnet-base-v2": ModelConfig(_BASE, max_length=384, pool_instruction=True),
        "multi-qa-mpnet-base-dot-v1": ModelConfig(_BASE, normalize=False, pool_instruction=True, pooling="cls"),
        "paraphrase-mpnet-base-v2": ModelConfig(_BASE, normalize=False, pool_instruction=True),
    },
)
