"""A loss of one's own: what it is given, what it must give, and that it trains through the whole loop."""

import dataclasses
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.losses.contrastive import RowLosses, in_batch_loss
from instructor_jax.nn.model import init_params
from instructor_jax.sharding import MeshShape, make_mesh
from instructor_jax.train.config import TrainConfig
from instructor_jax.train.data.batches import PairBatch
from instructor_jax.train.gradient_cache import embed_in_chunks
from instructor_jax.train.objective import pairs_of
from instructor_jax.train.own_loss import LossInputs, loss_name, try_loss
from instructor_jax.train.run.loop import MODEL, train
from instructor_jax.train.run.metrics_file import read_lines
from instructor_jax.train.run.preparation import prepare
from instructor_jax.train.step import batch_losses, new_state, state_shardings, train_step

from .random_batches import random_batch, tiny_config
from .small_runs import StopAfter, small_run, write_mixture

# compiled without LLVM's optimisations: these programs run once and would take longer to compile
FAST = {"xla_backend_optimization_level": 0}


def siglip(pairs: LossInputs) -> jax.Array:
    """The sigmoid loss of Zhai et al. 2023 (SigLIP): every pair of a query and a positive is judged on its own."""
    scores = 10.0 * jnp.einsum("gnd,hmd->gnhm", pairs.query, pairs.positive, precision="highest") - 10.0
    groups, n = pairs.valid.shape
    own = jnp.eye(groups * n, dtype=bool).reshape(groups, n, groups, n)
    losses = -jax.nn.log_sigmoid(jnp.where(own, scores, -scores))
    counts = pairs.valid & (pairs.task == pairs.task[:, :, None, None])
    return jnp.where(counts, losses, 0.0).sum(axis=(2, 3))


def siglip_in_numpy(query: np.ndarray, positive: np.ndarray, batch: PairBatch) -> np.ndarray:
    """The same, pair by pair, in float64."""
    rows = [(g, i) for g, i in np.ndindex(batch.valid.shape)]
    losses = np.zeros(batch.valid.shape)
    for g, i in rows:
        for h, j in rows:
            if batch.valid[g, i] and batch.valid[h, j] and batch.task[g, i] == batch.task[h, j]:
                score = 10 * float(query[g, i].astype(np.float64) @ positive[h, j]) - 10
                losses[g, i] += np.log1p(np.exp(-score if (g, i) == (h, j) else score))
    return losses


def odd_batch(config: TrainConfig, seed: int = 0) -> PairBatch:
    """Rows of two tasks, some of them fillers, with weights."""
    rng = np.random.default_rng(seed)
    shape = (config.groups, config.group.examples)
    batch = random_batch(config, seed, task=rng.integers(0, 2, shape).astype(np.int32), valid=rng.random(shape) < 0.8)
    return dataclasses.replace(batch, weight=np.where(batch.valid, rng.uniform(0.5, 2, shape), 0).astype(np.float32))


