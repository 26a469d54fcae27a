"""Evaluation while training gives the scores of `evaluate`, for the weights it is given, under a mesh too."""

import csv
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

pytest.importorskip("mteb")

from instructor_jax.evaluation.embedders import JaxEmbedder
from instructor_jax.evaluation.in_training import TrainingEvaluation
from instructor_jax.evaluation.task_instructions import default_table
from instructor_jax.io.folders import read_folder, read_params
from instructor_jax.nn.model import param_shardings
from instructor_jax.sharding import MeshShape, make_mesh

pytestmark = pytest.mark.torch  # mteb brings torch

WORDS = ["river", "water", "food", "music", "world", "model", "question", "title"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """An STS benchmark of forty pairs whose score is the share of words that both sentences have."""
    folder = tmp_path_factory.mktemp("sets")
    (folder / "eval_stsbenchmark").mkdir()
    random = np.random.default_rng(0)
    with open(folder / "eval_stsbenchmark" / "stsb-en-test.csv", "w", newline="") as file:
        for _ in range(40):
            first, second = (random.choice(WORDS, 4, replace=False).tolist() for _ in range(2))
            csv.writer(file).writerow([" ".join(first), " ".join(second), 5 * len({*first} & {*second}) / 4])
    return folder


@pytest.mark.slow
def test_scores_are_those_of_the_weights_at_hand(tiny_folder, data) -> None:
    from scipy.stats import spearmanr

    folder = read_folder(tiny_folder)
    params = read_params(folder)
    evaluate = TrainingEvaluation(folder, data, ["STSBenchmark"], limit=40)
    with jax.set_mesh(make_mesh(MeshShape(data=8), jax.devices())):  # as in the training loop
        before = evaluate(params)
        other = evaluate(jax.tree.map(lambda array: array[..., ::-1] * 1.5, params))
        again = evaluate(params)
    mesh = make_mesh(MeshShape(data=2, fsdp=4), jax.devices())
    split = jax.device_put(params, param_shardings(folder.config, mesh))
    evaluate = TrainingEvaluation(folder, data, ["STSBenchmark"], limit=40)
    with jax.set_mesh(mesh):
        assert evaluate(split)["STSBenchmark"] == pytest.approx(before["STSBenchmark"], abs=0.5)  # as below
    assert evaluate._model is not None
    used = jax.tree.leaves(evaluate._model._ready()._params)
    assert all(mine is given for mine, given in zip(used, jax.tree.leaves(split), strict=True))  # no copy of them
    assert before == again
    assert before != other
    text = (data / "eval_stsbenchmark" / "stsb-en-test.csv").read_text()
    rows = list(csv.reader(text.splitlines()))
    instruction = default_table().of("STSBenchmark", "query")
    model = JaxEmbedder.load(str(tiny_folder))
    first, second = (model.encode([row[side] for row in rows], instruction) for side in (0, 1))
    correlation: Any = spearmanr((first * second).sum(axis=1), [float(row[2]) for row in rows])
    truth = 100 * correlation.statistic
    assert before["STSBenchmark"] == pytest.approx(truth, abs=0.5)  # rounding may swap two of forty near ranks


def test_what_cannot_be_evaluated_fails_before_training(tiny_folder, data, tmp_path) -> None:
    folder = read_folder(tiny_folder)
    with pytest.raises(ValueError, match="unknown task 'STSBenchmarks' in this benchmark; did you mean STSBenchmark"):
        TrainingEvaluation(folder, data, ["STSBenchmarks"], limit=10)
    with pytest.raises(ValueError, match=r"Banking77Classification cannot run: its folder .* is absent"):
        TrainingEvaluation(folder, data, ["Banking77Classification"], limit=10)
    with pytest.raises(ValueError, match="is not a folder"):
        TrainingEvaluation(folder, tmp_path / "no", ["STSBenchmark"], limit=10)
