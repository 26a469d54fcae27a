"""Positions of tokens within their texts: they begin anew at every text of a packed row.

Learned vectors and rotations both take them from here, so a text gets the same ones wherever it lies in its row.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from instructor_jax.nn.layers import parameter
from instructor_jax.numerics import Dtype


def text_positions(segments: Int[Array, "groups rows len"]) -> Int[Array, "groups rows len"]:
    """Returns each token's place in its text, from 0; of padding its place in the padding.

    Args:
        segments: The text of each token within its row, contiguous; -1 is padding.
    """
    place = jnp.broadcast_to(jnp.arange(segments.shape[-1], dtype=jnp.int32), segments.shape)
    first = (segments != jnp.roll(segments, 1, axis=-1)).at[..., 0].set(True)
    return place - jax.lax.cummax(jnp.where(first, place, 0), axis=2)


class LearnedPositions(nnx.Module):
    """A learned vector for every position.

    Args:
        count: Number of vectors.
        embed: Their size.
        first: The vector of a text's first token; those before it belong to no text.
        rngs: Source of random keys.
    """

    def __init__(self, count: int, embed: int, first: int, rngs: nnx.Rngs):
        self.first = first
        self.embedding = parameter(rngs.params(), (count, embed), 0.02, (None, "embed"))

    def __call__(self, segments: Int[Array, "groups rows len"], dtype: Dtype) -> Float[Array, "groups rows len embed"]:
        """The vector of each token; padding beyond the last one takes the last."""
        place = text_positions(segments) + self.first
        return self.embedding[...].at[place].get(mode="clip").astype(dtype)
