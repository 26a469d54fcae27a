"""EmbeddingGemma 2's text model: layers that are told of each token beside its state, in steps of several layers.

What a layer is told is a projection of the tokens' embeddings, another one for each layer; it gates a third part of
the layer. Layers that see all of a text have heads of another width, so the loop over the layers takes a step for those
up to the next of them.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from instructor_jax.backbones.embedding_gemma2.config import EmbeddingGemma2Config
from instructor_jax.backbones.gemma.layer import Layer, LayerShape
from instructor_jax.nn.attention import attention_backend
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.layers import FeedForwardShape, RMSNorm, activated, parameter
from instructor_jax.nn.packed_encoder import PackedEncoder
from instructor_jax.nn.positions import text_positions
from instructor_jax.nn.rotary import rotation
from instructor_jax.nn.self_attention import AttentionShape
from instructor_jax.nn.sight import sight_bias
from instructor_jax.nn.stack import keys_of_layer, rematerialised
from instructor_jax.numerics import product
from instructor_jax.sharding import constrain


class GatedLayer(Layer):
    """A layer of Gemma, then x + norm(back(activation(gate x) * signal)), all times a number of the layer's own."""

    def __init__(self, config: EmbeddingGemma2Config, mlp_slices: int, rngs: nnx.Rngs):
        attention = AttentionShape(
            config.embed, config.heads, config.kv_heads, config.head_dim, 1.0, config.attention_dropout,
            bias=config.attention_bias, norm_epsilon=config.norm_epsilon, norms_value=True,
        )  # fmt: skip
        mlp = FeedForwardShape(config.embed, config.ffn, config.activation, gated=True, dropout=0.0)
        super().__init__(LayerShape(attention, mlp, config.norm_epsilon, norm_offset=0.0), mlp_slices, rngs)
        self.config = config
        width = (config.embed, config.signal)
        self.gate = parameter(rngs.params(), width, config.embed**-0.5, ("embed", None))
        self.back = parameter(rngs.params(), width[::-1], config.signal**-0.5, (None, "embed"))
        self.behind_gate = RMSNorm(config.embed, config.norm_epsilon)
        self.scale = nnx.Param(jnp.ones((1,), jnp.float32), out_sharding=("norm",))

    def gated(
        self, x: Float[Array, "groups rows len embed"], signal: Float[Array, "groups rows len signal"]
    ) -> Float[Array, "groups rows len embed"]:
        """Returns what leaves the layer from what leaves its other parts, both in the type that is computed in."""
        gate = activated(product("grld,dp->grlp", x, self.gate[...], x.dtype), self.config.activation)
        added = product("grlp,pd->grld", gate * signal, self.back[...], x.dtype)
        x = x + self.behind_gate(added, x.dtype)
        # the published number is no trained weight, in PyTorch neither
        scale = jax.lax.stop_gradient(self.scale[...]).astype(x.dtype)
        return constrain(x * scale[None, None, None], "batch", None, "act_len", "act_embed")


class Step(nnx.Module):
    """Layers with a window, and behind them one that sees all of a text: `layer_0`, `layer_1` and so on."""

    def __init__(self, config: EmbeddingGemma2Config, mlp_slices: int, rngs: nnx.Rngs):
        for place in range(config.full_every):
            setattr(self, layer_name(place), GatedLayer(config.of_place(place), mlp_slices, rngs))


def layer_name(place: int) -> str:
    """Returns the name of the layer at that place of a step."""
    return f"layer_{place}"


class Encoder(PackedEncoder):
    """What EmbeddingGemma 2 gives for every token of packed rows, projected to the width of its vectors."""

    recomputes_steps = False  # but layer by layer

    def __init__(self, config: EmbeddingGemma2Config, compute: Compute, rngs: nnx.Rngs):
        super().__init__(config, compute, partial(Step, config, compute.layout.mlp_slices), rngs)
        self.config = config
        embed, spread = config.embed, config.embed**-0.5
        shape = (embed, config.layers, config.signal)
        self.signals = parameter(rngs.params(), shape, spread, ("embed", None, None))
        self.signal_norm = RMSNorm(config.signal, config.norm_epsilon)
        self.final_norm = RMSNorm(embed, config.norm_epsilon)
        self.projection = parameter(rngs.params(), (embed, config.output), spread, ("embed", None))

    def begin(
        self,
        tokens: Int[Array, "groups rows len"],
        segments: Int[Array, "groups rows len"],
        row_keys: Key[Array, "groups rows"] | None = None,
    ) -> tuple[Float[Array, "groups rows len embed"], Callable[..., Array]]:
        """Returns what enters the first layer, and the function (x, step, index) -> x that runs a step."""
        config, dtype = self.config, self.compute.dtype
        # the factor is rounded to the compute type, as the model was trained
        embedded = self.embed(tokens, dtype) * jnp.asarray(config.embed**0.5, dtype)
        embedded = constrain(embedded, "batch", None, "act_len", "act_embed")

        def runner(kind: EmbeddingGemma2Config, base: int, reach: int | None) -> Callable[..., Array]:
            attention = attention_backend(self.compute, kind, segments, row_keys)
            sight = sight_bias(attention, reach=reach), rotation(text_positions(segments), kind.head_dim, base)

            def run_layer(x: Array, layer: GatedLayer, index: Int[Array, ""]) -> Array:
                x = layer(x, sight, attention, keys_of_layer(row_keys, index))
                return layer.gated(x, self._signal(embedded, index))

            return rematerialised(run_layer, self.compute)

        in_window = runner(config, config.window_rotary_base, config.window)
        in_full = runner(config.of_full_layers, config.full_rotary_base, None)

        def run(x: Array, step: Step, index: Int[Array, ""]) -> Array:
            for place in range(config.full_every):
                run_layer = in_full if place == config.full_every - 1 else in_window
                x = run_layer(x, getattr(step, layer_name(place)), index * config.full_every + place)
            return x

        return embedded, run

    def finish(
        self, x: Float[Array, "groups rows len embed"], row_keys: Key[Array, "groups rows"] | None = None
    ) -> Float[Array, "groups rows len output"]:
        """Returns the projected states from what leaves the last layer."""
        normed = self.final_norm(x, self.compute.dtype)
        return product("grld,do->grlo", normed, self.projection[...], self.compute.dtype)

    def _signal(
        self, embedded: Float[Array, "groups rows len embed"], index: Int[Array, ""]
    ) -> Float[Array, "groups rows len signal"]:
        """What the layer of that number is told of each token."""
        weight = jax.lax.dynamic_index_in_dim(self.signals[...], index, axis=1, keepdims=False)
        told = product("grld,dp->grlp", embedded, weight, embedded.dtype)
        scale = jnp.asarray(self.config.embed**-0.5, embedded.dtype)
        return self.signal_norm(told * scale, embedded.dtype)
