"""MTEB's tasks as jobs: the figures, the files that MTEB can read, what cannot be loaded, and sums of parts."""

import json
from typing import Any

import numpy as np
import pytest

from instructor_jax.evaluation.protocol import Protocol
from instructor_jax.evaluation.scores import TaskScore

from ..known_vectors import KnownVectors, table_of
from ..toy_tasks import retrieval_data, sts, toy_task

pytest.importorskip("mteb")
pytestmark = pytest.mark.torch


def options(folder, *tasks, **more):
    from instructor_jax.evaluation.mteb.jobs import MtebOptions

    return MtebOptions(table_of(*tasks), Protocol(), folder, **more)


def test_a_score_is_mtebs_and_its_file_is_where_mteb_looks(tmp_path):
    import mteb
    from scipy.stats import spearmanr

    from instructor_jax.evaluation.mteb.jobs import MTEB, mteb_job

    task = sts()
    rows = task.dataset["test"]
    score = mteb_job(task, options(tmp_path, "STSBenchmark"), MTEB, note="a toy").run(KnownVectors())
    pairs = [KnownVectors().encode(list(rows[side]), "STSBenchmark query: ") for side in ("sentence1", "sentence2")]
    cosines = [np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(*pairs, strict=True)]
    correlation: Any = spearmanr(cosines, rows["score"])[0]
    # Only ranks count.
    assert score.score == pytest.approx(100 * correlation, abs=1e-4)
    assert (score.benchmark, score.kind, score.metric) == ("mteb", "STS", "cosine_spearman")
    assert score.details["encoded"]["query"].startswith("STSBenchmark query: ")
    assert score.details["note"] == "a toy"
    path = tmp_path / score.details["mteb_file"]
    assert json.loads(path.read_text(encoding="utf-8"))["task_name"] == "STSBenchmark"
    assert {each.name for each in path.parent.iterdir()} == {path.name, "model_meta.json", "run_settings.jsonl"}
    stored = mteb.ResultCache(tmp_path / "mteb").load_results(["test/known"], tasks=["STSBenchmark"])
    assert 100 * stored.model_results[0].task_results[0].get_score() == pytest.approx(score.score, abs=1e-3)


def test_what_cannot_be_loaded_is_one_line(tmp_path):
    import mteb

    from instructor_jax.evaluation.mteb.jobs import hub_jobs

    (job,) = hub_jobs(mteb.get_task("STS12"), options(tmp_path, "STS12"))
    score = job.run(KnownVectors())  # the hub is offline in tests
    assert score.score is None
    assert score.reason.startswith("its data cannot be loaded: ")
    assert "\n" not in score.reason


def test_a_job_leaves_the_task_as_it_was(tmp_path):
    """MTEB hands out the same objects again: neither data nor a limit may stick to them."""
    from instructor_jax.evaluation.mteb.jobs import MTEB, mteb_job

    task, loaded = sts(), []
    data = task.dataset

    class Loading(type(task)):
        def load_data(self, num_proc=None, **_):
            loaded.append(len(data["test"]))
            self.dataset, self.data_loaded = data, True

    fresh = Loading()
    before = dict(vars(fresh))
    whole = mteb_job(fresh, options(tmp_path, "STSBenchmark"), MTEB).run(KnownVectors())
    for _ in range(2):
        cut = mteb_job(fresh, options(tmp_path, "STSBenchmark", limit=6), MTEB).run(KnownVectors())
        assert cut.score is not None
        assert cut.score != whole.score
    assert dict(vars(fresh)) == before
    assert mteb_job(fresh, options(tmp_path, "STSBenchmark"), MTEB).run(KnownVectors()).score == whole.score
    assert loaded == [12] * 4


