"""A loss of one's own in the place of the contrastive one: what it is given, what it must give, how that is checked.

The contract, in one place:

- A loss is a function of one argument, `LossInputs`: the vectors of the whole global batch and what is known of its
  rows. It is traced by JAX, so it is made of `jax.numpy` and decides nothing by the values of arrays.
- It gives one number per row, an array [groups, n] in float32, or `RowLosses`, which also says of every row whether its
  positive was ranked first. With numbers alone that is found as for the loss `in_batch`: by cosine, among the texts of
  the row's task.
- The step's loss is their mean, weighted by the rows' weights; rows that only fill the static shape (`valid` False)
  have weight 0. So a loss does not apply weights itself, and may say anything finite of filler rows, whose vectors are
  zeros. A loss of the batch as a whole gives its value for every row.
- Arrays are global: [groups, n, ...], split by groups over the devices. A loss may be written as if there were one
  device (`jnp.einsum("gnd,hmd->gnhm", query, positive)`), and the compiler gathers what it needs.
  `losses.against_all` does the same in memory linear in the batch, with one gather.
- Rows with a score are not ranked apart from the others, as the built-in losses do. A share of distillation
  (`distill`) is still mixed in.
"""

import dataclasses
import functools
from collections.abc import Callable, Collection
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from instructor_jax.losses.records import Loss, Pairs, RowLosses

_ROWS = 4  # rows of a group of the batch that a loss is tried on; the last of them is a filler


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LossInputs(Pairs):
    """The embedded examples of a global batch, with all that an example of the mixture may carry.

    Attributes:
        score: Similarity of query and positive in [0, 1], NaN for examples that have none; None where no example has
            one.
        weight: Weight of the example in the mean, which is applied after the loss; None for equal weights.
        teacher_query, teacher_positive, teacher_negatives: A teacher's unit vectors of the same texts; None without a
            teacher.
    """

    score: Float[Any, "groups n"] | None = None
    weight: Float[Any, "groups n"] | None = None
    teacher_query: Float[Any, "groups n teacher_dim"] | None = None
    teacher_positive: Float[Any, "groups n teacher_dim"] | None = None
    teacher_negatives: Float[Any, "groups n k teacher_dim"] | None = None


OwnLoss: TypeAlias = Callable[[LossInputs], Any]
"""One's own loss: `LossInputs` -> an array [groups, n], or `RowLosses`."""


def loss_name(loss: OwnLoss) -> str:
    """Returns the name that a run notes of a loss: the function's own, with what `functools.partial` binds."""
    if isinstance(loss, functools.partial):
        bound = [*map(repr, loss.args), *(f"{key}={value!r}" for key, value in sorted(loss.keywords.items()))]
        return f"{loss_name(loss.func)}({', '.join(bound)})"
    return getattr(loss, "__qualname__", None) or type(loss).__qualname__


def own_row_losses(loss: OwnLoss, inputs: LossInputs, ranks: Loss | None = None) -> RowLosses:
    """Calls a loss and checks what it gives.

    Args:
        loss: Loss that keeps the contract above.
        inputs: Inputs of the loss.
        ranks: Loss that says which examples rank their positive first, where the other does not; None for no example.

    Raises:
        ValueError: It gives something else; names the loss, what it gave and what it must give.
    """
    given = loss(inputs)
    if isinstance(given, RowLosses):
        _check(loss, "loss", given.loss, jnp.float32, inputs)
        _check(loss, "correct", given.correct, jnp.bool_, inputs)
        _check(loss, "contrasted", given.contrasted, jnp.bool_, inputs)
        found = given
    elif isinstance(given, jax.Array | np.ndarray):
        _check(loss, "loss", given, jnp.float32, inputs)
        unknown = jnp.zeros_like(inputs.valid)
        found = RowLosses(given, unknown, unknown)
        if ranks is not None:
            ranked = ranks(jax.lax.stop_gradient(inputs))  # no gradient: only the ranks are wanted
            found = RowLosses(given, ranked.correct, ranked.contrasted)
    else:
        raise ValueError(
            f"the loss {loss_name(loss)!r} gives {type(given).__name__}; it must give one number per row, a jax.Array "
            "[groups, n], or RowLosses."
        )
    valid = inputs.valid
    return RowLosses(
        jnp.where(valid, found.loss, 0.0), found.correct & found.contrasted & valid, found.contrasted & valid
    )


