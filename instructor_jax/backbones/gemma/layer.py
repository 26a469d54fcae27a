"""A layer with a norm before and behind each of its parts, as all families of Gemma have it."""

import dataclasses
from functools import partial

from flax import nnx
from jaxtyping import Array, Float, Key

from instructor_jax.nn.attention import AttentionBackend
from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.nn.layers import FeedForward, FeedForwardShape, RMSNorm, SlicedFeedForward
from instructor_jax.nn.rotary import Rotation
from instructor_jax.nn.self_attention import AttentionShape, SelfAttention
from instructor_jax.sharding import constrain


@dataclasses.dataclass(frozen=True)
class LayerShape:
    """What such a layer is.

    Attributes:
        attention: Its attention.
        mlp: Its feed-forward part.
        norm_epsilon: Of its norms.
        norm_offset: Of its norms; see `nn.layers.RMSNorm`.
        dropout: Share of what each part adds that is dropped in training.
    """

    attention: AttentionShape
    mlp: FeedForwardShape
    norm_epsilon: float
    norm_offset: float = 1.0
    dropout: float = 0.0


class Layer(nnx.Module):
    """x + norm(attention(norm x)), then x + norm(feed_forward(norm x))."""

    def __init__(self, shape: LayerShape, mlp_slices: int, rngs: nnx.Rngs):
        norm = partial(RMSNorm, shape.attention.embed, shape.norm_epsilon, offset=shape.norm_offset)
        self.before_attention, self.behind_attention = norm(), norm()
        self.attention = SelfAttention(shape.attention, rngs)
        self.before_mlp, self.behind_mlp = norm(), norm()
        self.mlp = FeedForward(shape.mlp, rngs) if mlp_slices == 1 else SlicedFeedForward(shape.mlp, rngs, mlp_slices)
        self.attention_dropout = DropoutSite(shape.dropout, site=2)
        self.mlp_dropout = DropoutSite(shape.dropout, site=3)

    def __call__(
        self,
        x: Float[Array, "groups rows len embed"],
        sight: tuple[Float[Array, "1 ..."] | None, Rotation],
        attention: AttentionBackend,
        row_keys: Key[Array, "groups rows"] | None,
    ) -> Float[Array, "groups rows len embed"]:
        """Runs the layer in the type that `x` has; `sight` is the bias and the rotation of its kind."""
        dtype = x.dtype
        added = self.attention(self.before_attention(x, dtype), attention, sight[0], sight[1], row_keys)
        x = x + self.attention_dropout(self.behind_attention(added, dtype), row_keys)
        added = self.mlp(self.before_mlp(x, dtype), dtype, row_keys)
        x = x + self.mlp_dropout(self.behind_mlp(added, dtype), row_keys)
        return constrain(x, "batch", None, "act_len", "act_embed")
