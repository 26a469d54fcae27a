"""From a request to jobs: nothing asked for is dropped, and mistakes are one clear line."""

import pytest

from instructor_jax.evaluation.protocol import Protocol
from instructor_jax.evaluation.report.published import published_scores
from instructor_jax.evaluation.task_instructions import default_table

from .known_vectors import KnownVectors

pytest.importorskip("mteb")
pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    from instructor_jax.evaluation.mteb.jobs import MtebOptions

    return MtebOptions(default_table(), Protocol(), tmp_path_factory.mktemp("output"))


def select(*arguments):
    from instructor_jax.evaluation.selection import select_jobs

    return select_jobs(*arguments)


@pytest.mark.slow
def test_all_is_the_papers_70_tasks_and_every_local_one_even_without_their_data(options, tmp_path):
    from instructor_jax.evaluation.local.sources import SOURCES

    jobs = select("all", [], options, tmp_path)
    names = [job.task for job in jobs]
    assert len(names) == len(set(names))
    assert set(published_scores().tasks) <= set(names)
    assert {source.task for source in SOURCES} <= set(names)
    assert sum(job.kind == "Part" for job in jobs) == 12
    kinds = {job.task: job.kind for job in jobs}
    assert {task: kinds[task] for task in published_scores().tasks} == published_scores().tasks


def test_absent_local_data_are_a_reason(options, tmp_path):
    (job,) = select("local", ["Clinc150ClassificationLocal"], options, tmp_path)
    score = job.run(KnownVectors())
    assert score.score is None
    assert "eval_clinc150" in score.reason


def test_local_data_serve_mtebs_own_tasks(options, shared):
    data = shared / "data" / "raw"
    (job,) = select("mteb", ["Banking77Classification"], options, data)
    assert job.benchmark == "mteb"
    assert job.settings["data"].startswith("local/eval_banking77@")
    (hub,) = select("mteb", ["Banking77Classification"], options, None)
    assert hub.settings["data"].startswith("mteb/banking77@")


def test_an_aggregate_brings_its_parts_and_a_part_comes_alone(options):
    assert len(select("mteb", ["CQADupstackRetrieval"], options, None)) == 13
    assert [job.task for job in select("mteb", ["CQADupstackTexRetrieval"], options, None)] == [
        "CQADupstackTexRetrieval"
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mteb", ["STSBenchmrk"]), "unknown task 'STSBenchmrk'.*did you mean STSBenchmark"),
        (("local", []), "name their folder with --data"),
        (("all", []), "name their folder with --data"),
    ],
)
def test_mistakes_are_one_line(options, arguments, message):
    with pytest.raises(ValueError, match=message):
        select(*arguments, options, None)


def test_a_data_folder_that_is_none_is_refused(options, tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        select("local", [], options, tmp_path / "absent")
