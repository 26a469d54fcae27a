"""Distillation in the step: off it changes nothing, on it is the stated mixture, on one device and on eight."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instructor_jax.nn.model import embed, init_params
from instructor_jax.sharding import MeshShape, make_mesh, named_sharding
from instructor_jax.train.config import TrainConfig
from instructor_jax.train.data.batches import PairBatch
from instructor_jax.train.distillation import DistillConfig, DistilledLosses, distill_weight_at
from instructor_jax.train.metrics import task_sums
from instructor_jax.train.objective import row_losses
from instructor_jax.train.optimizer import OptimizerConfig
from instructor_jax.train.settings.comparison import differences
from instructor_jax.train.settings.flat import flat
from instructor_jax.train.settings.run_config import RunConfig
from instructor_jax.train.step import batch_losses, new_state, state_shardings, train_step

from .random_batches import TINY, random_batch, tiny_config

FAST = {"xla_backend_optimization_level": 0}
DISTILL = DistillConfig(teacher="any", weight=0.25, distill_only=0.5, decay=0.1)


def taught(config: TrainConfig, seed: int, dim: int = 8) -> PairBatch:
    """A random batch in which one row is filler and one lacks its negative, with random vectors of a teacher."""
    batch = random_batch(config, seed)
    negative_valid, slots = np.array(batch.negative_valid), np.array(batch.texts.slots)
    valid = np.array(batch.valid)
    n = valid.shape[1]
    valid[0, 1], negative_valid[0, 1], slots[0, [1, n + 1, 2 * n + 1]] = False, False, -1
    negative_valid[1, 0], slots[1, 2 * n] = False, -1
    teacher = np.random.default_rng(seed).standard_normal((*slots.shape, dim))
    teacher = np.where(slots[..., None] >= 0, teacher / np.linalg.norm(teacher, axis=-1, keepdims=True), 0)
    texts = dataclasses.replace(batch.texts, slots=slots)
    changed = {"texts": texts, "valid": valid, "negative_valid": negative_valid}
    return dataclasses.replace(batch, **changed, teacher=teacher.astype(np.float16))


def test_the_share_is_whole_then_falls_then_stays() -> None:
    shares = np.array([distill_weight_at(DISTILL, 20, step) for step in range(20)])
    assert (shares[:10] == 1).all()
    np.testing.assert_allclose(shares[10:12], [0.75, 0.5], rtol=1e-6)  # a third of the way each step
    np.testing.assert_allclose(shares[12:], 0.25, rtol=1e-6)
    assert distill_weight_at(DistillConfig(teacher="any", weight=0.3), 20, 0) == pytest.approx(0.3)
    assert (DISTILL.distill_only_steps(20), DISTILL.on, DistillConfig().on) == (10, True, False)
    assert not DistillConfig(teacher="any", weight=0.0, static_init=True).on


@pytest.mark.slow
def test_rows_mix_both_losses_as_stated() -> None:
    config = tiny_config(distill=DISTILL, dropout=False)
    batch, params = taught(config, 0), init_params(TINY, seed=0)
    given = jax.tree.map(jnp.asarray, batch)
    losses = jax.jit(lambda p: batch_losses(config, p, given, None), compiler_options=FAST)(params)
    assert isinstance(losses, DistilledLosses)
    vectors = embed(TINY, params, given.texts)
    contrastive = row_losses(config.loss, config.tasks, given, vectors).loss
    cosine = np.sum(np.asarray(vectors) * batch.teacher, axis=-1)
    only = dataclasses.replace(DISTILL, weight=1.0, similarities=0.0)
    regressed = batch_losses(dataclasses.replace(config, distill=only), params, given, None)
    for group, row in np.argwhere(batch.valid):
        texts = [row, 2 + row] + [4 + row] * bool(np.asarray(batch.negative_valid)[group, row])
        expected = np.mean(cosine[group, texts])
        np.testing.assert_allclose(losses.teacher_cosine[group, row], expected, atol=1e-5)
        np.testing.assert_allclose(regressed.loss[group, row], (1 - expected) / 0.05, rtol=1e-4)
    both = batch_losses(
        dataclasses.replace(config, distill=dataclasses.replace(DISTILL, weight=1.0)), params, given, None
    )
    np.testing.assert_allclose(losses.loss, 0.75 * contrastive + 0.25 * both.loss, rtol=1e-4, atol=1e-6)
    assert (np.asarray(losses.loss)[~batch.valid] == 0).all()
    sums = task_sums(given, losses, 3)
    assert sums.teacher_cosine is not None
    np.testing.assert_allclose(sums.teacher_cosine[0], np.asarray(losses.teacher_cosine)[batch.valid].sum(), rtol=1e-5)


@pytest.mark.slow
def test_tasks_without_the_teacher_have_the_contrastive_loss_alone_once_it_is_not_alone() -> None:
    config = tiny_config(distill=dataclasses.replace(DISTILL, without=("sec*",)), dropout=False, steps=20)
    batch, params = taught(config, 0), init_params(TINY, seed=0)
    task = np.array(batch.task)
    task[1] = 1  # "second"
    given = jax.tree.map(jnp.asarray, dataclasses.replace(batch, task=task))
    contrastive = row_losses(config.loss, config.tasks, given, embed(TINY, params, given.texts)).loss
    as_others = dataclasses.replace(config, distill=DISTILL)
    for step in (None, 15):
        losses = batch_losses(config, params, given, None, step).loss
        expected = batch_losses(as_others, params, given, None, step).loss
        np.testing.assert_allclose(losses[0], expected[0], rtol=1e-6)
        np.testing.assert_allclose(losses[1], np.where(batch.valid[1], contrastive[1], 0), rtol=1e-6)
    alone = batch_losses(config, params, given, None, 3).loss
    np.testing.assert_allclose(alone, batch_losses(as_others, params, given, None, 3).loss, rtol=1e-6)


def test_a_pattern_that_fits_no_task_is_refused() -> None:
    with pytest.raises(ValueError, match="no task is called 'fourth'"):
        tiny_config(distill=dataclasses.replace(DISTILL, without=("fourth",)))


@pytest.mark.slow
def test_without_a_teacher_the_settings_change_no_bit() -> None:
    config = tiny_config()
    state, batch = new_state(config, init_params(TINY, seed=0)), random_batch(config, 0)
    results = []
    for distill in (DistillConfig(), DistillConfig(weight=1.0, distill_only=0.5)):
        one = dataclasses.replace(config, distill=distill)
        results.append(jax.jit(train_step, static_argnums=0, compiler_options=FAST)(one, state, batch))
    for first, second in zip(*map(jax.tree.leaves, results), strict=True):
        assert np.asarray(first).tobytes() == np.asarray(second).tobytes()
    assert results[0][1].by_task.teacher_cosine is None


@pytest.mark.slow
@pytest.mark.parametrize("dim", [8, 12])  # of the student's size, and of another: similarities alone
def test_a_student_comes_nearer_to_its_teacher(dim: int) -> None:
    distill = DistillConfig(teacher="any", weight=1.0, vectors=float(dim == 8))
    config = tiny_config(
        distill=distill, optimizer=OptimizerConfig(learning_rate=3e-3, schedule="constant"), dropout=False
    )
    batch, step = taught(config, 1, dim), jax.jit(train_step, static_argnums=0, compiler_options=FAST)
    state, losses = new_state(config, init_params(TINY, seed=0)), []
    for _ in range(30):
        state, metrics = step(config, state, batch)
        losses.append(float(metrics.loss))
    assert losses[-1] < 0.7 * losses[0]
    assert metrics.by_task.teacher_cosine is not None
    cosine = float(metrics.by_task.teacher_cosine.sum() / metrics.by_task.rows.sum())
    assert cosine > 0.4 if dim == 8 else cosine == 0


@pytest.mark.slow
@pytest.mark.parametrize("shape", [MeshShape(8), MeshShape(2, 2, 2)])
def test_split_over_devices_the_step_is_the_same(shape: MeshShape) -> None:
    config = tiny_config(distill=DISTILL)
    batch, params = taught(config, 2), init_params(TINY, seed=0)
    expected, metrics = jax.jit(train_step, static_argnums=0, compiler_options=FAST)(
        config, new_state(config, params), batch
    )
    mesh = make_mesh(shape)
    with jax.set_mesh(mesh):
        state = jax.device_put(new_state(config, params), state_shardings(config, mesh))
        placed = jax.tree.map(lambda x: jax.device_put(x, named_sharding(mesh, "batch")), batch)
        split, other = jax.jit(train_step, static_argnums=0, compiler_options=FAST)(config, state, placed)
    # float32 sums in another order; as in the other tests of sharded steps
    np.testing.assert_allclose(other.loss, metrics.loss, rtol=1e-5)
    np.testing.assert_allclose(other.by_task.teacher_cosine, metrics.by_task.teacher_cosine, rtol=1e-4, atol=1e-5)
    for mine, theirs in zip(jax.tree.leaves(split.params), jax.tree.leaves(expected.params), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": 1.5}, r"distill\.weight=1\.5 must be between 0 and 1"),
        ({"alone": 0.8, "fade": 0.4}, "together they must be at most 1"),
        ({"vectors": 0.0, "similarities": 0.0}, "not both 0"),
        ({"temperature": 0.0}, "must be positive"),
        ({"static_init": True}, r"needs distill\.teacher"),
        ({"teacher_tokens": 1}, "must be at least 2"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DistillConfig(**changes)


def test_a_start_is_for_random_weights_with_a_projection() -> None:
    distill = DistillConfig(teacher="any", static_init=True)
    with pytest.raises(ValueError, match="is for random weights"):
        RunConfig(init_from="some/model", distill=distill)
    with pytest.raises(ValueError, match=r"needs model\.projection"):
        RunConfig(distill=distill)


def test_a_run_from_before_a_setting_goes_on_with_its_default() -> None:
    new = flat(RunConfig())
    old = {key: value for key, value in new.items() if not key.startswith("distill.") and key != "lowercase"}
    assert differences(old, new) == {}
    assert differences(old, {**new, "distill.teacher": "some"}) == {"distill.teacher": ("", "some")}
    assert differences(new, {**new, "export": "float16", "export_length": 256}) == {}
