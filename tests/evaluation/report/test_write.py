"""The report: every task of a run appears, with a figure or a reason, beside the published scores."""

import pytest

from instructor_jax.evaluation.protocol import corrected, published
from instructor_jax.evaluation.report.published import published_scores
from instructor_jax.evaluation.report.tables import average_table, published_columns, run_column, task_table
from instructor_jax.evaluation.report.write import write_report
from instructor_jax.evaluation.runner import describe, run_jobs
from instructor_jax.evaluation.scores import Job, TaskScore, missing

from ..known_vectors import KnownVectors, table_of

pytest.importorskip("matplotlib")

PUBLISHED = published_scores()


def run_of(protocol=None):
    return describe(KnownVectors(), table_of("a"), protocol or corrected(), None, 0)


def done(score: TaskScore) -> Job:
    return Job(score.benchmark, score.task, score.kind, lambda embedder: score)


SCORES = [
    TaskScore(
        "mteb", "STS12", "STS", 61.234, "cosine_spearman", {"data": "local/x@1", "encoded": {"query": "Say: <b>| a"}}
    ),
    TaskScore("local", "OwnClusteringLocal", "Clustering", 12.5, "v_measure", {"note": "a part"}),
    TaskScore("prompt_retrieval", "rte", "Prompt Retrieval", 70.0, "label agreement", {"paper_protocol": False}),
    missing("mteb", "NQ", "Retrieval", "ndcg_at_10", "the hub is offline"),
    missing("mteb", "FEVER", "Retrieval", "ndcg_at_10", "the hub is offline"),
]


@pytest.fixture
def written(tmp_path):
    for run in (run_of(), run_of(published())):
        run_jobs(KnownVectors(), [done(score) for score in SCORES], run, tmp_path)
    markdown, page = write_report(tmp_path)
    return markdown.read_text(encoding="utf-8"), page.read_text(encoding="utf-8")


def test_every_task_is_there_with_a_figure_or_its_reason(written):
    for text in written:
        for word in ("61.23", "12.50", "70.00", "the hub is offline", "FEVER, NQ", "OwnClusteringLocal", "86.88"):
            assert word in text
        assert "test/known (published protocol" in text
        assert "Retrieval documents are read without any instruction." in text
        for model in PUBLISHED.models:
            assert model.name in text


def test_texts_cannot_break_table_or_page(written):
    markdown, page = written
    assert "Say: \\<b\\>\\| a" in markdown
    assert "Say: &lt;b&gt;| a" in page
    assert "<b>| a" not in page


def test_the_page_needs_nothing_else(written):
    page = written[1]
    assert page.count('src="data:image/png;base64,') == 3
    assert 'src="http' not in page
    assert 'href="http' not in page


def test_figures_that_are_not_the_papers_stay_out_of_averages():
    column = run_column(run_of(), SCORES, PUBLISHED)
    assert set(column.figures) == {"STS12", "OwnClusteringLocal"}
    assert column.averages.mteb_tasks is None  # one of 56
    assert "Prompt Retrieval" in column.averages.missing


def test_published_averages_and_their_marks():
    rows = {row[0]: row for row in average_table(published_columns(PUBLISHED)).rows}
    assert rows["instructor-large"][2:4] == ("58.4†‡", "58.4")
    assert rows["instructor-xl"][2:4] == ("58.8†‡", "58.8")
    assert rows["instructor-base"][1:4] == ("59.54", "–", "55.9")
    assert rows["instructor-base"][-2:] == ("–", "–")
    assert rows["gtr-t5-large"][8] == "– (10/12)"
    assert rows["gtr-t5-large"][2:4] == ("–", "55.1‡")


def test_the_task_table_has_the_papers_70_rows():
    table = task_table(published_columns(PUBLISHED), PUBLISHED.tasks)
    assert len(table.rows) == 70
    assert len(table.heads) == 2 + 11
    billboard = next(row for row in table.rows if row[0] == "mscoco")
    assert billboard[2:5] == ("–", "41.57†", "39.55†")


def test_an_empty_folder_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="holds no run"):
        write_report(tmp_path)
