"""`train`: whole runs by one call, with rows from memory."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from huggingface_hub import ModelCard

import instructor_jax.train
from instructor_jax import Instructor
from instructor_jax.train import Recipe, RunConfig, from_memory, recipes, train
from instructor_jax.train.run.metrics_file import read_lines

from .small_runs import WORDS, StopAfter, small_run


def rows(count: int, seed: int = 0) -> list[dict]:
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        words = chance.choice(WORDS, 5, replace=False).tolist()
        found.append({"query": " ".join(words), "positive": " ".join(words[::-1]), "negatives": [" ".join(words[1:])]})
    return found


def losses(output) -> list[float]:
    return [line["loss"] for line in read_lines(output / "metrics.jsonl") if "loss" in line]


@pytest.mark.slow
def test_rows_from_memory_train_as_those_of_a_mixture_do(tmp_path) -> None:
    """On eight devices, with held-out rows and a model at the end; other rows do not go on with the run."""
    run = dataclasses.replace(small_run(tmp_path, tmp_path / "run"), data="")
    examples = from_memory(rows(80), query_instruction="the animals: ")
    assert train(run, examples=examples, stop=StopAfter(5)).step == 5
    with pytest.raises(ValueError, match="was trained on a mixture with fingerprint memory-.*, this one has memory-"):
        train(run, examples=from_memory(rows(80, seed=1), query_instruction="the animals: "))
    outcome = train(run, examples=examples)
    assert outcome.finished
    whole = dataclasses.replace(run, output=str(tmp_path / "whole"), tokenizer=str(tmp_path / "run" / "tokenizer"))
    assert train(whole, examples=examples).finished
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")
    held = [line["held_out"] for line in read_lines(tmp_path / "run" / "metrics.jsonl") if "held_out" in line]
    assert set(held[0]["tasks"]) == {"examples"}
    model = Instructor.from_pretrained(outcome.model)
    assert model.encode("bal dem", instruction="the animals: ").shape == (8,)
    assert ModelCard.load(outcome.model / "README.md").data.to_dict()["library_name"] == "sentence-transformers"
    card = (outcome.model / "README.md").read_text()
    assert "76 rows of 1 tasks; mixture memory-" in card
    assert "instruction='the animals: '" in card


def test_what_cannot_be_trained_is_told_before_any_work(tmp_path) -> None:
    run = small_run(tmp_path, tmp_path / "run")
    with pytest.raises(ValueError, match="data=.* and examples are given; drop one"):
        train(run, examples=rows(3))
    with pytest.raises(ValueError, match="set output=FOLDER"):
        train(dataclasses.replace(run, data="", output=""), examples=rows(3))
    with pytest.raises(ValueError, match=r"batch\.groups=6 must be a multiple of 8"):
        train(
            dataclasses.replace(run, data="", batch=dataclasses.replace(run.batch, groups=6)),
            examples=rows(3),
        )
    assert not (tmp_path / "run").exists()


def test_the_front_door_costs_nothing_until_it_is_used() -> None:
    program = "import sys, instructor_jax.train; print(*{'jax', 'numpy', 'grain', 'optax'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"


def test_the_front_door_names_what_there_is() -> None:
    assert recipes.tiny() == Recipe(RunConfig(**vars(recipes.tiny()))).config
    for name in instructor_jax.train.__all__:
        assert getattr(instructor_jax.train, name) is not None
    assert set(dir(instructor_jax.train)) == set(instructor_jax.train.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        instructor_jax.train.trian  # noqa: B018
