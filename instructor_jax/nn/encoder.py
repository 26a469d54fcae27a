"""The T5 encoder: embedding, layers, final norm.

The layers are stacked and run by one scan. For inference on CPUs there is a second layout of the same parameters
(`layout.py`).

All layers share one relative-bias table, computed once outside the scan; umT5 gives every layer its own. Dropout keys
come one per row and are folded with layer and site, so a row drops the same units however it is batched or sharded.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from instructor_jax.config import EncoderConfig
from instructor_jax.nn.attention import (
    RelativeBias,
    SelfAttention,
    diagonal_buckets,
    relative_position_buckets,
    text_mask,
)
from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.nn.embedding_table import TokenEmbedding
from instructor_jax.nn.fused_attention.choice import choose_attention
from instructor_jax.nn.fused_attention.plan import Attention, KernelPlan
from instructor_jax.nn.layers import FeedForward, RMSNorm, SlicedFeedForward
from instructor_jax.nn.layout import STACKED, Layout
from instructor_jax.numerics import Dtype
from instructor_jax.sharding import constrain

Remat = Literal["none", "full", "dots"]


class EncoderLayer(nnx.Module):
    """Pre-norm residual block: x + attention(norm x), then x + feed_forward(norm x)."""

    def __init__(self, config: EncoderConfig, rngs: nnx.Rngs, mlp_slices: int = 1):
        self.attention_norm = RMSNorm(config)
        self.attention = SelfAttention(config, rngs)
        self.mlp_norm = RMSNorm(config)
        self.mlp = FeedForward(config, rngs) if mlp_slices == 1 else SlicedFeedForward(config, rngs, mlp_slices)
        self.attention_dropout = DropoutSite(config.dropout, site=2)
        self.mlp_dropout = DropoutSite(config.dropout, site=3)

    def __call__(
        self,
        x: Float[Array, "groups rows len embed"],
        bias: Float[Array, "heads _ _"] | None,
        buckets: Int[Array, "_ _"],
        mask: Float[Array, "groups rows len len"] | Int[Array, "groups rows len"],
        dtype: Dtype,
        row_keys: Key[Array, "groups rows"] | None,
        fused: KernelPlan | None = None,
    ) -> Float[Array, "groups rows len embed"]:
        if self.attention.relative_bias is not None:
            bias = self.attention.relative_bias(buckets)
        assert bias is not None
        attended = self.attention(self.attention_norm(x, dtype), bias, mask, dtype, row_keys, fused)
        x = x + self.attention_dropout(attended, row_keys)
        x = x + self.mlp_dropout(self.mlp(self.mlp_norm(x, dtype), dtype, row_keys), row_keys)
        return constrain(x, "batch", None, "act_len", "act_embed")


class Encoder(nnx.Module):
    """Hidden state of every token of packed rows."""

    def __init__(
        self,
        config: EncoderConfig,
        rngs: nnx.Rngs,
        *,
        dtype: Dtype = jnp.float32,
        remat: Remat = "none",
        layout: Layout = STACKED,
        attention: Attention = "auto",
    ):
        self.config = config
        self.layout = layout
        self.attention: Attention = attention
        self.dtype = dtype
        self.remat: Remat = remat
        self.embed = TokenEmbedding(config, rngs)
        self.relative_bias = nnx.data(RelativeBias(config, rngs) if config.shared_relative_bias else None)
        self.final_norm = RMSNorm(config)
        self.embed_dropout = DropoutSite(config.dropout, site=4)
        self.final_dropout = DropoutSite(config.dropout, site=5)

        self.layers: Any
        if not layout.stacked:
            self.layers = nnx.List([EncoderLayer(config, rngs, layout.mlp_slices) for _ in range(config.layers)])
            return

        @nnx.split_rngs(splits=config.layers)
        @nnx.vmap(in_axes=0, out_axes=0, transform_metadata={nnx.PARTITION_NAME: "layers"})
        def stacked(rngs: nnx.Rngs) -> EncoderLayer:
            return EncoderLayer(config, rngs)

        self.layers = stacked(rngs)

    def __call__(
        self,
        tokens: Int[Array, "groups rows len"],
        segments: Int[Array, "groups rows len"],
        row_keys: Key[Array, "groups rows"] | None = None,
    ) -> Float[Array, "groups rows len embed"]:
        """Encodes rows in which `segments` names the text of each token (-1: padding).

        Args:
            tokens: ids below the vocabulary size.
            segments: the text within the row, contiguous; texts of a row do not see each other.
            row_keys: a random key per row for dropout; None for inference.
        """
        x, run = self.begin(tokens, segments, row_keys)
        if not self.layout.stacked:
            for index, layer in enumerate(self.layers):
                x = run(x, layer, jnp.int32(index))
            return self.final_dropout(self.final_norm(x, self.dtype), row_keys)
        if self.remat != "none":
            policy = jax.checkpoint_policies.dots_with_no_batch_dims_saveable if self.remat == "dots" else None
            run = nnx.remat(run, policy=policy, prevent_cse=False)  # inside scan CSE cannot undo it
        unroll = self.config.layers if self.layout.unroll else 1
        scan = nnx.scan(run, in_axes=(nnx.Carry, 0, 0), out_axes=nnx.Carry, unroll=unroll)
        x = scan(x, self.layers, jnp.arange(self.config.layers))
        return self.final_dropout(self.final_norm(x, self.dtype), row_keys)

    def begin(
        self, tokens: Int[Array, "groups rows len"], segments: Int[Array, "groups rows len"], row_keys: Array | None
    ) -> tuple[Float[Array, "groups rows len embed"], Callable[..., Array]]:
        """What enters the first layer, and the function (x, layer, index) -> x that runs one."""
        length, relative = tokens.shape[-1], (self.config.relative_buckets, self.config.relative_max_distance)
        fused = choose_attention(self.attention, self.config, self.dtype, segments, row_keys)
        if fused is None:
            buckets, mask = relative_position_buckets(length, *relative), text_mask(segments)
        else:
            buckets, mask = diagonal_buckets(length, *relative), segments
        bias = None if self.relative_bias is None else self.relative_bias(buckets)
        x = self.embed_dropout(self.embed(tokens, self.dtype), row_keys)
        x = constrain(x, "batch", None, "act_len", "act_embed")

        def run(x: Array, layer: EncoderLayer, index: Int[Array, ""]) -> Array:
            return layer(x, bias, buckets, mask, self.dtype, _fold_in_rows(row_keys, index), fused)

        return x, run


def _fold_in_rows(row_keys: Key[Array, "groups rows"] | None, index: Int[Array, ""]) -> Array | None:
    """The rows' keys of one layer; the sites outside the layers use the unfolded keys."""
    if row_keys is None:
        return None
    return jax.vmap(jax.vmap(lambda key: jax.random.fold_in(key, index + 1000)))(row_keys)
