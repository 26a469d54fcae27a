"""Gemma's text models: scaled embeddings, and layers of which most see a window."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from instructor_jax.backbones.gemma.config import FULL_PLACE
from instructor_jax.backbones.gemma.layer import Layer, LayerShape
from instructor_jax.nn.attention import attention_backend
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.nn.layers import RMSNorm
from instructor_jax.nn.packed_encoder import PackedEncoder
from instructor_jax.nn.positions import text_positions
from instructor_jax.nn.rotary import Rotation, rotation
from instructor_jax.nn.sight import sight_bias
from instructor_jax.nn.stack import keys_of_layer
from instructor_jax.sharding import constrain


class Encoder(PackedEncoder):
    """Hidden state of every token of packed rows.

    Args:
        config: Of the encoder; what its layers see and how positions turn is read from the fields of `GemmaConfig`.
        shape: What every layer of it is.
        compute: How it computes.
        rngs: Source of random keys.
    """

    def __init__(self, config: Any, shape: LayerShape, compute: Compute, rngs: nnx.Rngs):
        super().__init__(config, compute, partial(Layer, shape, compute.layout.mlp_slices), rngs)
        self.config = config
        self.final_norm = RMSNorm(config.embed, config.norm_epsilon, offset=1.0)
        self.embed_dropout = DropoutSite(config.dropout, site=4)
        self.final_dropout = DropoutSite(config.dropout, site=5)

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
        x = constrain(self.embed_dropout(x, row_keys), "batch", None, "act_len", "act_embed")

        def run(x: Array, layer: Layer, index: Int[Array, ""]) -> Array:
            full = index % config.full_every == FULL_PLACE % config.full_every
            turn = Rotation(*(jnp.where(full, one, other) for one, other in zip(*turns, strict=True)))
            return layer(x, (jnp.where(full, whole, window), turn), attention, keys_of_layer(row_keys, index))

        return x, run

    def finish(
        self, x: Float[Array, "groups rows len embed"], row_keys: Key[Array, "groups rows"] | None = None
    ) -> Float[Array, "groups rows len embed"]:
        """Returns the final states from what leaves the last layer."""
        return self.final_dropout(self.final_norm(x, self.compute.dtype), row_keys)
