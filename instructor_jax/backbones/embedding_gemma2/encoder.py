"""EmbeddingGemma 2's text model: per-layer embeddings (PLE), and a loop over the layers whose steps run several.

Every layer has an embedding of the token of its own, a projection of the one that enters the first layer; it gates a
third residual part of the layer. Layers that see all of a text have heads of another width, so the loop over the layers
takes a step for those up to the next of them.

Letters of all equations: g groups, r rows, l length, d embed, p ple_dim, o output.
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
    """A layer of Gemma, then x + norm(out(activation(gate x) * per-layer embedding)), all times the layer's scale."""

    def __init__(self, config: EmbeddingGemma2Config, mlp_slices: int, rngs: nnx.Rngs):
        attention = AttentionShape(
            config.embed, config.heads, config.kv_heads, config.head_dim, 1.0, config.attention_dropout,
            bias=config.attention_bias, norm_epsilon=config.norm_epsilon, norms_value=True,
        )  # fmt: skip
        mlp = FeedForwardShape(config.embed, config.ffn, config.activation, gated=True, dropout=0.0)
        super().__init__(LayerShape(attention, mlp, config.norm_epsilon, norm_offset=0.0), mlp_slices, rngs)
        self.config = config
        sizes = (config.embed, config.ple_dim)
        self.ple_gate = parameter(rngs.params(), sizes, config.embed**-0.5, ("embed", None))
        self.ple_out = parameter(rngs.params(), sizes[::-1], config.ple_dim**-0.5, (None, "embed"))
        self.ple_norm = RMSNorm(config.embed, config.norm_epsilon)
        self.scale = nnx.Param(jnp.ones((1,), jnp.float32), out_sharding=("norm",))

    def gated(
        self, x: Float[Array, "groups rows len embed"], ple: Float[Array, "groups rows len ple_dim"]
    ) -> Float[Array, "groups rows len embed"]:
        """Returns what leaves the layer.

        Args:
            x: What leaves its attention and feed-forward parts, in the type that is computed in.
            ple: The layer's embedding of each token, in that type.
        """
        gate = activated(product("grld,dp->grlp", x, self.ple_gate[...], x.dtype), self.config.activation)
        added = product("grlp,pd->grld", gate * ple, self.ple_out[...], x.dtype)
        x = x + self.ple_norm(added, x.dtype)
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
        shape = (embed, config.layers, config.ple_dim)
        self.ple = parameter(rngs.params(), shape, spread, ("embed", None, None))
        self.ple_norm = RMSNorm(config.ple_dim, config.norm_epsilon)
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
                return layer.gated(x, self._per_layer_embedding(embedded, index))

            return rematerialised(run_layer, self.compute)

        in_window = runner(config, config.window_rotary_base, config.window)
        in_full = runner(config.of_full_layers, config.full_rotary_base, None)

        def run(x: Array, step: Step, index: Int[Array, ""]) -> Array:
            for place in range(config.full_every):
                run_layer = in_full if config.sees_all(place) else in_window
                x = run_layer(x, getattr(step, layer_name(place)), index * config.full_every + place)
            return x

        return embedded, run

    def finish(
        self, x: Float[Array, "groups rows len embed"], row_keys: Key[Array, "groups rows"] | None = None
    ) -> Float[Array, "groups rows len output"]:
        """Returns the projected states from what leaves the last layer."""
        normed = self.final_norm(x, self.compute.dtype)
        return product("grld,do->grlo", normed, self.projection[...], self.compute.dtype)

    def _per_layer_embedding(
        self, embedded: Float[Array, "groups rows len embed"], index: Int[Array, ""]
    ) -> Float[Array, "groups rows len ple_dim"]:
        """The embedding of each token for the layer of that number."""
        weight = jax.lax.dynamic_index_in_dim(self.ple[...], index, axis=1, keepdims=False)
        projected = product("grld,dp->grlp", embedded, weight, embedded.dtype)
        scale = jnp.asarray(self.config.embed**-0.5, embedded.dtype)
        return self.ple_norm(projected * scale, embedded.dtype)
