import dataclasses

import jax
import numpy as np
import pytest

from instructor_jax.nn.model import init_params
from instructor_jax.sharding import MeshShape, make_mesh
from instructor_jax.train.optimizer import OptimizerConfig
from instructor_jax.train.run.checkpoints import Checkpoints
from instructor_jax.train.settings.sections import CheckpointConfig
from instructor_jax.train.step import TrainState, abstract_state, new_state, state_shardings

from ..random_batches import tiny_config


@pytest.fixture
def checkpoints(tmp_path):
    opened = []

    def make(**changes: int) -> Checkpoints:
        opened.append(Checkpoints(tmp_path / "checkpoints", CheckpointConfig(**changes)))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def state_at(step: int) -> TrainState:
    """A state whose every number tells its step."""
    config = tiny_config()
    state = abstract_state(config)
    return jax.tree.map(lambda x: jax.device_put(np.full(x.shape, step, x.dtype)), state)


def equal(one: TrainState, other: TrainState) -> bool:
    return all(jax.tree.leaves(jax.tree.map(lambda x, y: bool((np.asarray(x) == np.asarray(y)).all()), one, other)))


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [OptimizerConfig(), OptimizerConfig("adafactor", clip_norm=None)])
def test_a_state_comes_back_on_another_mesh_bit_for_bit(checkpoints, optimizer: OptimizerConfig) -> None:
    config = tiny_config(optimizer=optimizer)
    state = dataclasses.replace(new_state(config, init_params(config.model, seed=0)), step=np.int32(3))
    saved = make_mesh(MeshShape(data=2, fsdp=4))
    one = checkpoints()
    one.save(jax.device_put(state, state_shardings(config, saved)), {"note": "x"})
    one.wait()
    mesh = make_mesh(MeshShape(data=1, fsdp=2, tensor=2), jax.devices()[:4])
    shardings = state_shardings(config, mesh)
    found = checkpoints().restore(3, abstract_state(config), shardings)
    assert equal(found, state)
    assert all(jax.tree.leaves(jax.tree.map(lambda x, place: x.sharding == place, found, shardings)))
    about = checkpoints().about(3)
    assert about["note"] == "x"
    assert about["step"] == 3
    assert about["versions"]["jax"] == jax.__version__


def test_keeps_the_latest_and_the_best(checkpoints) -> None:
    one = checkpoints(keep=2)
    for step, accuracy in ((1, 0.5), (2, 0.9), (3, None), (4, 0.7), (5, None), (6, 0.8)):
        one.save(state_at(step), {}, accuracy)
    one.wait()
    again = checkpoints(keep=2)
    assert again.latest == 6
    assert again.best == 2
    assert sorted(again._manager.all_steps(read=True)) == [2, 5, 6]


def test_nothing_is_there_at_first(checkpoints) -> None:
    assert checkpoints().latest is None
    assert checkpoints().best is None


def test_what_is_half_written_is_not_seen(checkpoints, tmp_path) -> None:
    one = checkpoints()
    one.save(state_at(2), {})
    one.wait()
    # what a kill leaves: Orbax writes under a name of its own and renames at the end
    half = tmp_path / "checkpoints" / "4.orbax-checkpoint-tmp-0"
    half.mkdir()
    (half / "state").mkdir()
    assert checkpoints().latest == 2


def test_an_error_in_the_background_comes_to_light(checkpoints, monkeypatch) -> None:
    one = checkpoints()
    monkeypatch.setattr(one._manager, "check_for_errors", lambda: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        one.save(state_at(1), {})


@pytest.mark.slow
def test_a_saved_state_may_be_given_away_at_once(checkpoints) -> None:
    """The next step overwrites the arrays while they are still being written."""
    config = tiny_config()
    mesh = make_mesh(config.mesh)
    shardings = state_shardings(config, mesh)
    one = checkpoints()
    with jax.set_mesh(mesh):
        state = jax.device_put(dataclasses.replace(state_at(0), step=np.int32(1)), shardings)
        expected = jax.device_get(state)
        overwrite = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), out_shardings=shardings, donate_argnums=0)
        one.save(state, {})
        for _ in range(3):
            state = overwrite(state)
        one.wait()
    assert equal(one.restore(1, abstract_state(config), shardings), expected)
