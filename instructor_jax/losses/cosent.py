"""CoSENT: the loss of scored pairs, which asks only that pairs with higher scores have higher cosines.

A regression of the cosine on the score would also have to move the level of all cosines, which is arbitrary: those of a
fresh T5 lie close to 1. Ranks survive any such shift, and they are what Spearman's correlation measures.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from instructor_jax.losses.blockwise import against_all
from instructor_jax.losses.records import Pairs, RowLosses
from instructor_jax.numerics import MASKED


def ranking_loss(
    pairs: Pairs, score: Float[Array, "groups n"], rows_at_a_time: int = 512, scale: float = 20.0
) -> RowLosses:
    """`log(1 + sum over i, j with score_i > score_j of exp(scale * (cosine_j - cosine_i)))` within each task.

    The sum runs over all pairs of rows of one task; every row of the task is given the task's value, so that the mean
    over rows weighs tasks by their rows. (Su 2022, CoSENT, https://kexue.fm/archives/8847, with its scale of 20; also
    `CoSENTLoss` of sentence-transformers.) Row weights do not enter the sum itself.

    Args:
        pairs: the batch; query, positive, valid and task are read.
        score: similarity of query and positive, NaN where there is none: such rows take no part.
        rows_at_a_time: rows of the matrix of differences that a device holds at once.
        scale: steepness; the inverse of a temperature.
    """
    scored = pairs.valid & ~jnp.isnan(score)
    cosine = scale * jnp.sum(pairs.query * pairs.positive, axis=-1)

    def lower_scored(row: tuple[Array, ...], others: tuple[Array, ...]) -> tuple[Array, Array]:
        (cosine, score, task), (other_cosines, other_scores, other_tasks, real) = row, others
        counts = real & (other_tasks == task) & (other_scores < score)
        return _log_sum_exp(jnp.where(counts, other_cosines - cosine, MASKED)), counts.any()

    def same_task(row: tuple[Array, ...], others: tuple[Array, ...]) -> Array:
        (task,), (other_tasks, sums, real) = row, others
        one = jnp.zeros((1,), sums.dtype)  # the 1 of log(1 + ...)
        return _log_sum_exp(jnp.concatenate([one, jnp.where(real & (other_tasks == task), sums, MASKED)]))

    columns = (cosine, score, pairs.task, scored)
    sums, any_lower = against_all(lower_scored, (cosine, score, pairs.task), columns, rows_at_a_time)
    real = scored & any_lower
    loss = against_all(same_task, (pairs.task,), (pairs.task, sums, real), rows_at_a_time)
    no = jnp.zeros_like(scored)
    return RowLosses(jnp.where(scored, loss, 0.0), no, no)


def _log_sum_exp(values: Float[Array, "columns"]) -> Float[Array, ""]:
    top = jax.lax.stop_gradient(values.max())
    return top + jnp.log(jnp.exp(values - top).sum())