@pytest.mark.slow
@pytest.mark.parametrize("chunks", [1, 2])
def test_a_step_with_it_is_what_numpy_says(chunks: int) -> None:
    config = tiny_config(gradient_cache_chunks=chunks, dropout=False)
    state, batch = new_state(config, _params(config)), odd_batch(config)
    vectors = jax.jit(_vectors, static_argnums=0, compiler_options=FAST)(config, state.params, batch)
    query, positive = (np.asarray(x) for x in batch.split(vectors)[:2])
    expected = siglip_in_numpy(query, positive, batch)
    _, metrics = _compiled(config)(state, batch)
    weighted = (batch.weight * expected).sum() / batch.weight.sum()
    np.testing.assert_allclose(metrics.loss, weighted, rtol=1e-5)  # float32 against float64
    sums = [(batch.weight * expected)[batch.task == task].sum() for task in range(3)]
    np.testing.assert_allclose(metrics.by_task.loss, sums, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.torch
def test_its_update_is_that_of_pytorch() -> None:
    """The gradient with regard to the vectors, and through it the whole step's gradient norm."""
    torch = pytest.importorskip("torch")
    config = tiny_config(dropout=False)
    params, batch = _params(config), jax.tree.map(jnp.asarray, odd_batch(config))

    def pulled(params, pull):
        return (_vectors(config, params, batch) * pull).sum()

    vectors = jax.jit(_vectors, static_argnums=0, compiler_options=FAST)(config, params, batch)
    theirs = torch.tensor(np.asarray(vectors), requires_grad=True)
    n = config.group.examples
    query, positive = (theirs[:, at : at + n].reshape(-1, vectors.shape[-1]) for at in (0, n))
    scores = 10 * query @ positive.T - 10
    valid, task, weight = (torch.tensor(np.asarray(x).reshape(-1)) for x in (batch.valid, batch.task, batch.weight))
    losses = -torch.nn.functional.logsigmoid(torch.where(torch.eye(len(valid), dtype=torch.bool), scores, -scores))
    counts = valid & valid[:, None] & (task == task[:, None])
    loss = (weight * torch.where(counts, losses, 0.0).sum(1)).sum() / weight.sum()
    loss.backward()
    gradients = jax.jit(jax.grad(pulled), compiler_options=FAST)(params, theirs.grad.numpy())
    norm = np.sqrt(sum((np.asarray(leaf, np.float64) ** 2).sum() for leaf in jax.tree.leaves(gradients)))
    _, metrics = _compiled(config)(new_state(config, params), batch)
    np.testing.assert_allclose(metrics.loss, loss.item(), rtol=1e-5)
    np.testing.assert_allclose(metrics.gradient_norm, norm, rtol=1e-4)  # sums of thousands of products in float32


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "chunks"), [(MeshShape(8), 1), (MeshShape(data=2, fsdp=2, tensor=2), 2)])
def test_eight_devices_make_the_step_of_one(shape: MeshShape, chunks: int) -> None:
    config = tiny_config(dropout=False, gradient_cache_chunks=chunks)
    params, batch = _params(config), odd_batch(config)
    expected, told = _compiled(tiny_config(dropout=False))(new_state(config, params), batch)
    mesh = make_mesh(shape)
    shardings = state_shardings(config, mesh)
    with jax.set_mesh(mesh):
        state = jax.device_put(new_state(config, params), shardings)
        found, metrics = _compiled(config, out_shardings=(shardings, None))(state, batch)
    np.testing.assert_allclose(metrics.loss, told.loss, rtol=1e-6)
    for one, other in zip(jax.tree.leaves(found.params), jax.tree.leaves(expected.params), strict=True):
        # Adam's first step is the sign of the gradient: where that is near 0, rounding decides it
        np.testing.assert_allclose(one, other, atol=2e-5)


