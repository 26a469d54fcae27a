"""The names of T5's weights in the files of transformers, of T5X and of adapters."""

import re
from collections.abc import Mapping

import numpy as np

from instructor_jax.backbones.t5.config import T5Config
from instructor_jax.backbones.weight_names import (
    PROJECTION,
    Entry,
    Shapes,
    StoredName,
    WeightNames,
    linear,
    same,
    unchanged,
)

_EMBEDDING = "shared.weight"
_BLOCK = "encoder.block.{layer}."
_BIAS = "layer.0.SelfAttention.relative_attention_bias.weight"


def table(config: T5Config) -> list[Entry]:
    """Returns the entries of all parameters of an encoder with this configuration."""
    embed, heads, head_dim, ffn = config.embed, config.heads, config.head_dim, config.ffn
    inner = heads * head_dim
    attention, mlp = f"{_BLOCK}layer.0", f"{_BLOCK}layer.1"
    entries = [same("encoder.embed.embedding", _EMBEDDING, config.vocab, embed)]
    for ours, theirs in (("query", "q"), ("key", "k"), ("value", "v")):
        path, name = f"encoder.layers.attention.{ours}", f"{attention}.SelfAttention.{theirs}.weight"
        entries.append(linear(path, name, inner, embed, split=(embed, heads, head_dim)))
    name = f"{attention}.SelfAttention.o.weight"
    entries.append(linear("encoder.layers.attention.out", name, embed, inner, split=(heads, head_dim, embed)))
    if config.shared_relative_bias:  # transformers keeps the shared table in the first block
        path, name = "encoder.relative_bias.embedding", _BLOCK.format(layer=0) + _BIAS
    else:
        path, name = "encoder.layers.attention.relative_bias.embedding", _BLOCK + _BIAS
    entries.append(same(path, name, config.relative_buckets, heads))
    entries.append(same("encoder.layers.attention_norm.scale", f"{attention}.layer_norm.weight", embed))
    for wi in ("wi_0", "wi_1") if config.gated else ("wi",):
        entries.append(linear(f"encoder.layers.mlp.{wi}", f"{mlp}.DenseReluDense.{wi}.weight", ffn, embed))
    entries.append(linear("encoder.layers.mlp.wo", f"{mlp}.DenseReluDense.wo.weight", embed, ffn))
    entries.append(same("encoder.layers.mlp_norm.scale", f"{mlp}.layer_norm.weight", embed))
    entries.append(same("encoder.final_norm.scale", "encoder.final_layer_norm.weight", embed))
    return entries


def infer_config(shapes: Shapes) -> T5Config:
    """Returns the configuration that weights of these shapes belong to.

    The number of heads is in no kernel's shape: it comes from the relative-bias table, which has a column per head, and
    the head size from what is left of the query kernel. What shapes do not show is taken from the published models:
    gated feed-forward layers use the tanh approximation of GELU and others ReLU, distances saturate at 128, epsilon is
    1e-6; a bias table in every layer means umT5.

    Raises:
        ValueError: a weight that decides a size is missing, or sizes do not divide.
    """
    first = _BLOCK.format(layer=0)
    layers = {int(match[1]) for name in shapes if (match := re.match(r"encoder\.block\.(\d+)\.", name))}
    if gaps := sorted(set(range(len(layers))) - layers):
        raise ValueError(f"the checkpoint has weights of {len(layers)} layers, but none of layer {gaps[0]}")
    shared_bias = _BLOCK.format(layer=1) + _BIAS not in shapes
    vocab, embed = _matrix(shapes, _EMBEDDING)
    buckets, heads = _matrix(shapes, first + _BIAS)
    joined, _ = _matrix(shapes, first + "layer.0.SelfAttention.q.weight")
    gated = f"{first}layer.1.DenseReluDense.wi_0.weight" in shapes
    ffn, _ = _matrix(shapes, f"{first}layer.1.DenseReluDense.{'wi_0' if gated else 'wi'}.weight")
    if joined % heads:
        raise ValueError(f"the query kernel has {joined} columns, which {heads} heads cannot share equally")
    return T5Config(
        vocab=vocab,
        embed=embed,
        layers=len(layers),
        heads=heads,
        head_dim=joined // heads,
        ffn=ffn,
        activation="gelu_new" if gated else "relu",
        gated=gated,
        relative_buckets=buckets,
        shared_relative_bias=shared_bias,
        model_type="t5" if shared_bias else "umt5",
    )


def _matrix(shapes: Shapes, name: str) -> tuple[int, int]:
    if name not in shapes:
        raise ValueError(f"the checkpoint lacks {name}, from whose shape the configuration follows")
    if len(shapes[name]) != 2 or 0 in shapes[name]:
        raise ValueError(f"{name} has shape {shapes[name]}, not that of a matrix")
    return shapes[name][0], shapes[name][1]


