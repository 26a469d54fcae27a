"""One of several processes is killed: the others stop soon and say so, and the run goes on as if nothing had been.

INSTRUCTOR_JAX_FAULTS sets how many moments are tried, half of them with two processes, half with four.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from instructor_jax.train.run.config_check import config_differences

from ..programs import finish, losses, start, start_several, stopped_after, wait_for_step
from ..small_runs import write_mixture

STEPS = ("steps=120", "checkpoints.every=20")
MOMENTS = int(os.environ.get("INSTRUCTOR_JAX_FAULTS", "1"))
STOPPED_AFTER = 60.0  # seconds; the heartbeat takes half of that where no connection breaks


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_mixture(tmp_path_factory.mktemp("data") / "words")


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> dict[int, Path]:
    """Runs that nobody disturbed, by their number of processes."""
    place = tmp_path_factory.mktemp("whole")
    finish(start(data, place / "tokens", ["steps=6"]))
    outputs = {}
    for processes in sorted({count for count, _, _ in moments()}):
        outputs[processes] = place / str(processes)
        settings = [*STEPS, f"tokenizer={place / 'tokens' / 'tokenizer'}"]
        finish(*start_several(data, outputs[processes], settings, processes, devices=1))
    return outputs


def moments() -> list[tuple[int, int, int]]:
    """(processes, which is killed, after which step): any process, the first too, which all others are connected to."""
    chance = random.Random(0)
    counts = [(2, 4)[index % 2] for index in range(MOMENTS)]
    return [(count, chance.randrange(count), chance.randrange(0, 110)) for count in counts]


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "victim", "step"), moments())
def test_the_others_stop_and_the_run_goes_on(data, whole, tmp_path, processes: int, victim: int, step: int) -> None:
    output = tmp_path / "run"
    settings = [*STEPS, f"tokenizer={whole[processes].with_name('tokens') / 'tokenizer'}"]
    programs = start_several(data, output, settings, processes, devices=1)
    wait_for_step(output, step, programs)
    programs.pop(victim).send_signal(signal.SIGKILL)
    taken = stopped_after(time.monotonic(), programs, STOPPED_AFTER)
    print(f"{processes} processes, {victim} killed after step {step}: stopped in {taken:.1f} s")
    finish(*start_several(data, output, settings, processes, devices=1))
    assert losses(output) == losses(whole[processes])
    weights = [(folder / "model" / "model.safetensors").read_bytes() for folder in (output, whole[processes])]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_a_process_with_other_settings_is_refused_before_the_first_step(data, tmp_path) -> None:
    (mine, other) = start_several(data, tmp_path / "run", ["steps=20"], 2, devices=1, own={1: ["seed=7"]})
    for program in (mine, other):
        printed = program.communicate(timeout=300)[0]
        assert program.returncode == 1, printed
        assert "the processes of this run differ: seed is 0 in process 0 and 7 in 1" in printed
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


@pytest.mark.slow
def test_processes_that_see_different_folders_are_refused_before_the_first_step(data, tmp_path) -> None:
    """One path, two disks: as on hosts without a common file system, whose checkpoints would never be whole."""
    hosts = [tmp_path / name for name in ("first", "second")]
    for host in hosts:
        host.mkdir()
    for program in start_several(data, "run", ["steps=6"], processes=2, devices=1, folders=hosts):
        assert "output=run is not one folder for all processes: process 1 does not see" in program.communicate()[0]
        assert program.returncode == 1
    assert not (hosts[0] / "run" / "metrics.jsonl").exists()
    assert not [path for path in (hosts[0] / "run").iterdir() if path.name.startswith(".seen")]


def test_every_difference_is_named_once() -> None:
    first = {"seed": 0, "data": "a", "jax": "0.10.0"}
    assert config_differences([first, dict(first)]) == []
    found = config_differences([first, {**first, "seed": 1}, {"seed": 2, "data": "a"}])
    assert found == ["seed is 0 in process 0 and 1 in 1", "jax is '0.10.0' in process 0 and None in 2"]
