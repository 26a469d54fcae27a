import dataclasses

import numpy as np
import pytest

from instructor_jax.commands.create import create
from instructor_jax.sharding import MeshShape
from instructor_jax.train.run.preparation import prepare
from instructor_jax.train.settings.mixture_config import MixtureConfig
from instructor_jax.train.settings.run_config import RunConfig
from instructor_jax.train.settings.sections import BatchConfig, HeldOutConfig

from ..small_runs import small_run, write_mixture


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_mixture(tmp_path_factory.mktemp("data") / "words")


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> RunConfig:
    run = small_run(data, tmp_path_factory.mktemp("run"))
    prepare(run)  # makes the vocabulary
    return dataclasses.replace(run, tokenizer=f"{run.output}/tokenizer")


@pytest.mark.slow
def test_held_out_rows_are_not_trained_on_and_keep_their_task_numbers(run) -> None:
    prepared = prepare(dataclasses.replace(run, mixture=MixtureConfig(only=("plants", "stones"))))
    assert prepared.config.tasks == ("plants", "stones")
    assert prepared.held_out is not None
    held = [prepared.held_out(step).batch for step in range(prepared.held_out_batches)]
    trained = [prepared.batches(step).batch for step in range(30)]

    def texts(batches, task: int) -> set[bytes]:
        return {x.tobytes() for b in batches for x in b.query_id[b.valid & (b.task == task)]}

    for task, rows in enumerate((30, 20)):
        assert len(texts(held, task)) == rows // 10
        assert len(texts(trained, task)) == rows - rows // 10
        assert not texts(held, task) & texts(trained, task)


def test_a_task_too_small_to_hold_out_rows_does_not_shift_the_others(tmp_path) -> None:
    """Ten rows are the fewest of which one is held out; tasks before that must keep their own numbers."""
    data = write_mixture(tmp_path / "small", rows=27)  # animals 27, plants 13, stones 9
    prepared = prepare(small_run(data, tmp_path / "run", mixture=MixtureConfig(without=("animals",))))
    assert prepared.config.tasks == ("plants", "stones")
    assert prepared.held_out is not None
    batch = prepared.held_out(0).batch
    assert set(batch.task[batch.valid].tolist()) == {0}


def test_without_instructions_the_same_rows_have_fewer_tokens(run) -> None:
    bare = prepare(dataclasses.replace(run, mixture=MixtureConfig(instructions=False)))
    full = prepare(run)
    assert bare.fingerprint == full.fingerprint
    tokens = [one.batches.cache.rows.lengths.sum() for one in (bare, full)]
    assert tokens[0] < tokens[1]
    assert not bare.batches.cache.array("unpooled").any()
    assert full.batches.cache.array("unpooled").all()


@pytest.mark.slow
def test_starting_from_a_folder_takes_its_shape_and_tokenizer(data, tmp_path) -> None:
    create(tmp_path / "model")
    prepared = prepare(
        small_run(data, tmp_path / "run", init_from=str(tmp_path / "model"), max_length=40, mesh=MeshShape(8))
    )
    assert prepared.config.model.encoder.embed == 64
    assert prepared.config.model.max_length == 40
    assert prepared.config.group.length == 64  # the batch's own
    assert not (tmp_path / "run" / "tokenizer").exists()


def test_nothing_is_held_out_where_none_is_wanted(run) -> None:
    prepared = prepare(dataclasses.replace(run, held_out=HeldOutConfig(rows=0)))
    assert prepared.held_out is None
    assert sum(task.rows for task in prepared.batches.plan.tasks) == 60 + 30 + 20


def test_a_plan_of_fixed_batches(run) -> None:
    """The original's: so many successive rows of one task a step."""
    fixed = dataclasses.replace(
        run,
        batch=BatchConfig(groups=8, rows=12, length=64),
        mixture=MixtureConfig(rows_per_group=4, shuffle=False),
        held_out=HeldOutConfig(rows=0),
    )
    batch = prepare(fixed).batches(0).batch
    assert batch.valid.sum(axis=1).tolist() == [4] * 8
    assert np.isin(batch.task, [0, 1, 2]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": ""}, "set data=FOLDER"),
        ({"mixture": MixtureConfig(only=("nothing",))}, "no task is called 'nothing'; there are animals, plants"),
        ({"batch": BatchConfig(groups=6, rows=8)}, "groups=6 must be a multiple of 8"),
        ({"batch": BatchConfig(groups=8, rows=8, length=16)}, "length=16 must be at least model.max_length=32"),
        ({"batch": BatchConfig(groups=8, rows=2)}, "rows=2 must be at least 3"),
        ({"gradient_cache_chunks": 3}, r"gradient_cache_chunks=3 must divide batch\.rows=8"),
        ({"mesh": MeshShape(3)}, "does not fit 8 devices"),
    ],
)
def test_impossible_settings_are_refused_before_anything_is_allocated(run, changes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepare(dataclasses.replace(run, **changes))


def test_a_tokenizer_that_knows_more_than_the_model_is_refused(run) -> None:
    few = dataclasses.replace(run.model, encoder=dataclasses.replace(run.model.encoder, vocab=8))
    with pytest.raises(ValueError, match=r"model\.encoder\.vocab=8 must be at least"):
        prepare(dataclasses.replace(run, model=few))


def test_no_mixture_is_a_clear_error(run, tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="make one with 'instructor-jax medi build'"):
        prepare(dataclasses.replace(run, data=str(tmp_path)))
