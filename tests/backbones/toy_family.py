"""A family that nobody has: learned positions that begin anew at each text, scaled attention, norms after the sums.

It is what a new family has to be, in one file: everything that `Backbone` asks for, and nothing elsewhere.
"""

import dataclasses
import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from instructor_jax.backbones.registry import Backbone, default_backbone
from instructor_jax.backbones.weight_names import Entry, WeightNames, linear, same
from instructor_jax.io.json_files import Fields
from instructor_jax.io.settings.encoder import check_common_keys
from instructor_jax.nn.attention import attention_backend
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.nn.embedding_table import TokenEmbedding
from instructor_jax.nn.layers import FeedForward, FeedForwardShape, RMSNorm, SlicedFeedForward, parameter
from instructor_jax.nn.stack import keys_of_layer, make_layers, run_layers

NAMES = {"vocab": "vocab_size", "embed": "hidden_size", "layers": "num_hidden_layers", "heads": "num_attention_heads"}


@dataclasses.dataclass(frozen=True)
class ToyConfig:
    """Shape of a toy encoder."""

    vocab: int = 600
    embed: int = 16
    layers: int = 2
    heads: int = 2
    head_dim: int = 8
    ffn: int = 24
    positions: int = 64
    dropout: float = 0.1
    pad_id: int = 0
    eos_id: int = 1
    model_type: str = "toy"

    @property
    def attention_dropout(self) -> float:
        """The same for the attention weights."""
        return self.dropout

    @property
    def weight_count(self) -> int:
        """Number of weights."""
        per_layer = 4 * self.embed * self.heads * self.head_dim + 2 * self.embed * self.ffn + 2 * self.embed
        return (self.vocab + self.positions) * self.embed + self.layers * per_layer


class ToyLayer(nnx.Module):
    """norm(x + attention(x)), then norm(x + feed_forward(x))."""

    def __init__(self, config: ToyConfig, slices: int, rngs: nnx.Rngs):
        shape = (config.embed, config.heads, config.head_dim)
        axes = ("embed", "heads", "head_dim")
        self.query, self.key, self.value = (parameter(rngs.params(), shape, 0.3, axes) for _ in range(3))
        self.out = parameter(rngs.params(), (*shape[1:], shape[0]), 0.3, (*axes[1:], axes[0]))
        ffn = FeedForwardShape(config.embed, config.ffn, "gelu", gated=False, dropout=config.dropout)
        self.mlp = FeedForward(ffn, rngs) if slices == 1 else SlicedFeedForward(ffn, rngs, slices)
        self.attention_norm, self.mlp_norm = (RMSNorm(config.embed, 1e-6) for _ in range(2))
        self.dropout = DropoutSite(config.dropout, site=1)
        self.scale = config.head_dim**-0.5

    def __call__(self, x: Any, bias: Any, attention: Any, dtype: Any, row_keys: Any) -> Any:
        """Runs the layer."""
        query, key, value = (attention.project(x, weight[...]) for weight in (self.query, self.key, self.value))
        mixed = attention.attend((query * self.scale, key, value), bias, self.dropout, row_keys)
        x = self.attention_norm(x + attention.join(mixed, self.out[...]), dtype)
        return self.mlp_norm(x + self.mlp(x, dtype, row_keys), dtype)


