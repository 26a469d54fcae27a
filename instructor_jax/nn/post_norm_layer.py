"""A layer that normalises sums: norm(x + attention(x)), then norm(x + feed_forward(x)), as the first transformers."""

import dataclasses

from flax import nnx
from jaxtyping import Array, Float, Key

from instructor_jax.nn.attention import AttentionBackend
from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.nn.layers import FeedForward, FeedForwardShape, LayerNorm, SlicedFeedForward, zeros
from instructor_jax.nn.self_attention import AttentionShape, SelfAttention
from instructor_jax.numerics import Dtype
from instructor_jax.sharding import constrain


@dataclasses.dataclass(frozen=True)
class PostNormShape:
    """What such a layer is.

    Attributes:
        attention: Its self-attention.
        mlp: Its feed-forward layer, to whose result the layer adds a bias.
        norm_epsilon: Of its norms.
        dropout: Share of what the two parts add that is dropped in training.
        mlp_slices: Into how many parts the feed-forward width is cut; see `nn.layout`.
    """

    attention: AttentionShape
    mlp: FeedForwardShape
    norm_epsilon: float
    dropout: float
    mlp_slices: int = 1


class PostNormLayer(nnx.Module):
    """norm(x + attention(x)), then norm(x + feed_forward(x)), with biases everywhere."""

    def __init__(self, shape: PostNormShape, rngs: nnx.Rngs):
        width = shape.mlp.embed
        self.attention = SelfAttention(shape.attention, rngs)
        self.attention_norm = LayerNorm(width, shape.norm_epsilon)
        sliced = shape.mlp_slices > 1
        self.mlp = SlicedFeedForward(shape.mlp, rngs, shape.mlp_slices) if sliced else FeedForward(shape.mlp, rngs)
        self.mlp_bias = zeros((width,), ("norm",))
        self.mlp_norm = LayerNorm(width, shape.norm_epsilon)
        self.attention_dropout = DropoutSite(shape.dropout, site=2)
        self.mlp_dropout = DropoutSite(shape.dropout, site=3)

    def __call__(
        self,
        x: Float[Array, "groups rows len embed"],
        bias: Float[Array, "heads ..."] | None,
        attention: AttentionBackend,
        dtype: Dtype,
        row_keys: Key[Array, "groups rows"] | None,
    ) -> Float[Array, "groups rows len embed"]:
        """Runs the layer."""
        added = self.attention(x, attention, bias, row_keys=row_keys)
        x = self.attention_norm(x + self.attention_dropout(added, row_keys), dtype)
        added = self.mlp(x, dtype, row_keys) + self.mlp_bias[...].astype(dtype)[None, None, None]
        x = self.mlp_norm(x + self.mlp_dropout(added, row_keys), dtype)
        return constrain(x, "batch", None, "act_len", "act_embed")