def _check(loss: OwnLoss, what: str, array: Any, dtype: Any, inputs: LossInputs) -> None:
    shape = getattr(array, "shape", None)
    if shape != inputs.valid.shape:
        raise ValueError(
            f"the loss {loss_name(loss)!r} gives {what} of shape {shape}; it must be {inputs.valid.shape}, groups and "
            "rows of a group: one entry per row, whose weighted mean is taken afterwards (a loss of the whole batch "
            "gives its value for every row: jnp.full_like(pairs.temperature, value))."
        )
    if array.dtype != dtype:
        raise ValueError(
            f"the loss {loss_name(loss)!r} gives {what} of dtype {array.dtype}; it must be {jnp.dtype(dtype).name}: "
            f"use .astype(jnp.{jnp.dtype(dtype).name})."
        )


def try_loss(
    loss: OwnLoss,
    groups: int,
    dim: int,
    negatives: int,
    has: Collection[str] = (),
    teacher_dim: int = 0,
) -> None:
    """Computes a loss and its gradient on a small batch of random vectors, so that a wrong one ends the run at once.

    Call it under `jax.set_mesh`, as the step is called.

    Args:
        loss: Loss that keeps the contract.
        groups: Number of groups of the batch; a multiple of the devices that hold different examples.
        dim: Size of the vectors.
        negatives: Largest number of negatives of an example.
        has: What examples of the run carry besides: score, weight.
        teacher_dim: Size of a teacher's vectors; 0 without a teacher.

    Raises:
        ValueError: The loss gives something of another kind, shape or dtype, or it or its gradient is not finite.
    """

    def total(vectors: tuple[Any, ...], rest: LossInputs) -> tuple[Float[Array, ""], Bool[Array, ""]]:
        query, positive, hard = vectors
        found = own_row_losses(loss, dataclasses.replace(rest, query=query, positive=positive, negatives=hard))
        return found.loss.sum(), jnp.isfinite(found.loss).all()

    @jax.jit
    def tried(inputs: LossInputs) -> tuple[Bool[Array, ""], Bool[Array, ""]]:
        vectors = (inputs.query, inputs.positive, inputs.negatives)
        (_, finite), gradient = jax.value_and_grad(total, has_aux=True)(vectors, inputs)
        smooth = jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient)])
        return finite, smooth.all()

    finite, smooth = tried(_random_inputs(groups, dim, negatives, has, teacher_dim))
    if finite and smooth:
        return
    what = "its gradient" if finite else "it"
    raise ValueError(
        f"the loss {loss_name(loss)!r} was tried on random unit vectors, and {what} is not finite. Every row but the "
        "last of a group is real there; the last is a filler, whose vectors are zeros: a square root, a logarithm or a "
        "division must be kept from them by jnp.where on its argument, not on its result."
    )


def _random_inputs(groups: int, dim: int, negatives: int, has: Collection[str], teacher_dim: int) -> LossInputs:
    rng = np.random.default_rng(0)
    valid = np.arange(_ROWS) < _ROWS - 1
    valid = np.broadcast_to(valid, (groups, _ROWS))

    def unit(real: np.ndarray, size: int) -> Float[np.ndarray, "..."]:
        vectors = rng.normal(size=(*real.shape, size))
        vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
        return np.where(real[..., None], vectors, 0.0).astype(np.float32)

    def ids(real: np.ndarray) -> np.ndarray:
        return np.where(real[..., None], rng.integers(1, 2**32, (*real.shape, 2), dtype=np.uint32), np.uint32(0))

    hard = None
    if negatives:
        hard = valid[..., None] & (np.arange(negatives) <= np.arange(_ROWS)[:, None])  # rows have one, two, ...
    teacher = [None if real is None or not teacher_dim else unit(real, teacher_dim) for real in (valid, valid, hard)]
    return LossInputs(
        unit(valid, dim),
        unit(valid, dim),
        None if hard is None else unit(hard, dim),
        valid=valid,
        negative_valid=hard,
        temperature=np.full(valid.shape, 0.05, np.float32),
        in_batch=np.ones(valid.shape, bool),
        task=np.where(valid, np.arange(groups)[:, None] % 2, -1).astype(np.int32),
        query_id=ids(valid),
        positive_id=ids(valid),
        negative_id=None if hard is None else ids(hard),
        score=np.where(valid, rng.uniform(size=valid.shape), np.nan).astype(np.float32) if "score" in has else None,
        weight=np.where(valid, 1.0, 0.0).astype(np.float32) if "weight" in has else None,
        teacher_query=teacher[0],
        teacher_positive=teacher[1],
        teacher_negatives=teacher[2],
    )
