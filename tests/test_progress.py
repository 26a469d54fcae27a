"""Progress where standard error is no terminal: whole lines with rate and time left, and none for what is short."""

import io
import sys

import pytest

from instructor_jax import progress as module
from instructor_jax.progress import EVERY, FIRST, progress


class Clock:
    """A clock that the test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_a_line_comes_now_and_then_with_rate_and_time_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("training", 100, "step") as bar:
        for _ in range(80):
            clock.now += 1
            bar.set_postfix_str(f"loss {bar.n}")
            bar.update()
    # 5 steps in the first 5 s, then 30 more in the next 30, and so on: one step a second throughout
    assert capsys.readouterr().err.splitlines() == [
        "training:   5% 5/100 [00:05<01:35,  1.00step/s, loss 4]",
        "training:  35% 35/100 [00:35<01:05,  1.00step/s, loss 34]",
        "training:  65% 65/100 [01:05<00:35,  1.00step/s, loss 64]",
        "training:  80% 80/100 [01:20<00:20,  1.00step/s, loss 79]",
    ]


def test_the_rate_is_that_since_the_line_before(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """The first step compiles; the time left is told from the speed of now."""
    with progress("training", 1000, "step") as bar:
        clock.now += 300
        bar.update()
        for _ in range(61):
            clock.now += 0.5
            bar.update()
    first, second, last = capsys.readouterr().err.splitlines()
    assert "300.00s/step" in first
    assert "<07:49,  2.00step/s" in second  # 939 steps at two a second
    assert "62/1000" in last
    assert "5.33s/step" in last  # 62 steps in 330.5 s: the whole


def test_what_was_done_before_counts_for_no_rate(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("training", 100, "step", initial=90) as bar:
        clock.now += FIRST
        bar.update(5)
    assert capsys.readouterr().err == "training:  95% 95/100 [00:05<00:05,  1.00step/s]\n"
    with progress("encode", None, "row") as bar:
        bar.initial += 20
        bar.update(20)
        clock.now += EVERY
        bar.update(30)
    assert capsys.readouterr().err.splitlines() == ["encode: 50row [00:30,  1.00row/s]"]


@pytest.mark.parametrize("shown", [True, False])
def test_what_is_short_or_another_processs_says_nothing(
    clock: Clock, capsys: pytest.CaptureFixture[str], shown: bool
) -> None:
    with progress("writing", 2, "row", shown=shown) as bar:
        clock.now += FIRST - 0.1 if shown else 1000
        bar.update(2)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_it_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("fetch", 2_000_000, "B") as bar:
        bar.update(1_000_000)
    shown = terminal.getvalue()
    assert "\r" in shown
    assert "1.00M/2.00M" in shown


def test_without_standard_error_nothing_is_told(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with progress("training", 2, "step") as bar:
        clock.now += 100
        bar.update(2)
    assert bar.n == 2
