"""The T5 encoder: embedding, layers, final norm.

All layers share one relative-bias table, computed once outside the scan; umT5 gives every layer its own. T5 knows
positions only as differences, so that packing texts into a row is exact. Dropout keys come one per row and are folded
with layer and site, so a row drops the same units however it is batched or sharded.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from flax import nnx
from jaxtyping import Array, Float, Int, Key

from instructor_jax.backbones.t5.config import T5Config
from instructor_jax.nn.attention import AttentionBackend, attention_backend
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.nn.embedding_table import TokenEmbedding
from instructor_jax.nn.layers import FeedForward, FeedForwardShape, RMSNorm, SlicedFeedForward, parameter
from instructor_jax.nn.relative_bias import RelativeBias, offset_buckets
from instructor_jax.nn.stack import keys_of_layer, make_layers, of_attention, run_layers
from instructor_jax.numerics import Dtype
from instructor_jax.sharding import constrain


def _relative_bias(config: T5Config, rngs: nnx.Rngs) -> RelativeBias:
    return RelativeBias(config.relative_buckets, config.heads, config.embed**-0.5, rngs)


class SelfAttention(nnx.Module):
    """Multi-head attention without biases and without the 1/sqrt(head_dim) of other transformers."""

    def __init__(self, config: T5Config, rngs: nnx.Rngs):
        shape = (config.embed, config.heads, config.head_dim)
        axes = ("embed", "heads", "head_dim")
        # T5's initialisation: the missing score scaling is in the query's standard deviation
        self.query = parameter(rngs.params(), shape, (config.embed * config.head_dim) ** -0.5, axes)
        self.key = parameter(rngs.params(), shape, config.embed**-0.5, axes)
        self.value = parameter(rngs.params(), shape, config.embed**-0.5, axes)
        self.out = parameter(
            rngs.params(), (*shape[1:], shape[0]), (config.heads * config.head_dim) ** -0.5, (*axes[1:], axes[0])
        )
        self.relative_bias = nnx.data(None if config.shared_relative_bias else _relative_bias(config, rngs))
        self.dropout = DropoutSite(config.dropout, site=1)

    def __call__(
        self,
        x: Float[Array, "groups rows len embed"],
        bias: Float[Array, "heads ..."],
        attention: AttentionBackend,
        row_keys: Key[Array, "groups rows"] | None = None,
    ) -> Float[Array, "groups rows len embed"]:
        """Returns what attention adds; `bias` has a number wherever the back end's `by_offset` has one."""
        weights = (self.query, self.key, self.value)
        query, key, value = (of_attention(attention.project(x, weight[...])) for weight in weights)
        mixed = of_attention(attention.attend((query, key, value), bias, self.dropout, row_keys))
        return of_attention(attention.join(mixed, self.out[...]))


class EncoderLayer(nnx.Module):
    """Pre-norm residual block: x + attention(norm x), then x + feed_forward(norm x)."""

    def __init__(self, config: T5Config, mlp_slices: int, rngs: nnx.Rngs):
        shape = FeedForwardShape(config.embed, config.ffn, config.activation, config.gated, config.dropout)
        self.attention_norm = RMSNorm(config.embed, config.norm_epsilon)
        self.attention = SelfAttention(config, rngs)
        self.mlp_norm = RMSNorm(config.embed, config.norm_epsilon)
        self.mlp = FeedForward(shape, rngs) if mlp_slices == 1 else SlicedFeedForward(shape, rngs, mlp_slices)
        self.attention_dropout = DropoutSite(config.dropout, site=2)
        self.mlp_dropout = DropoutSite(config.dropout, site=3)

    def __call__(
        self,
        x: Float[Array, "groups rows len embed"],
        bias: Float[Array, "heads ..."] | None,
        buckets: Int[Array, "..."],
        attention: AttentionBackend,
        dtype: Dtype,
        row_keys: Key[Array, "groups rows"] | None,
    ) -> Float[Array, "groups rows len embed"]:
        """Runs the layer; with a table of its own it needs no bias."""
        if self.attention.relative_bias is not None:
            bias = self.attention.relative_bias(buckets)
        assert bias is not None
        attended = self.attention(self.attention_norm(x, dtype), bias, attention, row_keys)
        x = x + self.attention_dropout(attended, row_keys)
        x = x + self.mlp_dropout(self.mlp(self.mlp_norm(x, dtype), dtype, row_keys), row_keys)
        return constrain(x, "batch", None, "act_len", "act_embed")


class Encoder(nnx.Module):
    """Hidden state of every token of packed rows."""

    def __init__(self, config: T5Config, compute: Compute, rngs: nnx.Rngs):
        self.config = config
        self.compute = compute
        self.embed = TokenEmbedding(config.vocab, config.embed, rngs)
        self.relative_bias = nnx.data(_relative_bias(config, rngs) if config.shared_relative_bias else None)
        self.final_norm = RMSNorm(config.embed, config.norm_epsilon)
        self.embed_dropout = DropoutSite(config.dropout, site=4)
        self.final_dropout = DropoutSite(config.dropout, site=5)
        make = partial(EncoderLayer, config, compute.layout.mlp_slices)
        self.layers: Any = make_layers(make, config.layers, compute.layout, rngs)

    def __call__(
        self,
        tokens: Int[Array, "groups rows len"],
        segments: Int[Array, "groups rows len"],
        row_keys: Key[Array, "groups rows"] | None = None,
    ) -> Float[Array, "groups rows len embed"]:
        """Encodes rows; see `backbones.registry.EncoderModule`."""
        x, run = self.begin(tokens, segments, row_keys)
        x = run_layers(run, self.layers, x, self.config.layers, self.compute)
        return self.finish(x, row_keys)

    def begin(
        self,
        tokens: Int[Array, "groups rows len"],
        segments: Int[Array, "groups rows len"],
        row_keys: Key[Array, "groups rows"] | None = None,
    ) -> tuple[Float[Array, "groups rows len embed"], Callable[..., Array]]:
        """Returns what enters the first layer, and the function (x, layer, index) -> x that runs one."""
        config, dtype = self.config, self.compute.dtype
        attention = attention_backend(self.compute, config, segments, row_keys)
        buckets = attention.by_offset(
            partial(offset_buckets, buckets=config.relative_buckets, max_distance=config.relative_max_distance)
        )
        bias = None if self.relative_bias is None else self.relative_bias(buckets)
        x = self.embed_dropout(self.embed(tokens, dtype), row_keys)
        x = constrain(x, "batch", None, "act_len", "act_embed")

        def run(x: Array, layer: EncoderLayer, index: Int[Array, ""]) -> Array:
            return layer(x, bias, buckets, attention, dtype, keys_of_layer(row_keys, index))

        return x, run

    def finish(
        self, x: Float[Array, "groups rows len embed"], row_keys: Key[Array, "groups rows"] | None = None
    ) -> Float[Array, "groups rows len embed"]:
        """Returns the final states from what leaves the last layer."""
        return self.final_dropout(self.final_norm(x, self.compute.dtype), row_keys)
