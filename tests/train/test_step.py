"""The step against a PyTorch run, and against itself: chunked, sharded, resumed, with fillers."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instructor_jax.backbones.t5.config_file import write_config
from instructor_jax.io.weights.names import params_from_torch, params_to_torch
from instructor_jax.nn.model import init_params
from instructor_jax.sharding import MeshShape, make_mesh, named_sharding
from instructor_jax.train.config import TrainConfig
from instructor_jax.train.data.batches import PairBatch
from instructor_jax.train.objective import LossConfig
from instructor_jax.train.optimizer import OptimizerConfig
from instructor_jax.train.step import TrainState, batch_losses, new_state, state_shardings, train_step

from .random_batches import TINY, pack, random_batch, tiny_config

# compiled without LLVM's optimisations: these programs run a few times and would take longer to compile
FAST = {"xla_backend_optimization_level": 0}
step = jax.jit(train_step, static_argnums=0, compiler_options=FAST)


def mean_loss(config: TrainConfig, params: Any, batch: PairBatch) -> jax.Array:
    """The mean loss of step 3, with the config's dropout."""
    losses = batch_losses(config, params, batch, dropout_at=jnp.int32(3) if config.dropout else None)
    return losses.loss.mean()


def start(config: TrainConfig, seed: int = 0) -> TrainState:
    return new_state(config, init_params(config.model, seed))


# --- Against PyTorch --------------------------------------------------------------------------------------------------


class TorchRun:
    """The original's training in its own tools: T5EncoderModel, masked mean, Dense, its loss, AdamW, linear warm-up."""

    def __init__(self, config: TrainConfig, params: Any) -> None:
        import torch
        import transformers

        self.torch, self.config = torch, config
        arrays = {name: torch.tensor(x) for name, x in params_to_torch(config.model, jax.device_get(params)).items()}
        self.projection = torch.nn.Parameter(arrays.pop("projection.weight"))
        encoder = transformers.T5Config(**write_config(config.model.encoder))
        self.encoder = transformers.T5EncoderModel(encoder).eval()  # evaluation mode: no dropout
        missing = self.encoder.load_state_dict(arrays, strict=False).missing_keys
        assert set(missing) <= {"encoder.embed_tokens.weight"}
        wanted = config.optimizer
        self.parameters = [*self.encoder.parameters(), self.projection]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=wanted.learning_rate, weight_decay=0.0)
        self.schedule = transformers.get_linear_schedule_with_warmup(
            self.optimizer, wanted.warmup_steps, wanted.schedule_steps
        )

    def embed(self, batch: PairBatch) -> Any:
        """One text per row, padded, in the order of all slots."""
        torch, texts = self.torch, batch.texts
        ids, keep, pooled = (np.zeros((texts.slots.size, texts.tokens.shape[-1]), np.int64) for _ in range(3))
        for text, ((group, _), slot) in enumerate(np.ndenumerate(texts.slots)):
            row, segment = divmod(int(slot), texts.segments_per_row)
            own = texts.segments[group, row] == segment
            ids[text, : own.sum()] = texts.tokens[group, row, own]
            keep[text, : own.sum()] = 1
            pooled[text, : own.sum()] = texts.pooled[group, row, own]
        hidden = self.encoder(input_ids=torch.tensor(ids), attention_mask=torch.tensor(keep)).last_hidden_state
        mask = torch.tensor(pooled)[..., None].float()
        means = (hidden * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(means @ self.projection.T, dim=-1).reshape(*texts.slots.shape, -1)

    def step(self, batch: PairBatch) -> float:
        torch, n = self.torch, batch.valid.shape[1]
        vectors = self.embed(batch)
        q, p, negatives = (x.flatten(0, 1) for x in (vectors[:, :n], vectors[:, n : 2 * n], vectors[:, 2 * n :]))
        own = (q * p).sum(-1, keepdim=True)
        first = torch.cat([own, q @ negatives.T], 1) / self.config.loss.temperature
        loss = torch.nn.functional.cross_entropy(first, torch.zeros(len(q), dtype=torch.long))
        loss = loss + torch.nn.functional.cross_entropy(p @ q.T / self.config.loss.temperature, torch.arange(len(q)))
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.schedule.step()
        return loss.item()

    def params(self) -> Any:
        arrays = {name: x.detach().numpy() for name, x in self.encoder.state_dict().items()}
        return params_from_torch(self.config.model, {**arrays, "projection.weight": self.projection.detach().numpy()})


@pytest.mark.slow
@pytest.mark.torch
def test_five_adamw_steps_equal_a_pytorch_run() -> None:
    pytest.importorskip("torch")
    config = tiny_config(
        loss=LossConfig("original", temperature=0.05),
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=3, schedule_steps=20),
        dropout=False,
    )
    params = init_params(config.model, seed=0)
    state, reference = new_state(config, params), TorchRun(config, params)
    for seed in range(5):
        batch = random_batch(config, seed)
        state, metrics = step(config, state, batch)
        # float32: two implementations of a two-layer encoder differ by 1e-6, the temperature makes it 20 times that
        np.testing.assert_allclose(metrics.loss, reference.step(batch), rtol=2e-5)
    for name, (before, ours, theirs) in zipped(params, state.params, reference.params()).items():
        change = np.linalg.norm(theirs - before)
        assert change > 0, name
        # Of the change itself, since most parameters hardly move. The largest parameters are near 1 and move by 5e-3:
        # float32 stores that change to 1e-5 at best, and 2e-5 was seen. A wrong sign, decay, bias correction or clip
        # shows at 1e-2 and more.
        assert np.linalg.norm(ours - theirs) <= 1e-4 * change, name


