"""A learned number for every distance between two tokens, added to their attention score.

It knows positions only as differences, and a text's tokens are contiguous in its row. So the bias of a pair of tokens
is the same wherever the text lies, and packing with other texts changes nothing.
"""

import math

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from instructor_jax.nn.layers import parameter


def offset_buckets(offset: Int[Array, "*shape"], buckets: int, max_distance: int) -> Int[Array, "*shape"]:
    """Returns the bucket of key - query: half for each direction, half of those exact, the rest logarithmic.

    T5 (Raffel et al. 2020, section 2.1; `T5Attention._relative_position_bucket` of transformers, bidirectional).
    """
    half = buckets // 2
    exact = half // 2
    distance = jnp.abs(offset)
    # float32 like the original, so that distances on a boundary fall into the same bucket
    scaled = jnp.log(jnp.maximum(distance, 1).astype(jnp.float32) / exact) / math.log(max_distance / exact)
    far = jnp.minimum(exact + (scaled * (half - exact)).astype(jnp.int32), half - 1)
    return jnp.where(offset > 0, half, 0) + jnp.where(distance < exact, distance, far)


class RelativeBias(nnx.Module):
    """A learned number per bucket and head, added to the attention scores.

    Args:
        buckets: Number of buckets.
        heads: Number of heads.
        stddev: Standard deviation of the numbers before training.
        rngs: Source of random keys.
    """

    def __init__(self, buckets: int, heads: int, stddev: float, rngs: nnx.Rngs):
        self.embedding = parameter(rngs.params(), (buckets, heads), stddev, ("relative_buckets", "heads"))

    def __call__(self, buckets: Int[Array, "*offsets"]) -> Float[Array, "heads *offsets"]:
        return jnp.moveaxis(self.embedding[...].astype(jnp.float32)[buckets], -1, 0)
