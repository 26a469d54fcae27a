"""Mean over the *text* tokens of each packed text, or the first or last of them; then what becomes of the vector.

Instruction tokens are read by the encoder but not pooled; the end-of-sequence token always is (as in
InstructorEmbedding 1.0.1). Which tokens count is decided when a text is tokenised and arrives as the mask `pooled`.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from instructor_jax.config import PoolingKind
from instructor_jax.numerics import product


def pool_texts(
    hidden: Float[Array, "groups rows len embed"],
    segments: Int[Array, "groups rows len"],
    pooled: Bool[Array, "groups rows len"],
    segments_per_row: int,
    kind: PoolingKind = "mean",
) -> Float[Array, "groups slots embed"]:
    """Mean of the pooled tokens of every (row, segment) slot, in float32; zeros for slots without a text.

    The first or the last pooled token is the mean of that one alone. A one-hot product over the row's segments instead
    of a segment sum over the batch: it stays inside its group, so it needs no communication, forward or backward.
    """
    groups, rows, _, embed = hidden.shape
    # letters: s segment of a row
    if kind != "mean":
        pooled = pooled & _at_end(segments, pooled, 1 if kind == "cls" else -1)
    names = jnp.arange(segments_per_row, dtype=segments.dtype)[None, None, None]
    member = (segments[..., None] == names) & pooled[..., None]
    weights = member.astype(jnp.float32)
    sums = product("grls,grld->grsd", weights, hidden.astype(jnp.float32), jnp.float32)
    counts = weights.sum(axis=2)[..., None]
    means = sums / jnp.maximum(counts, 1.0)
    return means.reshape(groups, rows * segments_per_row, embed)


def _at_end(
    segments: Int[Array, "groups rows len"], pooled: Bool[Array, "groups rows len"], step: int
) -> Bool[Array, "groups rows len"]:
    """Which tokens have no pooled one of their text before them (step 1) or behind them (step -1)."""
    edge = 0 if step == 1 else -1
    same = (segments == jnp.roll(segments, step, axis=-1)) & jnp.roll(pooled, step, axis=-1)
    return ~same.at[..., edge].set(False)


def gather_slots(
    vectors: Float[Array, "groups slots dim"], slots: Int[Array, "groups texts"]
) -> Float[Array, "groups texts dim"]:
    """The vector of each text of a group, from where packing put it; zeros where `slots` is -1."""
    taken = jnp.take_along_axis(vectors, jnp.maximum(slots, 0)[..., None], axis=1)
    return jnp.where((slots >= 0)[..., None], taken, 0.0)
