"""Killed at three moments and restarted: the same scores, and no finished task runs a second time."""

import json
import logging
import signal
import subprocess
import sys

import pytest

from instructor_jax.evaluation.protocol import corrected, published
from instructor_jax.evaluation.runner import describe, read_runs, run_jobs
from instructor_jax.evaluation.scores import Job, TaskScore, missing

from .known_vectors import KnownVectors, table_of

TABLE = table_of("a")

# Three jobs that write down when they begin and end. KILL says where the process is killed: "run" in the middle of the
# second job, "write" while the second's score is being put in its place, "after" between the second and the third.
SCRIPT = """
import os, signal, sys
from pathlib import Path
from instructor_jax.evaluation.protocol import corrected
from instructor_jax.evaluation.runner import describe, run_jobs
from instructor_jax.evaluation.scores import Job, TaskScore
from instructor_jax.evaluation.task_instructions import InstructionTable

output, kill = Path(sys.argv[1]), sys.argv[2]

class Model:
    name, revision, dimension, max_length, parameters = "test/model", "1", 4, 8, 16

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def note(line):
    with open(output / "calls", "a") as file:
        file.write(line + "\\n")

def job(number):
    def run(embedder):
        note(f"begin {number}")
        if (kill, number) == ("run", 2) or (kill, number) == ("after", 3):
            die()
        note(f"end {number}")
        return TaskScore("mteb", f"task{number}", "STS", 10.0 * number, "accuracy", {})
    return Job("mteb", f"task{number}", "STS", run)

if kill == "write":
    replace = os.replace
    def replaced(source, target):
        die() if str(target).endswith("task2.json") else replace(source, target)
    os.replace = replaced

run = describe(Model(), InstructionTable({}, "t"), corrected(), None, 0)
scores = run_jobs(Model(), [job(number) for number in (1, 2, 3)], run, output)
print([score.score for score in scores])
"""


def execute(output, kill):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(output), kill], capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.parametrize(
    ("kill", "begun", "finished"),
    [("run", ["1", "2"], {"1"}), ("write", ["1", "2"], {"1"}), ("after", ["1", "2", "3"], {"1", "2"})],
)
def test_killed_and_restarted_nothing_finished_runs_again(tmp_path, kill, begun, finished):
    killed = execute(tmp_path, kill)
    assert killed.returncode == -signal.SIGKILL
    calls = (tmp_path / "calls").read_text(encoding="utf-8").split("\n")
    assert [line.split()[1] for line in calls if line.startswith("begin")] == begun
    (tmp_path / "calls").unlink()
    restarted = execute(tmp_path, "never")
    assert restarted.returncode == 0, restarted.stderr
    assert restarted.stdout.strip() == "[10.0, 20.0, 30.0]"
    calls = (tmp_path / "calls").read_text(encoding="utf-8").split("\n")
    assert {line.split()[1] for line in calls if line.startswith("begin")} == {"1", "2", "3"} - finished
    for path in tmp_path.rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))


def job(task, outcome):
    def run(embedder):
        if isinstance(outcome, Exception):
            raise outcome
        return TaskScore("local", task, "STS", outcome, "accuracy", {})

    return Job("local", task, "STS", run)


def run_of(limit=None, protocol=None, table=TABLE):
    return describe(KnownVectors(), table, protocol or corrected(), limit, 0)


def test_a_broken_file_stops_its_task_only_and_is_one_line(tmp_path, caplog):
    jobs = [job("a", 1.0), job("b", ValueError("line 7:\n  no number")), job("c", OSError("gone")), job("d", 2.0)]
    with caplog.at_level(logging.INFO, logger="instructor_jax"):
        scores = run_jobs(KnownVectors(), jobs, run_of(), tmp_path)
    assert [score.score for score in scores] == [1.0, None, None, 2.0]
    assert [score.reason for score in scores] == ["", "failed: line 7: no number", "failed: gone", ""]
    assert "b did not run: failed: line 7: no number" in caplog.text


def test_a_bug_stops_the_run_and_loses_nothing(tmp_path):
    with pytest.raises(TypeError):
        run_jobs(KnownVectors(), [job("a", 1.0), job("b", TypeError("bug"))], run_of(), tmp_path)
    ((_, scores),) = read_runs(tmp_path)
    assert [score.task for score in scores] == ["a"]


def test_runs_of_other_settings_stand_side_by_side(tmp_path):
    runs = [run_of(), run_of(limit=5), run_of(protocol=published()), run_of(table=TABLE.without())]
    for number, each in enumerate(runs):
        run_jobs(KnownVectors(), [job("a", float(number))], each, tmp_path)
    assert len({each.label for each in runs}) == 4
    found = {run.title: scores[0].score for run, scores in read_runs(tmp_path)}
    assert set(found.values()) == {0.0, 1.0, 2.0, 3.0}
    assert all(title.startswith("test/known") for title in found)


def test_only_the_default_run_goes_to_mtebs_plain_folder():
    from instructor_jax.evaluation.task_instructions import InstructionTable

    default = InstructionTable({}, "task_instructions.csv")
    assert run_of(table=default).experiment is None
    others = [run_of(limit=5, table=default), run_of(protocol=published(), table=default), run_of()]
    assert len({str(each.experiment) for each in others} | {"None"}) == 4


def test_a_study_alone_is_not_reported_as_a_run(tmp_path):
    run_jobs(KnownVectors(), [job("a", 1.0)], run_of(), tmp_path, study="detail")
    assert read_runs(tmp_path) == []
    run_jobs(KnownVectors(), [job("a", 1.0)], run_of(), tmp_path)
    assert len(read_runs(tmp_path)) == 1
    run_jobs(KnownVectors(), [job("a", 1.0)], run_of(), tmp_path, study="detail")
    assert len(read_runs(tmp_path)) == 1


def test_a_missing_task_is_tried_again_when_its_data_may_have_come(tmp_path):
    absent = Job("local", "a", "STS", lambda embedder: missing("local", "a", "STS", "", "no folder"))
    assert run_jobs(KnownVectors(), [absent], run_of(), tmp_path)[0].score is None
    assert run_jobs(KnownVectors(), [job("a", 3.0)], run_of(), tmp_path)[0].score == 3.0