class ToyEncoder(nnx.Module):
    """Hidden states of packed rows."""

    def __init__(self, config: ToyConfig, compute: Compute, rngs: nnx.Rngs):
        self.config, self.compute = config, compute
        self.embed = TokenEmbedding(config.vocab, config.embed, rngs)
        self.positions = parameter(rngs.params(), (config.positions, config.embed), 1.0, ("norm", "embed"))
        make = partial(ToyLayer, config, compute.layout.mlp_slices)
        self.layers: Any = make_layers(make, config.layers, compute.layout, rngs)

    def __call__(self, tokens: Any, segments: Any, row_keys: Any = None) -> Any:
        """Encodes rows."""
        x, run = self.begin(tokens, segments, row_keys)
        return self.finish(run_layers(run, self.layers, x, self.config.layers, self.compute), row_keys)

    def begin(self, tokens: Any, segments: Any, row_keys: Any = None) -> Any:
        """What enters the first layer, and what runs one."""
        dtype = self.compute.dtype
        attention = attention_backend(self.compute, self.config, segments, row_keys)
        bias = jnp.zeros((self.config.heads, *attention.by_offset(jnp.zeros_like).shape), jnp.float32)
        place = jnp.broadcast_to(jnp.arange(tokens.shape[-1]), tokens.shape)
        first = segments != jnp.roll(segments, 1, axis=-1)
        place = place - jax.lax.cummax(jnp.where(first.at[..., 0].set(True), place, 0), axis=2)
        x = self.embed(tokens, dtype) + self.positions[...].astype(dtype)[place]

        def run(x: Any, layer: ToyLayer, index: Any) -> Any:
            return layer(x, bias, attention, dtype, keys_of_layer(row_keys, index))

        return x, run

    def finish(self, x: Any, row_keys: Any = None) -> Any:
        """The last layer's states are the final ones."""
        return x


def table(config: ToyConfig) -> list[Entry]:
    """All parameters, under names of PyTorch's kind."""
    embed, inner, layer = config.embed, config.heads * config.head_dim, "encoder.layer.{layer}."
    split = (embed, config.heads, config.head_dim)
    entries = [
        same("encoder.embed.embedding", "embeddings.word.weight", config.vocab, embed),
        same("encoder.positions", "embeddings.position.weight", config.positions, embed),
    ]
    for name in ("query", "key", "value"):
        entries.append(linear(f"encoder.layers.{name}", f"{layer}{name}.weight", inner, embed, split=split))
    entries.append(linear("encoder.layers.out", f"{layer}out.weight", embed, inner, split=(*split[1:], embed)))
    entries.append(linear("encoder.layers.mlp.wi", f"{layer}up.weight", config.ffn, embed))
    entries.append(linear("encoder.layers.mlp.wo", f"{layer}down.weight", embed, config.ffn))
    for norm in ("attention_norm", "mlp_norm"):
        entries.append(same(f"encoder.layers.{norm}.scale", f"{layer}{norm}.weight", embed))
    return entries


def read_config(fields: Fields) -> ToyConfig:
    """Reads a config.json."""
    check_common_keys(fields)
    fields.any("model_type")
    fields.ignore(["hidden_act"])
    sizes: dict[str, Any] = {ours: fields.whole(theirs) for ours, theirs in NAMES.items()}
    config = ToyConfig(
        head_dim=fields.whole("head_dim"),
        ffn=fields.whole("intermediate_size"),
        positions=fields.whole("max_position_embeddings"),
        **sizes,
    )
    fields.refuse_unread()
    return config


def write_config(config: ToyConfig) -> dict[str, Any]:
    """The config.json of an encoder."""
    sizes = {theirs: getattr(config, ours) for ours, theirs in NAMES.items()}
    own = {
        "head_dim": config.head_dim, "intermediate_size": config.ffn, "max_position_embeddings": config.positions,
    }  # fmt: skip
    return {"architectures": ["ToyModel"], "model_type": "toy", "hidden_act": "gelu", **sizes, **own}


def infer_config(shapes: Any) -> ToyConfig:
    """Shapes alone do not tell a toy."""
    raise ValueError("the checkpoint needs a config.json")


BACKBONE = Backbone(
    title="Toy",
    config=ToyConfig,
    build=ToyEncoder,
    read_config=read_config,
    write_config=write_config,
    weights=WeightNames(
        table=table,
        infer_config=infer_config,
        embedding="embeddings.word.weight",
        embedding_copies=(),
        left_out=re.compile(r"pooler\..*"),
        recognised=re.compile(r"embeddings\..*|encoder\.layer\..*|pooler\..*"),
        stack=None,
        stack_prefix="",
        adapted=re.compile(r"encoder\.layer\.(?P<layer>\d+)\.(query|key|value|out|up|down)"),
        layer_list="layer",
    ),
    tokenizer=default_backbone().tokenizer,
    pools_instruction=False,
    residual_outputs=(("out",), ("mlp", "wo")),
    published={},
)