# --- T5X: kernels are [in, out] where PyTorch's are [out, in], and nothing is scaled -------------------------------


def _transposed(array: np.ndarray) -> np.ndarray:
    return array.T


def _heads_last(kernel: np.ndarray) -> np.ndarray:
    return kernel.reshape(kernel.shape[0], -1).T  # [embed, heads, head_dim] or [embed, heads * head_dim]


def _heads_first(kernel: np.ndarray) -> np.ndarray:
    return kernel.reshape(-1, kernel.shape[-1]).T  # [heads, head_dim, embed] or [heads * head_dim, embed]


_T5X_LAYER: Mapping[str, StoredName] = {  # below encoder/layers_N/ or encoder/encoder/
    "attention/query/kernel": StoredName("layer.0.SelfAttention.q.weight", (2, 3), _heads_last),
    "attention/key/kernel": StoredName("layer.0.SelfAttention.k.weight", (2, 3), _heads_last),
    "attention/value/kernel": StoredName("layer.0.SelfAttention.v.weight", (2, 3), _heads_last),
    "attention/out/kernel": StoredName("layer.0.SelfAttention.o.weight", (2, 3), _heads_first),
    "relpos_bias/rel_embedding": StoredName(_BIAS, (2,), _transposed),
    "pre_attention_layer_norm/scale": StoredName("layer.0.layer_norm.weight", (1,), unchanged),
    "mlp/wi/kernel": StoredName("layer.1.DenseReluDense.wi.weight", (2,), _transposed),
    "mlp/wi_0/kernel": StoredName("layer.1.DenseReluDense.wi_0.weight", (2,), _transposed),
    "mlp/wi_1/kernel": StoredName("layer.1.DenseReluDense.wi_1.weight", (2,), _transposed),
    "mlp/wo/kernel": StoredName("layer.1.DenseReluDense.wo.weight", (2,), _transposed),
    "pre_mlp_layer_norm/scale": StoredName("layer.1.layer_norm.weight", (1,), unchanged),
}
_T5X_WHOLE: Mapping[str, StoredName] = {
    "token_embedder/embedding": StoredName(_EMBEDDING, (2,), unchanged),
    "encoder/token_embedder/embedding": StoredName(_EMBEDDING, (2,), unchanged),  # not shared with a decoder
    "encoder/relpos_bias/rel_embedding": StoredName(_BLOCK.format(layer=0) + _BIAS, (2,), _transposed),
    "encoder/encoder_norm/scale": StoredName("encoder.final_layer_norm.weight", (1,), unchanged),
    "projection_layer/kernel": StoredName(PROJECTION, (2,), _transposed),
}


def t5x_name(name: str) -> StoredName | None:
    """Returns how an array of a T5X checkpoint is read; None for an unknown name."""
    match = re.fullmatch(r"encoder/(?:layers_(0|[1-9]\d{0,3})|encoder)/(.+)", name)
    if match is None or match[2] not in _T5X_LAYER:
        return _T5X_WHOLE.get(name)
    found = _T5X_LAYER[match[2]]
    block = _BLOCK.format(layer=match[1] or "{}")
    return found._replace(torch_name=block + found.torch_name, scanned=match[1] is None)


_FLAX_ATTENTION = r"layer/0/(SelfAttention/([qkvo]/kernel|relative_attention_bias/embedding)|layer_norm/weight)"
_FLAX_MLP = r"layer/1/(DenseReluDense/(wi|wi_0|wi_1|wo)/kernel|layer_norm/weight)"
_FLAX_BLOCK = rf"encoder/block/(0|[1-9]\d{{0,3}})/({_FLAX_ATTENTION}|{_FLAX_MLP})"

NAMES = WeightNames(
    table=table,
    infer_config=infer_config,
    embedding=_EMBEDDING,
    embedding_copies=("encoder.embed_tokens.weight",),
    left_out=re.compile(r"(decoder\..*|lm_head\.weight)"),
    recognised=re.compile(
        r"shared\.weight|encoder\.(block|final_layer_norm|embed_tokens)\..*|decoder\..*|lm_head\.weight"
    ),
    stack=re.compile(r"(block\.\d+|final_layer_norm|embed_tokens)\..*"),
    stack_prefix="encoder.",
    adapted=re.compile(
        r"encoder\.block\.(?P<layer>\d+)\.layer\.\d\.(SelfAttention\.[qkvo]|DenseReluDense\.(wi|wi_0|wi_1|wo))"
    ),
    layer_list="block",
    flax=re.compile(rf"shared/embedding|encoder/final_layer_norm/weight|{_FLAX_BLOCK}"),
    flax_left_out=re.compile(r"decoder/.*|lm_head/kernel"),
    t5x=t5x_name,
)