def zipped(*trees: Any) -> dict[str, tuple[np.ndarray, ...]]:
    """Name of each parameter -> its values in all trees."""
    leaves = [jax.tree_util.tree_leaves_with_path(tree) for tree in trees]
    return {
        jax.tree_util.keystr(same[0][0]): tuple(np.asarray(value) for _, value in same)
        for same in zip(*leaves, strict=True)
    }


# --- Against itself ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_chunked_equals_unchunked_with_dropout() -> None:
    config, params = tiny_config(), init_params(TINY, seed=0)
    batch = random_batch(config, seed=0)
    run = jax.jit(jax.value_and_grad(mean_loss, argnums=1), static_argnums=0, compiler_options=FAST)
    whole, gradients = run(config, params, batch)
    chunked, chunked_gradients = run(dataclasses.replace(config, gradient_cache_chunks=4, remat="full"), params, batch)
    np.testing.assert_allclose(chunked, whole, rtol=1e-5)
    for name, (ours, theirs) in zipped(chunked_gradients, gradients).items():
        # relative to the largest entry: small ones are differences of large ones, summed in another order
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max(), err_msg=name)


@pytest.mark.slow
def test_layers_one_by_one_equal_the_loop_over_them() -> None:
    config, params = tiny_config(), init_params(TINY, seed=0)
    batch = random_batch(config, seed=0)
    run = jax.jit(jax.value_and_grad(mean_loss, argnums=1), static_argnums=0, compiler_options=FAST)
    looped, gradients = run(config, params, batch)
    one_by_one = config.suited_to(make_mesh(MeshShape()))
    assert one_by_one.unroll
    assert not dataclasses.replace(config, remat="dots").suited_to(make_mesh(MeshShape())).unroll
    unrolled, unrolled_gradients = run(one_by_one, params, batch)
    np.testing.assert_allclose(unrolled, looped, rtol=1e-5)
    for name, (ours, theirs) in zipped(unrolled_gradients, gradients).items():
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max(), err_msg=name)


@pytest.mark.slow
def test_dropout_depends_on_seed_and_step_alone() -> None:
    config = tiny_config()
    state, batch = start(config), random_batch(config, seed=0)
    first = step(config, state, batch)[1].loss
    assert step(config, state, batch)[1].loss == first
    later = dataclasses.replace(state, step=state.step + 1)
    assert step(config, later, batch)[1].loss != first


@pytest.mark.slow
def test_metrics_count_what_the_batch_holds() -> None:
    config = tiny_config()
    task = np.zeros((8, 2), np.int32)
    task[1] = 2
    batch = random_batch(config, seed=1, task=task)
    state, metrics = step(config, start(config), batch)
    assert state.step == 1
    assert metrics.tokens == (batch.texts.segments >= 0).sum()
    assert metrics.texts == 8 * 2 * 3
    assert metrics.learning_rate == 0  # the first step of the warm-up
    sums = metrics.by_task
    assert sums.rows.tolist() == [14, 0, 2]
    assert sums.weight.tolist() == [14, 0, 2]
    assert sums.contrasted.tolist() == [14, 0, 2]
    np.testing.assert_allclose(metrics.loss, sums.loss.sum() / 16, rtol=1e-6)  # one more float32 sum
    assert metrics.accuracy == sums.correct.sum() / 16
    assert metrics.gradient_norm > 0


@pytest.mark.slow
def test_filler_rows_leave_no_trace() -> None:
    """An empty slot has a zero vector: no NaN comes from it, and whatever stands in the filler rows is not read."""
    config = tiny_config()
    batch = random_batch(config, seed=2)
    valid, negative_valid, slots = batch.valid.copy(), batch.negative_valid.copy(), batch.texts.slots.copy()
    valid[7, 1] = negative_valid[7, 1] = negative_valid[2, 0] = False
    slots[7, [1, 3, 5]] = slots[2, 4] = -1  # query, positive, negative of row 1; negative of row 0
    texts = dataclasses.replace(batch.texts, slots=slots)
    batch = dataclasses.replace(batch, texts=texts, valid=valid, negative_valid=negative_valid)
    state, metrics = step(config, start(config), batch)
    moved, _ = step(config, state, batch)  # the first step of the warm-up has learning rate 0
    assert metrics.texts == 8 * 2 * 3 - 4
    assert metrics.by_task.rows.tolist() == [15, 0, 0]
    assert all(jnp.isfinite(x).all() for x in jax.tree.leaves((moved, metrics)))

    task, query_id = batch.task.copy(), batch.query_id.copy()
    task[7, 1], query_id[7, 1] = 2, batch.positive_id[0, 0]
    other = dataclasses.replace(batch, task=task, query_id=query_id)
    assert all(jax.tree.leaves(jax.tree.map(lambda x, y: (x == y).all(), moved, step(config, state, other)[0])))


