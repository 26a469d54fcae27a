"""The names of BERT's weights in the files of transformers and of adapters."""

import re
from typing import Any

from instructor_jax.backbones.bert.config import BertConfig
from instructor_jax.backbones.weight_names import Entry, WeightNames, config_needed, linear, reshaped, same

_EMBEDDING = "embeddings.word_embeddings.weight"
_LAYER = "encoder.layer.{layer}."


def table(config: BertConfig) -> list[Entry]:
    """Returns the entries of all parameters of an encoder with this configuration."""
    embed = config.embed
    attention = {"query": "self.query", "key": "self.key", "value": "self.value", "out": "output.dense"}
    return [
        same("encoder.embed.embedding", _EMBEDDING, config.vocab, embed),
        same("encoder.positions.embedding", "embeddings.position_embeddings.weight", config.positions, embed),
        same("encoder.token_types", "embeddings.token_type_embeddings.weight", config.token_types, embed),
        *norm("encoder.embed_norm", "embeddings.LayerNorm", embed),
        *attention_entries(config, {ours: f"{_LAYER}attention.{theirs}" for ours, theirs in attention.items()}),
        *norm("encoder.layers.attention_norm", f"{_LAYER}attention.output.LayerNorm", embed),
        *feed_forward_entries(config, _LAYER),
    ]


def norm(path: str, name: str, width: int) -> list[Entry]:
    """Returns the entries of a layer norm with a bias."""
    return [same(f"{path}.scale", f"{name}.weight", width), same(f"{path}.bias", f"{name}.bias", width)]


def attention_entries(config: Any, names: dict[str, str]) -> list[Entry]:
    """Returns the entries of a layer's attention.

    Args:
        config: A configuration with BERT's sizes.
        names: PyTorch's names of `query`, `key`, `value` and `out`.
    """
    embed, heads = config.embed, (config.heads, config.head_dim)
    entries = []
    for ours in ("query", "key", "value"):
        path = f"encoder.layers.attention.{ours}"
        entries.append(linear(path, f"{names[ours]}.weight", embed, embed, split=(embed, *heads)))
        entries.append(reshaped(f"{path}_bias", f"{names[ours]}.bias", *heads))
    path = "encoder.layers.attention.out"
    entries.append(linear(path, f"{names['out']}.weight", embed, embed, split=(*heads, embed)))
    return [*entries, same(f"{path}_bias", f"{names['out']}.bias", embed)]


def feed_forward_entries(config: Any, layer: str) -> list[Entry]:
    """Returns the entries of a layer's feed-forward part and its norm, which BERT and its kin call alike.

    Args:
        config: A configuration with BERT's sizes.
        layer: What stands before the names of a layer's weights.
    """
    embed, ffn = config.embed, config.ffn
    return [
        linear("encoder.layers.mlp.wi", f"{layer}intermediate.dense.weight", ffn, embed),
        same("encoder.layers.mlp.wi_bias", f"{layer}intermediate.dense.bias", ffn),
        linear("encoder.layers.mlp.wo", f"{layer}output.dense.weight", embed, ffn),
        same("encoder.layers.mlp_bias", f"{layer}output.dense.bias", embed),
        *norm("encoder.layers.mlp_norm", f"{layer}output.LayerNorm", embed),
    ]


NAMES = WeightNames(
    table=table,
    infer_config=config_needed,
    embedding=_EMBEDDING,
    embedding_copies=(),
    # the pooler feeds a head of training; sentence-transformers does not pool by it
    left_out=re.compile(
        r"((bert\.)?pooler\..*|(bert\.)?embeddings\.(position_ids|token_type_ids)|cls\..*|classifier\..*)"
    ),
    recognised=re.compile(
        r"embeddings\.(word|position|token_type)_embeddings\..*|encoder\.layer\..*|pooler\.dense\..*"
    ),
    stack=None,
    stack_prefix="",
    adapted=re.compile(
        r"encoder\.layer\.(?P<layer>\d+)\.(attention\.self\.(query|key|value)|(attention\.output|intermediate|output)\.dense)"
    ),
    layer_list="layer",
    whole_prefix="bert.",
)
