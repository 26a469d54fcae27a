"""One training step: loss, gradient, update, metrics, in that order.

State and batch in, state and metrics out; nothing else decides what happens, so the loop may jit it, a test may call
it, and the same arrays give the same step on any mesh. Call it under `jax.set_mesh`: sharded arrays alone would leave
the layout of the loss to the compiler.
"""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Array, Float

from instructor_jax.losses.records import RowLosses
from instructor_jax.nn.model import Params, abstract_params, param_layouts, param_shardings
from instructor_jax.sharding import named_sharding

from .config import TrainConfig
from .copies import moment_layouts, on_each_copy
from .data.batches import PairBatch
from .distillation import distill_weight_at, distill_weights, with_distillation
from .gradient_cache import dropout_keys, embed_in_chunks
from .metrics import Metrics, TaskSums, count_texts, task_sums
from .objective import row_losses, row_weights
from .optimizer import learning_rate, make_optimizer
from .own_loss import OwnLoss


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """State of a run between two steps.

    Attributes:
        params: Master weights in float32, whatever the type of the computation.
        optimizer: State of the optimizer.
        step: Number of updates made.
    """

    params: Params
    optimizer: Any
    step: Any


def train_step(
    config: TrainConfig, state: TrainState, batch: PairBatch, loss: OwnLoss | None = None
) -> tuple[TrainState, Metrics]:
    """Updates the parameters on one global batch.

    Args:
        config: Configuration of the run.
        state: State before the step.
        batch: Batch of the examples.
        loss: Loss in the place of the configured one; see `own_loss`.
    """

    def mean_loss(params: Params) -> tuple[Float[Array, ""], RowLosses]:
        dropout_at = state.step if config.dropout else None
        losses = batch_losses(config, params, batch, dropout_at, state.step, loss)
        weight = row_weights(batch)
        return (weight * losses.loss).sum() / jnp.maximum(weight.sum(), 1e-9), losses

    (mean, losses), gradients = jax.value_and_grad(mean_loss, has_aux=True)(state.params)
    mesh = jax.sharding.get_abstract_mesh()
    if config.optimizer.split_moments and not mesh.empty:  # each copy of the weights sums the part that it updates
        gradients = jax.lax.with_sharding_constraint(gradients, moment_layouts(config.model, mesh))
    updates, optimizer = make_optimizer(config.optimizer).update(gradients, state.optimizer, state.params)
    params: Any = optax.apply_updates(state.params, updates)

    tokens, texts = count_texts(batch)
    metrics = Metrics(
        loss=mean,
        accuracy=losses.correct.sum() / losses.contrasted.sum(),
        gradient_norm=optax.tree.norm(gradients),
        learning_rate=learning_rate(config.optimizer, state.step),
        tokens=tokens,
        texts=texts,
        by_task=task_sums(batch, losses, len(config.tasks)),
    )
    return TrainState(params, optimizer, state.step + 1), metrics


def held_out_sums(config: TrainConfig, params: Params, batch: PairBatch, loss: OwnLoss | None = None) -> TaskSums:
    """Returns loss and accuracy per task on examples that are not trained on, without dropout."""
    return task_sums(batch, batch_losses(config, params, batch, dropout_at=None, loss=loss), len(config.tasks))


def batch_losses(
    config: TrainConfig,
    params: Params,
    batch: PairBatch,
    dropout_at: Any,
    step: Any = None,
    loss: OwnLoss | None = None,
) -> RowLosses:
    """Returns the loss of every example of a batch.

    Args:
        config: Configuration of the run.
        params: Weights of the model.
        batch: Batch of the examples; where it carries a teacher's vectors, distillation is mixed into the losses.
        dropout_at: Step whose dropout is on; None for none.
        step: Step whose weight of distillation counts; None for the weight that the run ends with.
        loss: Loss in the place of the configured one.
    """
    groups, rows, _ = batch.texts.tokens.shape
    keys = None if dropout_at is None else dropout_keys(config.seed, dropout_at, groups, rows)
    encode = partial(embed_in_chunks, config.model, chunks=config.gradient_cache_chunks, compute=config.compute)
    if config.optimizer.sum_gradients_once:
        vectors = on_each_copy(encode, params, param_layouts(config.model), batch.texts, keys)
    else:
        vectors = encode(params, batch.texts, keys)
    losses = row_losses(config.loss, config.tasks, batch, vectors, config.loss_precision, loss)
    if batch.teacher is None:
        return losses
    weight = config.distill.weight if step is None else distill_weight_at(config.distill, config.steps, step)
    weight = distill_weights(config.distill, config.tasks, batch, weight)
    return with_distillation(config.distill, losses, batch, vectors, weight, config.loss_precision)


def new_state(config: TrainConfig, params: Params) -> TrainState:
    """Returns the state before the first step."""
    return TrainState(params, make_optimizer(config.optimizer).init(params), jnp.zeros((), jnp.int32))


def abstract_state(config: TrainConfig) -> TrainState:
    """Returns the shapes of the state; nothing is allocated."""
    return jax.eval_shape(lambda params: new_state(config, params), abstract_params(config.model))


def state_shardings(config: TrainConfig, mesh: Mesh) -> TrainState:
    """Returns where every array of the state lies.

    What has a parameter's shape lies with it, or is split among the copies of the weights (`split_moments`). The rest
    is on every device: counts, and Adafactor's factors, which are vectors where the parameter is a matrix.
    """
    everywhere = named_sharding(mesh)
    abstract = abstract_state(config)
    shardings = param_shardings(config.model, mesh)
    split = config.optimizer.split_moments
    layouts = moment_layouts(config.model, mesh) if split else param_layouts(config.model)
    optimizer = optax.tree_map_params(
        make_optimizer(config.optimizer),
        lambda leaf, param, layout: NamedSharding(mesh, layout) if leaf.shape == param.shape else everywhere,
        abstract.optimizer,
        abstract.params,
        layouts,
        transform_non_params=lambda _: everywhere,
    )
    return TrainState(shardings, optimizer, everywhere)
