"""Qwen3 without its language head: layers that see what came before, and a norm at the end."""

from collections.abc import Callable
from functools import partial

from flax import nnx
from jaxtyping import Array, Float, Int, Key

from instructor_jax.backbones.qwen3.config import Qwen3Config
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
    """x + attention(norm x), then x + feed_forward(norm x)."""

    def __init__(self, config: Qwen3Config, mlp_slices: int, rngs: nnx.Rngs):
        shape = FeedForwardShape(config.embed, config.ffn, config.activation, gated=True, dropout=0.0)
        self.attention_norm = RMSNorm(config.embed, config.norm_epsilon)
        self.attention = SelfAttention(
            AttentionShape(
                config.embed, config.heads, config.kv_heads, config.head_dim, config.head_dim**-0.5,
                config.attention_dropout, bias=config.attention_bias, norm_epsilon=config.norm_epsilon,
            ),
            rngs,
        )  # fmt: skip
        self.mlp_norm = RMSNorm(config.embed, config.norm_epsilon)
        self.mlp = FeedForward(shape, rngs) if mlp_slices == 1 else SlicedFeedForward(shape, rngs, mlp_slices)

    def __call__(
        self,
        x: Float[Array, "groups rows len embed"],
        bias: Float[Array, "1 ..."] | None,
        turn: Rotation,
        attention: AttentionBackend,
        row_keys: Key[Array, "groups rows"] | None,
    ) -> Float[Array, "groups rows len embed"]:
        """Runs the layer in the type that `x` has."""
        x = x + self.attention(self.attention_norm(x, x.dtype), attention, bias, turn, row_keys)
        x = x + self.mlp(self.mlp_norm(x, x.dtype), x.dtype, row_keys)
        return constrain(x, "batch", None, "act_len", "act_embed")


class Encoder(PackedEncoder):
    """Hidden state of every token of packed rows; a token sees itself and those before it in its text."""

    def __init__(self, config: Qwen3Config, compute: Compute, rngs: nnx.Rngs):
        super().__init__(config, compute, partial(Layer, config, compute.layout.mlp_slices), rngs)
        self.config = config
        self.final_norm = RMSNorm(config.embed, config.norm_epsilon)

    def begin(
        self,
        tokens: Int[Array, "groups rows len"],
        segments: Int[Array, "groups rows len"],
        row_keys: Key[Array, "groups rows"] | None = None,
    ) -> tuple[Float[Array, "groups rows len embed"], Callable[..., Array]]:
        """Returns what enters the first layer, and the function (x, layer, index) -> x that runs one."""
        attention = attention_backend(self.compute, self.config, segments, row_keys)
        bias = sight_bias(attention, causal=True)
        turn = rotation(text_positions(segments), self.config.head_dim, self.config.rotary_base)
        x = constrain(self.embed(tokens, self.compute.dtype), "batch", None, "act_len", "act_embed")

        def run(x: Array, layer: Layer, index: Int[Array, ""]) -> Array:
            return layer(x, bias, turn, attention, keys_of_layer(row_keys, index))

        return x, run

    def finish(
        self, x: Float[Array, "groups rows len embed"], row_keys: Key[Array, "groups rows"] | None = None
    ) -> Float[Array, "groups rows len embed"]:
        """Returns the final states from what leaves the last layer."""
        return self.final_norm(x, self.compute.dtype)
