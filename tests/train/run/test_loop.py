"""Whole runs on a mixture of three small tasks: going on, being stopped, refusing, ending with a model."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.sharding import MeshShape, make_mesh
from instructor_jax.train.optimizer import OptimizerConfig
from instructor_jax.train.run.export import CARD
from instructor_jax.train.run.loop import CHECKPOINTS, MODEL, train
from instructor_jax.train.run.metrics_file import read_lines
from instructor_jax.train.run.metrics_logger import NonFiniteLoss
from instructor_jax.train.run.preemption import StopRequest
from instructor_jax.train.run.preparation import prepare
from instructor_jax.train.settings.run_config import RunConfig
from instructor_jax.train.settings.sections import CheckpointConfig, EvaluationConfig, HeldOutConfig

from ..small_runs import StopAfter, small_run, write_mixture


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_mixture(tmp_path_factory.mktemp("data") / "words")


def losses(output: Path) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in read_lines(output / "metrics.jsonl") if "loss" in line}


def go(run: RunConfig, stop: StopRequest | None = None, devices: int = 8):
    return train(prepare(run, make_mesh(run.mesh, jax.devices()[:devices])), stop)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Path:
    """A run that nobody interrupted."""
    output = tmp_path_factory.mktemp("whole") / "run"
    outcome = go(small_run(data, output))
    assert outcome.finished
    assert outcome.step == 8
    return output


@pytest.mark.slow
def test_every_step_is_told_once(whole) -> None:
    lines = read_lines(whole / "metrics.jsonl")
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 9))
    assert [line["step"] for line in lines if "held_out" in line] == [0, 4, 8]
    for line in lines:
        if "loss" in line:
            assert 0 <= line["padding"] < 0.5
            assert line["tokens_per_second"] > 0
            assert sum(task["rows"] for task in line["tasks"].values()) == line["examples"]
    assert set(lines[0]["held_out"]["tasks"]) == {"animals", "plants", "stones"}


@pytest.mark.slow
def test_an_evaluation_gets_all_weights_when_it_is_due(data, whole, tmp_path) -> None:
    seen: list[float] = []

    def evaluate(params) -> dict[str, float]:
        leaves = jax.tree.leaves(params)
        assert all(isinstance(leaf, jax.Array) and len(leaf.sharding.device_set) == 8 for leaf in leaves)  # as they lie
        seen.append(float(sum(np.abs(np.asarray(leaf)).sum() for leaf in leaves)))
        return {"size": seen[-1]}

    settings = EvaluationConfig(data=str(tmp_path), tasks=("any",), every=3)
    run = dataclasses.replace(small_run(data, tmp_path / "run"), evaluation=settings)
    train(prepare(run, make_mesh(run.mesh, jax.devices())), evaluate=evaluate)
    lines = [line for line in read_lines(tmp_path / "run" / "metrics.jsonl") if "evaluation" in line]
    assert [line["step"] for line in lines] == [0, 3, 6, 8]
    assert [line["evaluation"]["size"] for line in lines] == seen
    assert len(set(seen)) == 4
    assert losses(tmp_path / "run") == losses(whole)  # looking does not change the run


@pytest.mark.slow
def test_the_model_is_a_folder_that_opens(whole) -> None:
    model = Instructor.from_pretrained(whole / MODEL)
    vectors = model.encode(["bal dem", "rar mon"], instruction="the plants: ")
    assert vectors.shape == (2, 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 4, 6])
def test_stopped_and_started_again_the_losses_are_the_same_bits(data, whole, tmp_path, at: int) -> None:
    run = small_run(data, tmp_path / "run", tokenizer=str(whole / "tokenizer"))
    stopped = go(run, StopAfter(at))
    assert (stopped.finished, stopped.step) == (False, at)
    assert not (tmp_path / "run" / MODEL).exists()
    assert go(run).finished
    again, expected = losses(tmp_path / "run"), losses(whole)
    assert again == expected
    weights = [(folder / MODEL / "model.safetensors").read_bytes() for folder in (tmp_path / "run", whole)]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_on_fewer_devices_the_same_batches_go_on(data, whole, tmp_path) -> None:
    run = small_run(data, tmp_path / "run", tokenizer=str(whole / "tokenizer"))
    go(run, StopAfter(4))
    assert go(dataclasses.replace(run, mesh=MeshShape(data=2, fsdp=2)), devices=4).finished
    again, expected = (read_lines(folder / "metrics.jsonl") for folder in (tmp_path / "run", whole))
    rows = [
        [(line["step"], line["tasks"].keys(), line["tokens"]) for line in ls if "loss" in line]
        for ls in (again, expected)
    ]
    assert rows[0] == rows[1]
    # another order of the same sums, amplified by Adam over four steps at 1e-3
    np.testing.assert_allclose(list(losses(tmp_path / "run").values()), list(losses(whole).values()), rtol=1e-4)


@pytest.mark.slow
def test_a_finished_run_stays_as_it_is(data, whole) -> None:
    before = {path: path.read_bytes() for path in (whole / MODEL).rglob("*") if path.is_file()}
    lines = (whole / "metrics.jsonl").read_text()
    assert go(small_run(data, whole)).finished
    assert {path: path.read_bytes() for path in (whole / MODEL).rglob("*") if path.is_file()} == before
    assert (whole / "metrics.jsonl").read_text() == lines


@pytest.mark.slow
def test_other_settings_are_refused_by_name(data, whole, tmp_path) -> None:
    run = small_run(data, whole)
    with pytest.raises(ValueError, match=r"other settings: seed was 42 and is 7\. Give another output"):
        go(dataclasses.replace(run, seed=7))
    other = write_mixture(tmp_path / "other", seed=1)
    with pytest.raises(ValueError, match=r"was trained on a mixture with fingerprint"):
        go(dataclasses.replace(run, data=str(other)))


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_the_run_and_is_not_saved(data, tmp_path) -> None:
    wild = OptimizerConfig(learning_rate=1e30, warmup_steps=1, schedule="constant", clip_norm=None)
    run = small_run(data, tmp_path / "run", optimizer=wild, checkpoints=CheckpointConfig(every=1))
    with pytest.raises(NonFiniteLoss, match=r"the loss of step \d+ is nan"):
        go(run)
    kept = [int(path.name) for path in (tmp_path / "run" / CHECKPOINTS).iterdir() if path.name.isdigit()]
    lines = read_lines(tmp_path / "run" / "metrics.jsonl")
    assert max(kept, default=0) <= max(line["step"] for line in lines if "loss" in line)
    assert all(np.isfinite(line["loss"]) for line in lines if "loss" in line)


@pytest.mark.slow
def test_training_goes_on_from_a_model_folder(data, whole, tmp_path) -> None:
    run = small_run(data, tmp_path / "run", init_from=str(whole / MODEL), steps=3, export_length=48)
    go(dataclasses.replace(run, held_out=HeldOutConfig(rows=4, every=100)))
    before, after = (
        next(
            line["held_out"]
            for line in read_lines(folder / "metrics.jsonl")
            if line.get("step") == step and "held_out" in line
        )
        for folder, step in ((whole, 8), (tmp_path / "run", 0))
    )
    assert before == after
    lengths = (
        json.loads((folder / MODEL / "sentence_bert_config.json").read_text())["max_seq_length"]
        for folder in (whole, tmp_path / "run")
    )
    assert tuple(lengths) == (32, 48)  # as many as in training, and as many as was asked for
    assert (
        "up to 48 tokens with their instruction (trained on up to 32)" in (tmp_path / "run" / MODEL / CARD).read_text()
    )


@pytest.mark.slow
def test_it_learns(data, tmp_path) -> None:
    """Positives share all words with their queries, so held-out rows of a small vocabulary are soon told apart."""
    run = small_run(
        data,
        tmp_path / "run",
        steps=60,
        optimizer=OptimizerConfig(learning_rate=1e-2, warmup_steps=5, schedule_steps=0),
        held_out=HeldOutConfig(rows=6, every=60),
        checkpoints=CheckpointConfig(every=60),
    )
    go(run)
    first, last = (line["held_out"] for line in read_lines(tmp_path / "run" / "metrics.jsonl") if "held_out" in line)
    assert last["loss"] < 0.7 * first["loss"]
