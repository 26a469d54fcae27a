"""Rotary positions (Su et al. 2021, RoFormer): queries and keys are turned by angles that grow with their position.

The halves of a head are the two coordinates that are turned, as in transformers (`rotate_half`). A score then depends
on the distance of two tokens alone; angles come from positions within the text, so that they stay small and exact in a
packed row.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Rotation(NamedTuple):
    """Cosine and sine of every token's angles, [groups, rows, len, 1, head_dim / 2] in float32."""

    cosine: Float[Array, "groups rows len 1 half"]
    sine: Float[Array, "groups rows len 1 half"]


def rotation(positions: Int[Array, "groups rows len"], head_dim: int, theta: int) -> Rotation:
    """Returns the rotation of tokens at positions.

    Args:
        positions: Of the tokens in their texts.
        head_dim: Width of a head, an even number.
        theta: Base of the wavelengths: the longest is 2 pi theta tokens, nearly.
    """
    speed = 1.0 / theta ** (jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim)
    angles = positions[..., None, None].astype(jnp.float32) * speed[None, None, None, None]
    return Rotation(jnp.cos(angles), jnp.sin(angles))


def rotated(
    states: Float[Array, "groups rows len heads head_dim"], turn: Rotation
) -> Float[Array, "groups rows len heads head_dim"]:
    """Returns queries or keys turned, computed in float32, in the type that they have."""
    first, second = jnp.split(states.astype(jnp.float32), 2, axis=-1)
    turned = (first * turn.cosine - second * turn.sine, second * turn.cosine + first * turn.sine)
    return jnp.concatenate(turned, axis=-1).astype(states.dtype)
