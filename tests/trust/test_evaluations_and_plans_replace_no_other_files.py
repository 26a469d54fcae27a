"""Results of evaluations, studies, comparisons and plans never take the place of a file that none of them made."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from instructor_jax.cli import main
from instructor_jax.evaluation.report.files import refuse_other_reports
from instructor_jax.evaluation.runner import Run, run_jobs
from instructor_jax.evaluation.studies.compare_instructions import _refuse_others
from instructor_jax.evaluation.studies.outcomes import StudyOutcome, TaskOutcome
from instructor_jax.evaluation.studies.report import refuse_other_files, save_study
from instructor_jax.evaluation.studies.studies import run_study
from instructor_jax.evaluation.task_instructions import default_table
from instructor_jax.io.ownership import Claim, NotOursError, check_claims
from instructor_jax.train.plan.own_files import MARK, PLOT, TABLE
from instructor_jax.train.plan.own_files import refuse_other_files as refuse_other_plans

MINE = [
    b"",
    b"my notes",
    b"{}",
    b'{"study": 1}',
    b"[]",
    b"<!doctype html>\n<title>mine</title>",
    b"\x89PNG\r\n",
    b"# x",
]
KINDS = ["file", "link", "dangling", "folder"]


def planted(path: Path, kind: str, good: Path) -> None:
    """Puts something that is not ours to `path`; a link leads to a file that would be ours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "file":
        path.write_bytes(b"my notes")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(good if kind == "link" else path.with_name("nowhere"))


# --- studies -------------------------------------------------------------------------------------------------------

