"""The names of Qwen3's weights in the files of transformers and of adapters."""

import re

from instructor_jax.backbones.qwen3.config import Qwen3Config
from instructor_jax.backbones.weight_names import Entry, WeightNames, config_needed, linear, reshaped, same

_EMBEDDING = "embed_tokens.weight"
_LAYER = "layers.{layer}."


def table(config: Qwen3Config) -> list[Entry]:
    """Returns the entries of all parameters of a model with this configuration."""
    embed, head_dim, path = config.embed, config.head_dim, "encoder.layers.attention"
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
    split = (config.heads, head_dim, embed)
    entries.append(
        linear(f"{path}.out", f"{_LAYER}self_attn.o_proj.weight", embed, config.heads * head_dim, split=split)
    )
    if config.attention_bias:
        entries.append(same(f"{path}.out_bias", f"{_LAYER}self_attn.o_proj.bias", embed))
    for ours, theirs in (("query_norm", "q_norm"), ("key_norm", "k_norm")):
        entries.append(same(f"{path}.{ours}.scale", f"{_LAYER}self_attn.{theirs}.weight", head_dim))
    for ours, theirs in (("wi_0", "gate_proj"), ("wi_1", "up_proj")):
        entries.append(linear(f"encoder.layers.mlp.{ours}", f"{_LAYER}mlp.{theirs}.weight", config.ffn, embed))
    entries.append(linear("encoder.layers.mlp.wo", f"{_LAYER}mlp.down_proj.weight", embed, config.ffn))
    for ours, theirs in (("attention_norm", "input_layernorm"), ("mlp_norm", "post_attention_layernorm")):
        entries.append(same(f"encoder.layers.{ours}.scale", f"{_LAYER}{theirs}.weight", embed))
    entries.append(same("encoder.final_norm.scale", "norm.weight", embed))
    return entries


NAMES = WeightNames(
    table=table,
    infer_config=config_needed,
    embedding=_EMBEDDING,
    embedding_copies=(),
    left_out=re.compile(r"(lm_head\..*|score\..*|(model\.)?rotary_emb\.inv_freq)"),
    recognised=re.compile(r"embed_tokens\.weight|layers\.\d+\..*|norm\.weight"),
    stack=None,
    stack_prefix="",
    adapted=re.compile(
        r"layers\.(?P<layer>\d+)\.(self_attn\.(q_proj|k_proj|v_proj|o_proj)|mlp\.(gate_proj|up_proj|down_proj))"
    ),
    layer_list="layers",
    whole_prefix="model.",
)