def test_corpus_vectors_are_kept_and_used_again(tmp_path):
    from instructor_jax.evaluation.mteb.jobs import MTEB, mteb_job

    scores = []
    for kept in (True, True, False):
        embedder = KnownVectors()
        job = mteb_job(toy_task("SciFact", retrieval_data()), options(tmp_path, "SciFact", keep_vectors=kept), MTEB)
        scores.append((job.run(embedder).score, len(embedder.seen)))
    assert scores[0][0] == scores[1][0] == scores[2][0]
    assert [encoded for _, encoded in scores] == [46, 6, 46]  # 40 documents, 6 queries


@pytest.mark.slow
def test_cqadupstack_is_the_mean_of_its_twelve_forums(tmp_path):
    import mteb

    from instructor_jax.evaluation.mteb.jobs import PART, hub_jobs

    task: Any = mteb.get_task("CQADupstackRetrieval")
    for number, part in enumerate(task.metadata.tasks):
        part.dataset, part.data_loaded = retrieval_data(20 + number, 4), True
    *parts, mean = hub_jobs(task, options(tmp_path, *(part.metadata.name for part in task.metadata.tasks)))
    embedder = KnownVectors()
    assert mean.run(embedder).reason == "12 of its 12 parts did not run"
    scores = [part.run(embedder) for part in parts]
    assert {score.kind for score in scores} == {PART}
    figures = [score.score for score in scores if score.score is not None]
    assert len(figures) == 12
    # MTEB rounds each to five digits.
    assert mean.run(embedder).score == pytest.approx(np.mean(figures), abs=1e-3)
    assert {instruction for instruction, _ in embedder.seen} == {
        f"{part.metadata.name} {side}: " for part in task.metadata.tasks for side in ("query", "document")
    }


def test_pairs_are_scored_by_the_cosine_where_the_protocol_says_so():
    from instructor_jax.evaluation.mteb.jobs import _metric

    task = toy_task("TwitterURLCorpus", {})
    assert (_metric(task, Protocol()), _metric(task, Protocol(cosine_pairs=True))) == ("max_ap", "cosine_ap")


def test_settings_change_with_what_a_score_depends_on(tmp_path):
    from instructor_jax.evaluation.mteb.jobs import MTEB, mteb_job
    from instructor_jax.evaluation.task_instructions import TaskInstructions

    plain = options(tmp_path, "STSBenchmark")
    other = plain.table.replaced({"STSBenchmark": TaskInstructions("x: ", "x: ")}, "y")
    variants = [
        plain,
        options(tmp_path, "STSBenchmark", limit=5),
        options(tmp_path, "STSBenchmark", seed=5),
        type(plain)(other, Protocol(), tmp_path),
    ]
    settings = [json.dumps(dict(mteb_job(sts(), each, MTEB).settings), sort_keys=True) for each in variants]
    assert len(set(settings)) == 4


def test_a_missing_figure_is_an_error_not_a_zero(tmp_path):
    from instructor_jax.evaluation.mteb.results import figure

    class Result:
        task_name = "T"
        scores = {"test": [{"main_score": 0.5, "hf_subset": "a"}, {"main_score": 0.7, "hf_subset": "b"}]}  # noqa: RUF012

    assert figure(Result(), "main_score") == pytest.approx(60)
    with pytest.raises(ValueError, match="no figure 'cosine_ap'"):
        figure(Result(), "cosine_ap")


def test_killed_while_mtebs_files_are_written_leaves_whole_files(tmp_path, monkeypatch):
    from instructor_jax.evaluation.mteb import results as mteb_results
    from instructor_jax.evaluation.mteb.jobs import MTEB, mteb_job

    score = mteb_job(sts(), options(tmp_path, "STSBenchmark", "STS12"), MTEB).run(KnownVectors())
    assert isinstance(score, TaskScore)
    folder = (tmp_path / score.details["mteb_file"]).parent
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(mteb_results.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        mteb_job(sts("STS12"), options(tmp_path, "STSBenchmark", "STS12"), MTEB).run(KnownVectors())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
