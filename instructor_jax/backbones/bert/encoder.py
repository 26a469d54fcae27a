"""The BERT encoder: embeddings of token, position and type, a norm, and layers that normalise their sums."""

from collections.abc import Callable
from functools import partial
from typing import Any

from flax import nnx
from jaxtyping import Array, Float, Int, Key

from instructor_jax.backbones.bert.config import BertConfig
from instructor_jax.nn.attention import attention_backend
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.nn.layers import FeedForwardShape, LayerNorm, parameter
from instructor_jax.nn.packed_encoder import PackedEncoder
from instructor_jax.nn.positions import LearnedPositions
from instructor_jax.nn.post_norm_layer import PostNormLayer, PostNormShape
from instructor_jax.nn.self_attention import AttentionShape
from instructor_jax.nn.stack import keys_of_layer
from instructor_jax.sharding import constrain


def layer_shape(config: Any, compute: Compute) -> PostNormShape:
    """Returns the shape of a layer of BERT and its kin, whose configurations have the same fields."""
    return PostNormShape(
        AttentionShape(
            config.embed, config.heads, config.heads, config.head_dim, config.head_dim**-0.5,
            config.attention_dropout, bias=True,
        ),
        FeedForwardShape(config.embed, config.ffn, config.activation, gated=False, dropout=0.0, bias=True),
        config.norm_epsilon,
        config.dropout,
        compute.layout.mlp_slices,
    )  # fmt: skip


class Encoder(PackedEncoder):
    """Hidden state of every token of packed rows; every text is of the first type."""

    def __init__(self, config: BertConfig, compute: Compute, rngs: nnx.Rngs):
        super().__init__(config, compute, partial(PostNormLayer, layer_shape(config, compute)), rngs)
        self.config = config
        self.positions = LearnedPositions(config.positions, config.embed, 0, rngs)
        self.token_types = parameter(rngs.params(), (config.token_types, config.embed), 0.02, (None, "embed"))
        self.embed_norm = LayerNorm(config.embed, config.norm_epsilon)
        self.embed_dropout = DropoutSite(config.dropout, site=4)

    def begin(
        self,
        tokens: Int[Array, "groups rows len"],
        segments: Int[Array, "groups rows len"],
        row_keys: Key[Array, "groups rows"] | None = None,
    ) -> tuple[Float[Array, "groups rows len embed"], Callable[..., Array]]:
        """Returns what enters the first layer, and the function (x, layer, index) -> x that runs one."""
        dtype = self.compute.dtype
        attention = attention_backend(self.compute, self.config, segments, row_keys)
        x = self.embed(tokens, dtype) + self.token_types[...][0].astype(dtype)[None, None, None]
        x = self.embed_norm(x + self.positions(segments, dtype), dtype)
        x = constrain(self.embed_dropout(x, row_keys), "batch", None, "act_len", "act_embed")

        def run(x: Array, layer: PostNormLayer, index: Int[Array, ""]) -> Array:
            return layer(x, None, attention, dtype, keys_of_layer(row_keys, index))

        return x, run
