"""Whole runs with a teacher: a tiny one with random weights, on the mixture of three small tasks."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.io.weights.tensor_files import read_tensors
from instructor_jax.sharding import MeshShape, make_mesh
from instructor_jax.train.distill.setup import START
from instructor_jax.train.distillation import DistillConfig
from instructor_jax.train.optimizer import OptimizerConfig
from instructor_jax.train.run.loop import MODEL, train
from instructor_jax.train.run.metrics_file import read_lines
from instructor_jax.train.run.preparation import prepare
from instructor_jax.train.settings.mixture_config import MixtureConfig
from instructor_jax.train.settings.run_config import RunConfig

from ..small_runs import WORDS, StopAfter, small_run, write_mixture
from ..tiny_teacher import write_teacher

pytestmark = [pytest.mark.torch, pytest.mark.slow]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    pytest.importorskip("sentence_transformers")
    place = tmp_path_factory.mktemp("teaching")
    write_mixture(place / "words")
    write_teacher(place / "teacher")
    return place


def taught(place: Path, output: Path, distill: dict, **changes: object) -> RunConfig:
    run = small_run(
        place / "words",
        output,
        **{
            "dropout": False,
            "optimizer": OptimizerConfig(learning_rate=3e-3, warmup_steps=1, schedule_steps=0),
            **changes,
        },
    )
    return dataclasses.replace(run, distill=DistillConfig(teacher=str(place / "teacher"), **distill))


@pytest.fixture(scope="module")
def whole(place) -> Path:
    """Four steps of distillation of bare texts, then both losses."""
    output = place / "whole"
    run = taught(place, output, {"distill_only": 0.5, "static_init": True}, export="float16")
    assert train(prepare(run)).finished
    return output


def test_the_run_nears_its_teacher_and_says_so(whole) -> None:
    lines = read_lines(whole / "metrics.jsonl")
    steps = [line for line in lines if "loss" in line]
    held = [line["held_out"] for line in lines if "held_out" in line]
    assert len(steps) == 8
    assert held[-1]["agreement"] > held[0]["agreement"]
    assert all(-1 <= line["agreement"] <= 1 for line in steps)
    assert steps[0]["tokens"] / steps[0]["texts"] < 0.8 * steps[-1]["tokens"] / steps[-1]["texts"]  # bare texts first


def test_the_start_is_a_model_that_agrees_with_the_teacher(whole, place) -> None:
    from sentence_transformers import SentenceTransformer

    random = np.random.default_rng(0)
    given = [" ".join(random.choice(WORDS, 5)) for _ in range(30)]
    model = Instructor.from_pretrained(whole / START, devices=jax.devices()[:1], tokens_per_call=512)
    cosines = np.sum(model.encode(given) * SentenceTransformer(str(place / "teacher")).encode(given), axis=1)
    assert cosines.mean() > 0.6  # of random vectors of 8 dimensions: 0 +- 0.35 / sqrt(30)


def test_stopped_within_either_stage_the_losses_are_the_same_bits(whole, place, tmp_path) -> None:
    for at in (2, 6):
        settings = {"distill_only": 0.5, "static_init": True}
        run = taught(place, tmp_path / f"run{at}", settings, export="float16")
        assert not train(prepare(run), StopAfter(at)).finished
        assert train(prepare(run)).finished
        again, expected = (
            [line["loss"] for line in read_lines(folder / "metrics.jsonl") if "loss" in line]
            for folder in (tmp_path / f"run{at}", whole)
        )
        assert again == expected


def test_the_float16_model_opens_in_sentence_transformers(whole) -> None:
    from sentence_transformers import SentenceTransformer

    given = ["bal dem", "rar mon fin"]
    ours = Instructor.from_pretrained(whole / MODEL, devices=jax.devices()[:1], tokens_per_call=512)
    theirs = SentenceTransformer(str(whole / MODEL))
    vectors = theirs.encode(given, prompt="the plants: ")
    assert vectors.dtype == np.float32
    # the same float16 weights, both computed with in float32
    np.testing.assert_allclose(vectors, ours.encode(given, instruction="the plants: "), atol=2e-6)
    assert {array.dtype for array in read_tensors(whole / MODEL).values()} == {np.dtype(np.float16)}


def test_the_model_has_a_card(whole) -> None:
    card = (whole / MODEL / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: sentence-transformers\n")
    for said in ("stored as float16", "teacher teacher: the whole loss in 50% of the steps", "prompt='the animals: '",
                 "| animals | 56 |", "in-batch accuracy", "distill.distill_only = 0.5",
                 "were not compared with"):  # fmt: skip
        assert said in card, said
    assert str(whole.parent) not in card  # no places on this machine


def test_a_smaller_student_learns_in_principal_axes(place, tmp_path) -> None:
    run = taught(place, tmp_path / "run", {"weight": 1.0})
    small = dataclasses.replace(run, model=dataclasses.replace(run.model, projection=4))
    batch = prepare(small).batches(0).batch
    assert batch.teacher is not None
    assert batch.teacher.shape[-1] == 4
    axes = np.load(tmp_path / "run" / "teacher_axes.npy")
    assert axes.shape == (8, 4)
    with pytest.raises(ValueError, match=r"have 8 dimensions, the student's 16; set model\.projection=8"):
        prepare(dataclasses.replace(run, model=dataclasses.replace(run.model, projection=16)))
    similar = dataclasses.replace(run.distill, vectors=0.0)
    wide = dataclasses.replace(run, distill=similar, model=dataclasses.replace(run.model, projection=16))
    batch = prepare(wide).batches(0).batch
    assert batch.teacher is not None
    assert batch.teacher.shape[-1] == 8


def test_batches_carry_the_vectors_of_their_texts(place, tmp_path) -> None:
    """Slot by slot: the teacher's vector of the text that the slot's hash names."""
    from instructor_jax.train.data.token_cache_writer import text_hash
    from instructor_jax.train.distill.teacher import Teacher
    from instructor_jax.train.medi.storage.store import MediStore

    prepared = prepare(taught(place, tmp_path / "run", {}, mixture=MixtureConfig(only=("plants",))))
    store = MediStore(place / "words")
    sides = {side for example in store.read(store.rows("plants")) for side in (example.query, example.positive)}
    known = {text_hash(side): side.text.strip() for side in sides}
    teacher = Teacher(place / "teacher", 128)
    batch = prepared.batches(3).batch
    assert batch.teacher is not None
    n = batch.valid.shape[1]
    for group, row in np.argwhere(batch.valid)[:12]:
        for slot, hashes in ((row, batch.query_id), (n + row, batch.positive_id)):
            expected = teacher([known[tuple(hashes[group, row].tolist())]])[0]
            np.testing.assert_allclose(batch.teacher[group, slot], expected, atol=2e-3)  # float16
    assert not batch.teacher[batch.texts.slots < 0].any()


def test_a_dry_run_does_not_ask_the_teacher(place, tmp_path) -> None:
    run = taught(place, tmp_path / "run", {"static_init": True})
    nobody = dataclasses.replace(run, distill=dataclasses.replace(run.distill, teacher="package:nobody"))
    prepared = prepare(nobody, make_mesh(MeshShape(8)), with_teacher=False)
    assert prepared.batches(0).batch.teacher is None
    with pytest.raises(ValueError, match="pip install nobody"):
        prepare(nobody)


def test_evaluation_texts_are_not_trained_on(place, tmp_path) -> None:
    from instructor_jax.train.medi.storage.store import MediStore

    store = MediStore(place / "words")
    (known,) = store.read([store.rows("stones")[0]])
    run = small_run(place / "words", tmp_path / "run", mixture=MixtureConfig(avoid=("texts",)))
    with pytest.raises(ValueError, match=r"mixture\.avoid=.*give the texts"):
        prepare(run)
    prepared = prepare(run, avoid=[("some set", known.query.text)])
    assert prepared.avoided is not None
    assert sum(prepared.avoided.rows.values()) <= 1  # held out or trained on
    assert prepared.avoided.sets["some set"] == (1, 1)
    assert prepared.fingerprint.startswith(store.fingerprint + "-")
    assert json.dumps(prepared.avoided.sets)
