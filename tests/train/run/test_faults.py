"""Runs that are stopped and killed at random moments: started again, they give the same losses, bit for bit.

INSTRUCTOR_JAX_FAULTS sets how many moments are tried.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from ..programs import finish, losses, start
from ..small_runs import write_mixture

STEPS = ("steps=220", "checkpoints.every=20")
MOMENTS = int(os.environ.get("INSTRUCTOR_JAX_FAULTS", "2"))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_mixture(tmp_path_factory.mktemp("data") / "words")


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> tuple[Path, float]:
    """A run that nobody disturbed, and the seconds that it took when its tokens were there already."""
    output = tmp_path_factory.mktemp("whole") / "run"
    cache = output.with_name("programs")
    finish(start(data, output, ["steps=6"], cache=cache))
    tokenizer = [f"tokenizer={output / 'tokenizer'}"]
    began = time.monotonic()
    finish(start(data, output.with_name("again"), [*STEPS, *tokenizer], cache=cache))
    assert [step for step, _ in losses(output.with_name("again"))] == list(range(1, 221))
    return output.with_name("again"), time.monotonic() - began


def moments() -> list[tuple[str, float]]:
    """Signals in turn, at shares of the whole run's time that cover start, compilation, steps and saving."""
    chance = random.Random(0)
    return [(("SIGTERM", "SIGKILL")[index % 2], (index + chance.random()) / MOMENTS * 0.95) for index in range(MOMENTS)]


@pytest.mark.parametrize(("name", "share"), moments())
def test_started_again_it_is_as_if_nothing_had_been(data, whole, tmp_path, name: str, share: float) -> None:
    reference, seconds = whole
    output = tmp_path / "run"
    settings = [*STEPS, f"tokenizer={reference.with_name('run') / 'tokenizer'}"]
    # every fourth one compiles for itself, and may be stopped while it does
    cache = tmp_path / "programs" if int(share * MOMENTS) % 4 == 0 else reference.with_name("programs")
    program = start(data, output, settings, cache=cache)
    time.sleep(share * seconds)
    program.send_signal(signal.Signals[name])
    printed = program.communicate(timeout=900)[0]
    if name == "SIGTERM":
        early = share * seconds < 2.0  # before the program could ask for the signal it simply ends
        # 75: stopped and not finished
        assert program.returncode in (0, 75) or (early and program.returncode == -signal.SIGTERM), printed
        if program.returncode >= 0:
            assert ("220 steps" if program.returncode == 0 else "the same command") in printed
    finish(start(data, output, settings, cache=cache))
    assert losses(output) == losses(reference)
    weights = [(folder / "model" / "model.safetensors").read_bytes() for folder in (output, reference)]
    assert weights[0] == weights[1]
