"""Losses of distillation: how far a student's vectors are from a teacher's, text by text, in the units of a softmax.

Two things can be matched: a text's vector itself, where student and teacher have one size, and what a group's texts are
to one another, which needs no common size. Both divide cosines by a temperature, as the contrastive losses do, so
that a weight between the losses means what it says: at equal weights all pull with gradients of the same order.

Vectors are of unit length. Everything stays within the groups of a batch: a group has the texts of one task, which is
where near and far are hard to tell, and no device needs another's texts.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from instructor_jax.numerics import MASKED
from instructor_jax.sharding import partition_spec


def cosines(
    student: Float[Array, "groups texts dim"], teacher: Float[Array, "groups texts dim"]
) -> Float[Array, "groups texts"]:
    """Of every text's two vectors; 0 where there is no text."""
    return jnp.sum(student * teacher, axis=-1)


def vector_loss(cosine: Float[Array, "groups texts"], temperature: float) -> Float[Array, "groups texts"]:
    """(1 - cosine of student and teacher) / temperature, the regression of Reimers and Gurevych 2020 on unit vectors.

    There it is the squared distance; that of unit vectors is 2 - 2 cosine.
    """
    return (1.0 - cosine) / temperature


def similarity_loss(
    student: Float[Array, "groups texts dim"],
    teacher: Float[Array, "groups texts teacher_dim"],
    real: Bool[Array, "groups texts"],
    temperature: float,
    precision: jax.lax.Precision = jax.lax.Precision.HIGHEST,
) -> Float[Array, "groups texts"]:
    """Divergence of each text's neighbourhood: KL(teacher's || student's) of softmax(cosines / temperature).

    The softmax of a text is over the other texts of its group. Near texts decide it, which search and clustering
    live on, where a squared error of all cosines would be decided by the many unrelated pairs.

    Args:
        student: unit vectors.
        teacher: unit vectors, of any size.
        real: whether there is a text; others neither count nor are neighbours.
        temperature: positive; the smaller, the fewer neighbours count.
        precision: of products of vectors.

    Returns:
        In nats; 0 where there is no text, or no other one. The scores of one group exist at a time on each device, and
        again in the backward pass.
    """
    one_group = jax.checkpoint(partial(_divergence, temperature, precision))

    def local(*arrays: Array) -> Float[Array, "own texts"]:
        return jax.lax.map(lambda group: one_group(*group), arrays)

    if jax.sharding.get_abstract_mesh().empty:
        return local(student, teacher, real)
    # Seen from one device: its own groups. Along mesh axes that do not split the batch, every device computes the same.
    spec = partition_spec(["batch"])
    axes = spec[0]
    names = {axes} if isinstance(axes, str) else set(axes)
    return jax.shard_map(local, in_specs=spec, out_specs=spec, axis_names=names)(student, teacher, real)


def _divergence(
    temperature: float,
    precision: jax.lax.Precision,
    student: Float[Array, "texts dim"],
    teacher: Float[Array, "texts teacher_dim"],
    real: Bool[Array, "texts"],
) -> Float[Array, "texts"]:
    # letters: t text, u another text of the group, d entry of a vector
    others = real[None, :] & ~jnp.eye(len(real), dtype=bool)

    def log_shares(vectors: Array) -> Float[Array, "texts texts"]:
        scores = jnp.einsum("td,ud->tu", vectors, vectors, precision=precision) / temperature
        return jax.nn.log_softmax(jnp.where(others, scores, MASKED), axis=-1)

    theirs, ours = log_shares(teacher), log_shares(student)
    divergence = jnp.sum(jnp.exp(theirs) * (theirs - ours), axis=-1)
    return jnp.where(real & others.any(axis=-1), divergence, 0.0)
