"""The ModernBERT encoder: layers that see a window, and every few one that sees all of a text.

The first layer has no norm before its attention, since the embeddings were normalised. Layers that are stacked have one
kind of parameters, so these norms, of all layers but the first, lie beside the layers.
"""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from instructor_jax.backbones.modernbert.config import FULL_PLACE, ModernBertConfig
from instructor_jax.nn.attention import AttentionBackend, attention_backend
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.nn.layers import FeedForward, FeedForwardShape, LayerNorm, SlicedFeedForward, layer_norm, zeros
from instructor_jax.nn.packed_encoder import PackedEncoder
from instructor_jax.nn.positions import text_positions
from instructor_jax.nn.rotary import Rotation, rotation
from instructor_jax.nn.self_attention import AttentionShape, SelfAttention
from instructor_jax.nn.sight import sight_bias
from instructor_jax.nn.stack import keys_of_layer
from instructor_jax.sharding import constrain


def norm_name(layer: int) -> str:
    """Returns the name of the norm before a layer's attention."""
    return f"layer_{layer}"


class Layer(nnx.Module):
    """x + attention(normed x), then x + feed_forward(norm x)."""

    def __init__(self, config: ModernBertConfig, mlp_slices: int, rngs: nnx.Rngs):
        mlp = FeedForwardShape(
            config.embed, config.ffn, config.activation, gated=True, dropout=config.dropout, bias=config.mlp_bias,
            joined=True,
        )  # fmt: skip
        attention = AttentionShape(
            config.embed, config.heads, config.heads, config.head_dim, config.head_dim**-0.5, config.attention_dropout,
            bias=config.attention_bias, joined=True,
        )  # fmt: skip
        self.attention = SelfAttention(attention, rngs)
        self.attention_dropout = DropoutSite(config.attention_dropout, site=2)
        self.mlp_norm = LayerNorm(config.embed, config.norm_epsilon, bias=config.norm_bias)
        self.mlp = FeedForward(mlp, rngs) if mlp_slices == 1 else SlicedFeedForward(mlp, rngs, mlp_slices)
        self.mlp_bias = nnx.data(zeros((config.embed,), ("norm",)) if config.mlp_bias else None)

    def __call__(
        self,
        x: Float[Array, "groups rows len embed"],
        normed: Float[Array, "groups rows len embed"],
        sight: tuple[Float[Array, "1 ..."], Rotation],
        attention: AttentionBackend,
        row_keys: Key[Array, "groups rows"] | None,
    ) -> Float[Array, "groups rows len embed"]:
        """Runs the layer in the type that `x` has.

        Args:
            x: What leaves the layer before.
            normed: The same behind the norm.
            sight: The bias and the rotation of the kind of this layer.
            attention: The back end.
            row_keys: Of dropout; None for inference.
        """
        added = self.attention(normed, attention, sight[0], sight[1], row_keys)
        x = x + self.attention_dropout(added, row_keys)
        added = self.mlp(self.mlp_norm(x, x.dtype), x.dtype, row_keys)
        if self.mlp_bias is not None:
            added = added + self.mlp_bias[...].astype(x.dtype)[None, None, None]
        return constrain(x + added, "batch", None, "act_len", "act_embed")


class Encoder(PackedEncoder):
    """Hidden state of every token of packed rows."""

    def __init__(self, config: ModernBertConfig, compute: Compute, rngs: nnx.Rngs):
        super().__init__(config, compute, partial(Layer, config, compute.layout.mlp_slices), rngs)
        self.config = config
        norm = partial(LayerNorm, config.embed, config.norm_epsilon, bias=config.norm_bias)
        self.embed_norm = norm()
        self.attention_norms = nnx.Dict({norm_name(layer): norm() for layer in range(1, config.layers)})
        self.final_norm = norm()
        self.embed_dropout = DropoutSite(config.embed_dropout, site=4)

    def begin(
        self,
        tokens: Int[Array, "groups rows len"],
        segments: Int[Array, "groups rows len"],
        row_keys: Key[Array, "groups rows"] | None = None,
    ) -> tuple[Float[Array, "groups rows len embed"], Callable[..., Array]]:
        """Returns what enters the first layer, and the function (x, layer, index) -> x that runs one."""
        config, dtype = self.config, self.compute.dtype
        attention = attention_backend(self.compute, config, segments, row_keys)
        window = sight_bias(attention, reach=config.reach)
        assert window is not None
        places = text_positions(segments)
        turns = [
            rotation(places, config.head_dim, base) for base in (config.full_rotary_base, config.window_rotary_base)
        ]
        x = self.embed_dropout(self.embed_norm(self.embed(tokens, dtype), dtype), row_keys)
        x = constrain(x, "batch", None, "act_len", "act_embed")

        def run(x: Array, layer: Layer, index: Int[Array, ""]) -> Array:
            full = index % config.full_every == FULL_PLACE
            turn = Rotation(*(jnp.where(full, one, other) for one, other in zip(*turns, strict=True)))
            sight = (jnp.where(full, jnp.zeros_like(window), window), turn)
            return layer(x, self._normed(x, index), sight, attention, keys_of_layer(row_keys, index))

        return x, run

    def finish(
        self, x: Float[Array, "groups rows len embed"], row_keys: Key[Array, "groups rows"] | None = None
    ) -> Float[Array, "groups rows len embed"]:
        """Returns the final states from what leaves the last layer."""
        return self.final_norm(x, self.compute.dtype)

    def _normed(self, x: Array, index: Int[Array, ""]) -> Array:
        """What a layer's attention reads: of the first layer the states themselves."""
        norms = [self.attention_norms[norm_name(layer)] for layer in range(1, self.depth)]
        if not norms:
            return x
        place = jnp.maximum(index - 1, 0)
        scale = jnp.stack([norm.scale[...] for norm in norms])[place]
        biases = [norm.bias[...] for norm in norms if norm.bias is not None]
        bias = jnp.stack(biases)[place] if biases else None
        normed = layer_norm(x, scale, bias, self.config.norm_epsilon).astype(x.dtype)
        return jnp.where(index == 0, x, normed)
