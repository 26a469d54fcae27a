"""The MPNet encoder: BERT's layers, with a learned bias for every distance that all of them share."""

from collections.abc import Callable
from functools import partial

from flax import nnx
from jaxtyping import Array, Float, Int, Key

from instructor_jax.backbones.bert.encoder import layer_shape
from instructor_jax.backbones.mpnet.config import BUCKETS, FIRST_POSITION, MAX_DISTANCE, MPNetConfig
from instructor_jax.nn.attention import attention_backend
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.nn.layers import LayerNorm
from instructor_jax.nn.packed_encoder import PackedEncoder
from instructor_jax.nn.positions import LearnedPositions
from instructor_jax.nn.post_norm_layer import PostNormLayer
from instructor_jax.nn.relative_bias import RelativeBias, offset_buckets
from instructor_jax.nn.stack import keys_of_layer
from instructor_jax.sharding import constrain


class Encoder(PackedEncoder):
    """Hidden state of every token of packed rows."""

    def __init__(self, config: MPNetConfig, compute: Compute, rngs: nnx.Rngs):
        super().__init__(config, compute, partial(PostNormLayer, layer_shape(config, compute)), rngs)
        self.config = config
        self.positions = LearnedPositions(config.position_vectors, config.embed, FIRST_POSITION, rngs)
        self.relative_bias = RelativeBias(BUCKETS, config.heads, 0.02, rngs)
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
        bias = self.relative_bias(
            attention.by_offset(partial(offset_buckets, buckets=BUCKETS, max_distance=MAX_DISTANCE))
        )
        x = self.embed_norm(self.embed(tokens, dtype) + self.positions(segments, dtype), dtype)
        x = constrain(self.embed_dropout(x, row_keys), "batch", None, "act_len", "act_embed")

        def run(x: Array, layer: PostNormLayer, index: Int[Array, ""]) -> Array:
            return layer(x, bias, attention, dtype, keys_of_layer(row_keys, index))

        return x, run
