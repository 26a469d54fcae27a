"""What is told while a run goes, each part alone."""

import logging
import time

import jax
import jax.numpy as jnp
import pytest

from instructor_jax.sharding import make_mesh
from instructor_jax.train.compiled_step import compiled_step
from instructor_jax.train.run.report import report
from instructor_jax.train.settings.sections import CompilerConfig, ProfileConfig
from instructor_jax.train.watch.goodput import PARTS, Goodput, lost_seconds, totals
from instructor_jax.train.watch.hang import HangWatch
from instructor_jax.train.watch.save_interval import SaveInterval
from instructor_jax.train.watch.slow_steps import StepTimes
from instructor_jax.train.watch.trace import TraceWindow

from ..random_batches import tiny_config


def test_the_parts_of_the_time_add_up() -> None:
    began = time.perf_counter()
    goodput = Goodput(began, lost=2.0)
    with goodput.of("steps"):
        jax.jit(lambda x: jnp.sin(x) + time.time() % 1000)(1.0)  # a constant of its own: compiled anew
        time.sleep(0.05)
    with goodput.of("saving"):
        time.sleep(0.02)
    line = goodput.line()
    whole = time.perf_counter() - began
    assert set(line) == set(PARTS)
    assert line["steps"] >= 0.049
    assert line["saving"] >= 0.019
    assert line["compilation"] > 0
    assert line["lost"] == 2.0
    # each part is rounded to a millisecond, and the clock is read a little later than by `line`
    assert sum(line.values()) - 2.0 == pytest.approx(whole, abs=0.02)
    assert goodput.line()["steps"] == goodput.line()["lost"] == 0


def test_figures_add_up_over_restarts() -> None:
    part = dict.fromkeys(PARTS, 0.0)
    lines = [
        {"step": 5, "start": 0, "goodput": {**part, "steps": 6.0, "other": 2.0}},
        {"step": 9, "start": 0, "goodput": {**part, "steps": 6.0}},
        {"step": 12, "start": 9, "goodput": {**part, "steps": 4.0, "lost": 2.0}},
    ]
    found = totals(lines)
    assert found is not None
    assert (found["steps"], found["lost"], found["restarts"], found["goodput"]) == (16.0, 2.0, 1, 0.8)
    page = report(lines, "a run")
    assert "80.0%" in page
    assert "lost 0 min 2 s of steps" in page
    assert totals([{"step": 1, "loss": 2.0}]) is None


def test_lost_steps_are_those_after_the_checkpoint() -> None:
    lines = [{"step": step, "loss": 1.0, "seconds": 2.0} for step in (1, 2, 3)] + [{"step": 3, "held_out": {}}]
    assert lost_seconds(lines, 1) == 4.0


def test_an_outlier_is_told_once_there_is_something_to_compare() -> None:
    times = StepTimes()
    assert [times.add(step, 0.5) for step in range(1, 10)] == [None] * 9
    assert times.add(10, 0.9) is None
    told = times.add(11, 2.0)
    assert told is not None
    assert "step 11 took 2.00 s, 4.0 times the median" in told
    short = StepTimes()
    assert [short.add(step, 0.001) for step in range(10)][-1] is None
    assert short.add(11, 0.05) is None  # fifty times the median, but no time that anybody misses


def test_where_a_run_hangs_is_told_once(caplog) -> None:
    def stuck_in_this_function() -> None:
        time.sleep(0.4)

    with caplog.at_level(logging.WARNING), HangWatch(0.1) as watch:
        watch.moved(7)
        stuck_in_this_function()
        watch.moved(8)
    assert len([one for one in caplog.records if "no step for 0.1 s after step 7" in one.getMessage()]) == 1
    assert "stuck_in_this_function" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING), HangWatch(0) as watch:
        watch.moved(1)
    assert not caplog.records


def test_a_checkpoint_is_due_by_the_clock(monkeypatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    interval = SaveInterval(2, 10)
    now = 219.0
    assert not interval.over(10)
    now = 221.0
    assert not interval.over(11)  # only with a line of metrics
    assert interval.over(20)
    interval.begin()
    assert not interval.over(30)
    assert not SaveInterval(0, 1).over(1)


def test_a_trace_of_the_steps_that_are_asked_for(tmp_path) -> None:
    window = TraceWindow(tmp_path / "profile", ProfileConfig(steps=2, after=1), start=3)
    for step in range(4, 9):
        window.before(step)
        assert (tmp_path / "profile").exists() == (step >= 5)
        window.after(step, jnp.ones(2) * step)
    window.close()
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))
    none = TraceWindow(tmp_path / "none", ProfileConfig(), start=0)
    for step in range(1, 9):
        none.before(step)
        none.after(step, None)
    assert not (tmp_path / "none").exists()


def test_flags_reach_the_compiler_and_the_program_is_dumped(tmp_path) -> None:
    options = CompilerConfig(flags=("xla_cpu_enable_fast_math=false",), dump=True).options(str(tmp_path / "hlo"))
    jax.jit(lambda x: x * 3 + time.time() % 1000, compiler_options=options)(jnp.ones(3))
    assert [path for path in (tmp_path / "hlo").iterdir() if "after_optimizations" in path.name]
    with pytest.raises(ValueError, match="name=value"):
        CompilerConfig(flags=("--xla_x=1",))
    config, mesh = tiny_config(), make_mesh()
    with pytest.raises(ValueError, match=r"compiler.flags=\['xla_no_such_option'\]: the compiler does not take"):
        compiled_step(config, mesh, options=CompilerConfig(flags=("xla_no_such_option=1",)).options("hlo"))
    with jax.set_mesh(mesh):  # where a run compiles
        assert compiled_step(config, mesh, options=options)