OUTCOME = StudyOutcome("without", "m/x", ("none", "full"), (TaskOutcome("T", "STS", "", {"none": 1.0, "full": 2.0}),))
STUDY = [f"study-without-m_x{suffix}" for suffix in (".json", ".md", ".html")]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder with the files of a study."""
    pytest.importorskip("matplotlib")
    assert [path.name for path in save_study(OUTCOME, tmp_path / "study")] == STUDY
    return tmp_path / "study"


def test_a_study_replaces_its_own_files(study: Path) -> None:
    refuse_other_files(study, "without", "m/x")
    refuse_other_files(study.parent / "new", "without", "m/x")
    save_study(OUTCOME, study)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", STUDY)
def test_a_study_replaces_no_other_file_and_says_so_before_any_work(
    study: Path, tmp_path: Path, name: str, kind: str
) -> None:
    output = tmp_path / "out"
    planted(output / name, kind, study / name)

    def scores(table: Any) -> Any:
        raise AssertionError("the work has begun")

    with pytest.raises(NotOursError, match=r"it would be lost\. Name another output or move it away\.$"):
        run_study("without", scores, default_table(), output, "m/x")
    assert [path.name for path in output.iterdir()] == [name]


@pytest.mark.parametrize("content", MINE, ids=ascii)
@pytest.mark.parametrize("name", STUDY)
def test_what_looks_a_little_like_a_study_is_none(study: Path, name: str, content: bytes) -> None:
    (study / name).write_bytes(content)
    with pytest.raises(NotOursError, match=name):
        refuse_other_files(study, "without", "m/x")


# --- comparisons, reports, runs, results of MTEB -------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".json", ".html"])
def test_a_comparison_replaces_no_other_file(tmp_path: Path, suffix: str, kind: str) -> None:
    (tmp_path / "good").write_text('{"ranking": [], "metric": "m"}')
    planted(tmp_path / f"found{suffix}", kind, tmp_path / "good")
    with pytest.raises(NotOursError, match=f"found{suffix}"):
        _refuse_others(tmp_path / "found", [])


def test_a_comparison_never_replaces_its_input(tmp_path: Path) -> None:
    (tmp_path / "found.json").write_text('{"ranking": [], "metric": "m"}')
    _refuse_others(tmp_path / "found", [])
    with pytest.raises(ValueError, match="is the input"):
        _refuse_others(tmp_path / "found", [tmp_path / "found.json"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["report.md", "report.html"])
def test_an_evaluation_replaces_no_link_or_folder(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "good").write_text("# Evaluation\n")
    planted(tmp_path / "out" / name, kind, tmp_path / "good")
    with pytest.raises(NotOursError, match=name):
        refuse_other_reports(tmp_path / "out")


RUN = Run("m", "abcdef", 1, 2, 3, {}, "custom", "own", None, 42)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("study_of", ["", "without"])
@pytest.mark.parametrize("content", MINE, ids=ascii)
def test_the_record_of_a_run_replaces_no_other_file(tmp_path: Path, content: bytes, study_of: str) -> None:
    record = tmp_path / "runs" / RUN.label / "run.json"
    record.parent.mkdir(parents=True)
    record.write_bytes(content)
    with pytest.raises(ValueError, match=r"run\.json"):
        run_jobs(None, [], RUN, tmp_path, study_of)  # type: ignore[arg-type]
    assert record.read_bytes() == content


@pytest.mark.usefixtures("unchecked")
def test_results_of_mteb_replace_only_results_of_mteb(tmp_path: Path) -> None:
    pytest.importorskip("mteb")
    from instructor_jax.evaluation.mteb.encoder import model_meta
    from instructor_jax.evaluation.mteb.results import META, SETTINGS, refuse_other_results

    about = {"name": "own/m", "revision": "r", "parameters": 1, "max_length": 8, "dimension": 4}
    meta = model_meta(SimpleNamespace(**about))  # type: ignore[arg-type]
    target = refuse_other_results("STS12", meta, tmp_path)
    target.parent.mkdir(parents=True)
    target.write_text('{"task_name": "STS12", "scores": {}}')
    (target.parent / META).write_text('{"name": "m", "revision": "r"}')
    (target.parent / SETTINGS).write_text('{"task": "STS12"}\n\n')
    assert refuse_other_results("STS12", meta, tmp_path) == target
    for name in (target.name, META, SETTINGS):
        kept = (target.parent / name).read_bytes()
        (target.parent / name).write_bytes(b"my notes")
        with pytest.raises(NotOursError, match=name):
            refuse_other_results("STS12", meta, tmp_path)
        (target.parent / name).write_bytes(kept)


# --- plans ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", MINE[1:], ids=ascii)
def test_a_plan_replaces_no_other_file(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(SystemExit) as stopped:
        main(["plan", "tiny", "--topology", "cpu:1", "--json", str(tmp_path / "x.json")])
    assert stopped.value.code == 2
    assert "x.json exists and is not known to be made by this command" in capsys.readouterr().err
    assert (tmp_path / "x.json").read_bytes() == content


@pytest.mark.parametrize("name", [TABLE, PLOT])
@pytest.mark.parametrize("content", MINE, ids=ascii)
def test_a_sweep_replaces_no_other_file(tmp_path: Path, name: str, content: bytes) -> None:
    refuse_other_plans(None, tmp_path, [])
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NotOursError, match=name):
        refuse_other_plans(None, tmp_path, [])


def test_plans_replace_plans(tmp_path: Path) -> None:
    plan = {"what": "training step", "topology": "cpu:1", "mesh": {}}
    for value in (plan, [plan, plan]):
        (tmp_path / "x.json").write_text(json.dumps(value))
        refuse_other_plans(tmp_path / "x.json", None, [])
    with pytest.raises(ValueError, match="is the input"):
        refuse_other_plans(tmp_path / "x.json", None, [tmp_path / "x.json"])
    (tmp_path / TABLE).write_text("| topology | data x fsdp x tensor | groups |\n")
    (tmp_path / PLOT).write_bytes(b"\x89PNG\r\n" + MARK.encode())
    refuse_other_plans(None, tmp_path, [])


def test_the_one_check_says_the_option_only_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    told: Callable[..., None] = lambda **options: check_claims([Claim(tmp_path / "x", lambda _: False)], **options)  # noqa: E731
    with pytest.raises(NotOursError, match=r"move it away\.$"):
        told()
    with pytest.raises(NotOursError, match=r"move it away, or give --replace to replace it\.$"):
        told(option="--replace")
    told(overwrite=True)