@pytest.mark.slow
def test_labels_stay_aligned_when_columns_come_from_all_devices() -> None:
    """Positives are their queries' own texts, so every row is right, but for one that has it as its hard negative."""
    config = tiny_config(dropout=False)
    rng = np.random.default_rng(0)
    texts = []
    for group in range(8):
        queries = [np.append(rng.integers(2, 64, 5), 1) for _ in range(2)]
        positives, negatives = list(queries), [np.append(rng.integers(2, 64, 5), 1) for _ in range(2)]
        if group == 5:
            positives[1], negatives[1] = negatives[1], queries[1]
        texts += [*queries, *positives, *negatives]
    batch = random_batch(config, seed=0, texts=pack(texts, np.ones(len(texts), np.int32), config))
    mesh = make_mesh()
    with jax.set_mesh(mesh):
        batch = jax.device_put(batch, named_sharding(mesh, "batch"))
        params = jax.device_put(init_params(TINY, 0), named_sharding(mesh))
        run = jax.jit(lambda *xs: batch_losses(config, *xs, dropout_at=None).correct, compiler_options=FAST)
        correct = run(params, batch)
    expected = np.ones((8, 2), bool)
    expected[5, 1] = False
    np.testing.assert_array_equal(correct, expected)


@pytest.mark.slow
def test_bfloat16_computes_near_float32_and_keeps_float32_weights() -> None:
    config = tiny_config(dropout=False)
    batch, state = random_batch(config, seed=3), start(config)
    exact = step(config, state, batch)[1]
    new, metrics = step(dataclasses.replace(config, dtype="bfloat16"), state, batch)
    # eight bits of mantissa in the encoder, cosines off by about 1e-2, divided by the temperature 0.05
    np.testing.assert_allclose(metrics.loss, exact.loss, atol=0.2)
    assert metrics.loss != exact.loss
    assert {x.dtype for x in jax.tree.leaves(new.params)} == {jnp.dtype("float32")}


# --- On meshes --------------------------------------------------------------------------------------------------------


def curve(config: TrainConfig, devices: int) -> np.ndarray:
    """Losses of the config's steps on its mesh over so many devices."""
    mesh = make_mesh(config.mesh, jax.devices()[:devices])
    config.check_mesh(mesh)
    shardings = state_shardings(config, mesh)
    losses = []
    with jax.set_mesh(mesh):
        state = jax.device_put(start(config), shardings)
        run = jax.jit(
            partial(train_step, config), out_shardings=(shardings, None), donate_argnums=0, compiler_options=FAST
        )
        for number in range(config.steps):
            batch = jax.device_put(random_batch(config, number), named_sharding(mesh, "batch"))
            state, metrics = run(state, batch)
            losses.append(metrics.loss)
    return np.array(losses)


@pytest.mark.slow
@pytest.mark.parametrize("dropout", [True, False])
def test_curves_are_equal_on_every_mesh(dropout: bool) -> None:
    config = tiny_config(dropout=dropout)
    single = curve(config, devices=1)
    assert single[-10:].mean() < single[:10].mean()  # it learns, so the curves are not equal for standing still
    for mesh, changes in (
        (MeshShape(), {}),
        (MeshShape(data=2, fsdp=4), {"gradient_cache_chunks": 2, "remat": "full"}),
        (MeshShape(data=2, fsdp=2, tensor=2), {}),
    ):
        sharded = curve(dataclasses.replace(config, mesh=mesh, **changes), devices=8)
        # 100 steps of AdamW at 1e-4 amplify the rounding of sums in another order to 3e-5; at 1e-3 it would be 3e-3
        np.testing.assert_allclose(sharded, single, atol=1e-4, err_msg=str(mesh))


@pytest.mark.slow
def test_every_array_of_the_state_has_a_place() -> None:
    """What has its parameter's shape lies with it; Adafactor's factors, of other shapes, are everywhere."""
    config = tiny_config(optimizer=OptimizerConfig("adafactor", learning_rate=1e-3), mesh=MeshShape(2, 2, 2))
    mesh = make_mesh(config.mesh)
    with jax.set_mesh(mesh):
        shardings = state_shardings(config, mesh)
        state = jax.device_put(start(config), shardings)
        batch = jax.device_put(random_batch(config, seed=0), named_sharding(mesh, "batch"))
        run = jax.jit(partial(train_step, config), out_shardings=(shardings, None), compiler_options=FAST)
        new, metrics = run(state, batch)
    assert jnp.isfinite(metrics.loss)
    moved = [bool((x != y).any()) for x, y in zip(*map(jax.tree.leaves, (state.params, new.params)), strict=True)]
    assert all(moved)
    adamw = state_shardings(tiny_config(), mesh)
    specs = {str(x.spec) for x in jax.tree.leaves(adamw.optimizer)}
    assert specs >= {str(x.spec) for x in jax.tree.leaves(adamw.params)}
