"""Layers of grouped heads and gated units, as Qwen3 and the families of Gemma have them: sizes and names of weights.

Several heads of queries share one head of keys and values; most normalise queries and keys head by head.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from instructor_jax.backbones.checks import check_choice, check_flag, check_share, check_whole
from instructor_jax.backbones.weight_names import Entry, WeightNames, config_needed, linear, reshaped, same
from instructor_jax.io.bounds import LAYERS, SIZE

EMBEDDING = "embed_tokens.weight"
LAYER = "layers.{layer}."
_ADAPTED = (r"self_attn\.(q_proj|k_proj|v_proj|o_proj)", r"mlp\.(gate_proj|up_proj|down_proj)")


def check_grouped_heads(config: Any, more: Iterable[str], activations: tuple[str, ...]) -> None:
    """Checks the fields that configurations of such layers have in common.

    Args:
        config: The configuration.
        more: Its further fields that are whole numbers from 1.
        activations: The activations that it may have.

    Raises:
        ValueError: A value is of a wrong type or out of range, or the heads do not fit one another.
    """
    name = type(config).__name__
    for field in ("vocab", "embed", "heads", "kv_heads", "head_dim", "ffn", "max_positions", *more):
        check_whole(f"{name}.{field}", getattr(config, field), 1, SIZE)
    check_whole(f"{name}.layers", config.layers, 1, LAYERS)
    for field in ("pad_id", "eos_id"):
        check_whole(f"{name}.{field}", getattr(config, field), 0, SIZE)
    check_flag(f"{name}.attention_bias", config.attention_bias)
    check_choice(f"{name}.activation", config.activation, activations)
    for field in ("attention_dropout", "norm_epsilon"):
        check_share(f"{name}.{field}", getattr(config, field), below_one=True)
    if config.heads % config.kv_heads:
        raise ValueError(f"{name}.heads={config.heads} must be a multiple of kv_heads={config.kv_heads}.")
    if config.head_dim % 2:
        raise ValueError(f"{name}.head_dim={config.head_dim} must be even: positions turn pairs of numbers.")


def layer_weights(config: Any, norms: int, *, head_norms: bool = True) -> int:
    """Returns the number of weights of one layer.

    Args:
        config: The sizes.
        norms: How many norms of the model's width it has.
        head_norms: Whether queries and keys are normalised head by head.
    """
    inner, shared = config.heads * config.head_dim, config.kv_heads * config.head_dim
    attention = 2 * config.embed * (inner + shared) + 2 * config.head_dim * head_norms
    if config.attention_bias:
        attention += inner + 2 * shared + config.embed
    return attention + 3 * config.embed * config.ffn + norms * config.embed


def table(config: Any, norms: Iterable[tuple[str, str]], prefix: str = "", *, head_norms: bool = True) -> list[Entry]:
    """Returns the entries of all parameters of a model with such layers.

    Args:
        config: The configuration.
        norms: Our name and PyTorch's of every norm of the model's width that a layer has.
        prefix: What stands before all of PyTorch's names.
        head_norms: Whether queries and keys are normalised head by head.
    """
    return [
        same("encoder.embed.embedding", prefix + EMBEDDING, config.vocab, config.embed),
        *layer_entries(config, norms, "encoder.layers", prefix + LAYER, head_norms=head_norms),
        same("encoder.final_norm.scale", f"{prefix}norm.weight", config.embed),
    ]


def layer_entries(
    config: Any, norms: Iterable[tuple[str, str]], path: str, layer: str, *, head_norms: bool = True
) -> list[Entry]:
    """Returns the entries of a layer's parameters.

    Args:
        config: Its sizes.
        norms: As for `table`.
        path: Where it lies in our tree.
        layer: What stands before PyTorch's names, with a place for its number.
        head_norms: As for `table`.
    """
    embed, ffn, head_dim, attention = config.embed, config.ffn, config.head_dim, f"{path}.attention"
    entries = []
    for ours, theirs, heads in (
        ("query", "q_proj", config.heads),
        ("key", "k_proj", config.kv_heads),
        ("value", "v_proj", config.kv_heads),
    ):
        name, inner = f"{layer}self_attn.{theirs}", heads * head_dim
        entries.append(linear(f"{attention}.{ours}", f"{name}.weight", inner, embed, split=(embed, heads, head_dim)))
        if config.attention_bias:
            entries.append(reshaped(f"{attention}.{ours}_bias", f"{name}.bias", heads, head_dim))
    name, inner = f"{layer}self_attn.o_proj", config.heads * head_dim
    entries.append(linear(f"{attention}.out", f"{name}.weight", embed, inner, split=(config.heads, head_dim, embed)))
    if config.attention_bias:
        entries.append(same(f"{attention}.out_bias", f"{name}.bias", embed))
    for ours, theirs in (("query_norm", "q_norm"), ("key_norm", "k_norm")) if head_norms else ():
        entries.append(same(f"{attention}.{ours}.scale", f"{layer}self_attn.{theirs}.weight", head_dim))
    for ours, theirs in (("wi_0", "gate_proj"), ("wi_1", "up_proj")):
        entries.append(linear(f"{path}.mlp.{ours}", f"{layer}mlp.{theirs}.weight", ffn, embed))
    entries.append(linear(f"{path}.mlp.wo", f"{layer}mlp.down_proj.weight", embed, ffn))
    for ours, theirs in norms:
        entries.append(same(f"{path}.{ours}.scale", f"{layer}{theirs}.weight", embed))
    return entries


def names(table: Callable[[Any], list[Entry]]) -> WeightNames:
    """Returns the names of a family's weights: those of the model alone, and of the language model around it."""
    return WeightNames(
        table=table,
        infer_config=config_needed,
        embedding=EMBEDDING,
        embedding_copies=(),
        left_out=re.compile(r"(lm_head\..*|score\..*|(model\.)?rotary_emb(_local)?\.inv_freq)"),
        recognised=re.compile(r"embed_tokens\.weight|layers\.\d+\..*|norm\.weight"),
        stack=None,
        stack_prefix="",
        adapted=adapted(),
        layer_list="layers",
        whole_prefix="model.",
    )


def adapted(*more: str, prefix: str = "") -> re.Pattern[str]:
    """Returns PyTorch's names of the linear layers that adapters may change; see `WeightNames.adapted`.

    Args:
        more: Patterns of those that a layer has besides.
        prefix: What stands before all names.
    """
    return re.compile(rf"{re.escape(prefix)}layers\.(?P<layer>\d+)\.({'|'.join((*_ADAPTED, *more))})")
