"""Gemma 3's text model: scaled embeddings, and layers with a norm before and behind each of their parts."""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from instructor_jax.backbones.gemma.config import FULL_PLACE, GemmaConfig
from instructor_jax.nn.attention import AttentionBackend, attention_backend
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.layers import FeedForward, FeedForwardShape, RMSNorm, SlicedFeedForward
from instructor_jax.nn.packed_encoder import PackedEncoder
from instructor_jax.nn.positions import text_positions
from instructor_jax.nn.rotary import Rotation, rotation
from instructor_jax.nn.self_attention import AttentionShape, SelfAttention
from instructor_jax.nn.sight import sight_bias
from instructor_jax.nn.stack import keys_of_layer
from instructor_jax.sharding import constrain


class Layer(nnx.Module):
    """x + norm(attention(norm x)), then x + norm(feed_forward(norm x))."""

    def __init__(self, config: GemmaConfig, mlp_slices: int, rngs: nnx.Rngs):
        norm = partial(RMSNorm, config.embed, config.norm_epsilon, offset=1.0)
        mlp = FeedForwardShape(config.embed, config.ffn, config.activation, gated=True, dropout=0.0)
        attention = AttentionShape(
            config.embed, config.heads, config.kv_heads, config.head_dim, config.score_width**-0.5,
            config.attention_dropout, bias=config.attention_bias, norm_epsilon=config.norm_epsilon, norm_offset=1.0,
        )  # fmt: skip
        self.before_attention, self.behind_attention = norm(), norm()
        self.attention = SelfAttention(attention, rngs)
        self.before_mlp, self.behind_mlp = norm(), norm()
        self.mlp = FeedForward(mlp, rngs) if mlp_slices == 1 else SlicedFeedForward(mlp, rngs, mlp_slices)

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
        x = x + self.behind_attention(added, dtype)
        x = x + self.behind_mlp(self.mlp(self.before_mlp(x, dtype), dtype, row_keys), dtype)
        return constrain(x, "batch", None, "act_len", "act_embed")


class Encoder(PackedEncoder):
    """Hidden state of every token of packed rows."""

    def __init__(self, config: GemmaConfig, compute: Compute, rngs: nnx.Rngs):
        super().__init__(config, compute, partial(Layer, config, compute.layout.mlp_slices), rngs)
        self.config = config
        self.final_norm = RMSNorm(config.embed, config.norm_epsilon, offset=1.0)

    def begin(
        self,
        tokens: Int[Array, "groups rows len"],
        segments: Int[Array, "groups rows len"],
        row_keys: Key[Array, "groups rows"] | None = None,
    ) -> tuple[Float[Array, "groups rows len embed"], Callable[..., Array]]:
        """Returns what enters the first layer, and the function (x, layer, index) -> x that runs one."""
        config, dtype = self.config, self.compute.dtype
        attention = attention_backend(self.compute, config, segments, row_keys)
        causal = not config.bidirectional
        window = sight_bias(attention, causal=causal, reach=config.reach)
        assert window is not None
        whole = sight_bias(attention, causal=causal)
        whole = jnp.zeros_like(window) if whole is None else whole
        places = text_positions(segments)
        turns = [
            rotation(places, config.head_dim, base) for base in (config.full_rotary_base, config.window_rotary_base)
        ]
        # the factor is rounded to the compute type, as the model was trained
        x = self.embed(tokens, dtype) * jnp.asarray(config.embed**0.5, dtype)
        x = constrain(x, "batch", None, "act_len", "act_embed")

        def run(x: Array, layer: Layer, index: Int[Array, ""]) -> Array:
            full = index % config.full_every == FULL_PLACE % config.full_every
            turn = Rotation(*(jnp.where(full, one, other) for one, other in zip(*turns, strict=True)))
            return layer(x, (jnp.where(full, whole, window), turn), attention, keys_of_layer(row_keys, index))

        return x, run

    def finish(
        self, x: Float[Array, "groups rows len embed"], row_keys: Key[Array, "groups rows"] | None = None
    ) -> Float[Array, "groups rows len embed"]:
        """Returns the final states from what leaves the last layer."""
        return self.final_norm(x, self.compute.dtype)