@pytest.mark.slow
def test_a_loss_of_the_library_is_one_too() -> None:
    """And gives what its name in the settings gives, ranks included."""
    config = tiny_config(dropout=False)
    params, batch = _params(config), odd_batch(config)

    def losses(loss):
        return jax.jit(lambda *xs: batch_losses(config, *xs, None, loss=loss), compiler_options=FAST)(params, batch)

    expected, found = losses(None), losses(in_batch_loss)
    for name in ("loss", "correct", "contrasted"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    ranked = losses(lambda pairs: in_batch_loss(pairs).loss)
    queries = losses(functools.partial(in_batch_loss, both_directions=False))
    np.testing.assert_array_equal(ranked.correct, queries.correct)  # numbers alone: ranked by the query's cosines


def test_it_is_given_all_that_the_batch_says() -> None:
    config = tiny_config()
    batch = odd_batch(config)
    texts = batch.texts.slots.shape[1]
    rng = np.random.default_rng(1)
    score = np.where(batch.valid, 0.5, np.nan).astype(np.float32)
    batch = dataclasses.replace(
        batch, score=score, teacher=rng.normal(size=(config.groups, texts, 5)).astype(np.float32)
    )
    vectors = rng.normal(size=(config.groups, texts, 8)).astype(np.float32)
    pairs = jax.jit(pairs_of)(batch, vectors)
    n, k = config.group.examples, config.group.negatives
    np.testing.assert_array_equal(pairs.query, vectors[:, :n])
    np.testing.assert_array_equal(pairs.positive, vectors[:, n : 2 * n])
    np.testing.assert_array_equal(pairs.negatives, vectors[:, 2 * n :].reshape(config.groups, n, k, 8))
    assert batch.teacher is not None
    np.testing.assert_array_equal(pairs.teacher_positive, batch.teacher[:, n : 2 * n])
    for name in ("task", "valid", "negative_valid", "query_id", "positive_id", "negative_id", "score", "weight"):
        np.testing.assert_array_equal(getattr(pairs, name), getattr(batch, name))


def _sqrt_of_zero(pairs: LossInputs) -> jax.Array:
    length = jnp.sqrt((pairs.query**2).sum(axis=-1))  # 0 for fillers: the gradient of a square root there is infinite
    return jnp.where(pairs.valid, length, 0.0)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda pairs: pairs.query.sum(), r"loss of shape \(\); it must be \(8, 4\)"),
        (lambda pairs: pairs.query.sum(axis=0), r"loss of shape \(4, 8\)"),
        (lambda pairs: pairs.query.sum(axis=-1).astype(jnp.bfloat16), r"dtype bfloat16.*float32"),
        (lambda pairs: pairs.task, r"dtype int32.*float32"),
        (lambda pairs: (pairs.query, 1), "gives tuple; it must give one number per row"),
        (lambda pairs: None, "gives NoneType"),
        (lambda pairs: jnp.log(-jnp.ones_like(pairs.temperature)), "it is not finite"),
        (lambda pairs: jnp.log((pairs.query**2).sum(axis=-1)), "its gradient is not finite"),
        (_sqrt_of_zero, "its gradient is not finite"),
        (lambda pairs: RowLosses(pairs.temperature, pairs.temperature, pairs.valid), "correct of dtype float32"),
        (lambda pairs: RowLosses(pairs.temperature, pairs.valid, pairs.valid[0]), r"contrasted of shape \(4,\)"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_breaks_the_contract_is_told(loss, message: str) -> None:
    with jax.set_mesh(make_mesh(MeshShape(8))), pytest.raises(ValueError, match=message):
        try_loss(loss, groups=8, dim=8, negatives=1)


@pytest.mark.parametrize("negatives", [0, 2])
@pytest.mark.parametrize("loss", [siglip, in_batch_loss, functools.partial(in_batch_loss, both_directions=False)])
def test_what_keeps_the_contract_passes(loss, negatives: int) -> None:
    with jax.set_mesh(make_mesh(MeshShape(8))):
        try_loss(loss, groups=8, dim=8, negatives=negatives, has=("score", "weight"), teacher_dim=4)


def test_a_loss_has_a_name() -> None:
    assert loss_name(siglip) == "siglip"
    assert loss_name(functools.partial(in_batch_loss, both_directions=False)) == "in_batch_loss(both_directions=False)"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_mixture(tmp_path_factory.mktemp("data") / "words")


@pytest.mark.slow
def test_it_trains_through_the_whole_loop(data, tmp_path) -> None:
    """Checkpoints, metrics, held-out rows and the model at the end; stopped and gone on with, the bits are the same."""
    told: list[tuple[int, dict]] = []
    run = small_run(data, tmp_path / "whole", gradient_cache_chunks=2)
    assert train(prepare(run, loss=siglip), on_metrics=lambda *line: told.append(line)).finished
    lines = read_lines(tmp_path / "whole" / "metrics.jsonl")
    assert [(step, {"step": step, **line}) for step, line in told] == [(line["step"], line) for line in lines]
    held = [line["held_out"] for line in lines if "held_out" in line]
    assert len(held) == 3
    assert held[-1]["loss"] < held[0]["loss"]
    again = small_run(
        data, tmp_path / "again", gradient_cache_chunks=2, tokenizer=str(tmp_path / "whole" / "tokenizer")
    )
    assert train(prepare(again, loss=siglip), StopAfter(5)).step == 5
    with pytest.raises(ValueError, match="trained with siglip, this run has the configured loss; give another output"):
        train(prepare(again))
    assert train(prepare(again, loss=siglip)).finished
    losses = [
        [line["loss"] for line in read_lines(tmp_path / name / "metrics.jsonl") if "loss" in line]
        for name in ("whole", "again")
    ]
    assert losses[0] == losses[1]
    model = Instructor.from_pretrained(tmp_path / "whole" / MODEL)
    assert model.encode(["bal dem"], instruction="the plants: ").shape == (1, 8)
    assert "loss: `siglip`" in (tmp_path / "whole" / MODEL / "README.md").read_text()


def test_a_wrong_loss_ends_the_run_before_its_first_step(data, tmp_path) -> None:
    def scalar(pairs: LossInputs) -> jax.Array:
        return pairs.query.sum()

    with pytest.raises(ValueError, match="loss of shape"):
        prepare(small_run(data, tmp_path / "run"), loss=scalar)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def _compiled(config: TrainConfig, **options: object):
    step = functools.partial(train_step, config, loss=siglip)
    return jax.jit(step, compiler_options=FAST, **options)  # type: ignore[arg-type]


def _vectors(config: TrainConfig, params, batch: PairBatch) -> jax.Array:
    return embed_in_chunks(config.model, params, batch.texts)


def _params(config: TrainConfig):
    return init_params(config.model, 0)
