"""What a token sees of its text: all of it, what came before, or a window around it.

Each depends on key - query alone. A text's tokens are contiguous in its row, so that an offset within the row is one
within the text, and a mask by offset stays exact under packing; texts are kept apart by the back end's own mask.
"""

from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from instructor_jax.nn.attention import AttentionBackend
from instructor_jax.numerics import MASKED


def sight_bias(
    attention: AttentionBackend, *, causal: bool = False, reach: int | None = None
) -> Float[Array, "1 ..."] | None:
    """Returns what is added to the scores of all heads: 0 for what a token sees, `MASKED` for the rest of its text.

    Args:
        attention: The back end that is to add it.
        causal: Whether a token sees none that comes after it.
        reach: The greatest distance at which a token sees another; None for any.

    Returns:
        A number wherever the back end wants one; None where a token sees all of its text.
    """
    if not causal and reach is None:
        return None
    hidden = attention.by_offset(partial(_hidden, causal=causal, reach=reach))
    return jnp.where(hidden == 1, MASKED, 0.0).astype(jnp.float32)[None]


def _hidden(offset: Int[Array, "*shape"], causal: bool, reach: int | None) -> Int[Array, "*shape"]:
    hidden = offset > 0 if causal else jnp.zeros_like(offset, bool)
    return (hidden if reach is None else hidden | (jnp.abs(offset) > reach)).astype(jnp.int32)
