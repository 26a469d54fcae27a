"""The arithmetic by hand, and the paper's own averages from the published figures of its tasks."""

import pytest

from instructor_jax.evaluation.report.averages import GROUPS, MTEB_GROUPS, averages
from instructor_jax.evaluation.report.published import published_scores

PUBLISHED = published_scores()
# The paper prints one decimal.
PRINTED = 0.05


def test_the_average_is_the_mean_of_group_means_not_of_tasks():
    tasks = {group: group for group in GROUPS} | {"more": "STS", "still more": "STS"}
    figures = dict.fromkeys(GROUPS, 10.0) | {"STS": 40.0, "more": 40.0, "still more": 40.0}
    found = averages(figures, tasks)
    assert found.macro == pytest.approx((8 * 10 + 40) / 9)
    assert found.mteb_tasks == pytest.approx((6 * 10 + 3 * 40) / 9)
    assert found.mteb_macro == pytest.approx((6 * 10 + 40) / 7)
    assert found.complete


def test_groups_without_figures_are_named_and_partial_ones_counted():
    tasks = {"a": "STS", "b": "STS", "c": "Retrieval"}
    found = averages({"a": 1.0, "other": 50.0}, tasks)
    assert found.macro is None
    assert found.mteb_macro is None
    assert found.missing == tuple(group for group in GROUPS if group != "STS")
    assert [(group.group, group.tasks, group.of) for group in found.incomplete] == [("STS", 1, 2)]
    assert "Retrieval" in found.describe()
    assert "STS 1/2" in found.describe()
    assert found.mteb_tasks is None  # a mean of a part never bears the name of the whole
    assert (found.mteb_count, found.mteb_of) == (1, 3)  # a task outside the paper does not count


def test_a_given_mean_stands_in_for_a_group_whose_tasks_are_not_all_known():
    tasks = {group: group for group in GROUPS}
    figures: dict[str, float] = dict.fromkeys(MTEB_GROUPS, 10.0)
    found = averages(figures, tasks, {"Billboard": 30.0, "Prompt Retrieval": 30.0, "STS": 99.0})
    assert found.macro == pytest.approx((7 * 10 + 2 * 30) / 9)  # STS has its own task
    assert found.complete


def test_an_unknown_group_is_refused():
    with pytest.raises(ValueError, match="Retrieving"):
        averages({}, {"a": "Retrieving"})


def test_the_table_holds_the_papers_70_tasks():
    counts = {group: list(PUBLISHED.tasks.values()).count(group) for group in GROUPS}
    assert counts == {
        "Retrieval": 15,
        "Reranking": 4,
        "Clustering": 11,
        "PairClassification": 3,
        "Classification": 12,
        "STS": 10,
        "Summarization": 1,
        "Prompt Retrieval": 11,
        "Billboard": 3,
    }


@pytest.mark.parametrize(("name", "average"), [("instructor-large", 58.4), ("instructor-xl", 58.8)])
def test_the_published_average_follows_from_the_figures_of_the_tasks(name, average):
    model = PUBLISHED.model(name)
    assert model.average == (average, "readme")
    assert model.averages.complete
    assert model.averages.macro == pytest.approx(average, abs=PRINTED)
    assert len(model.figures) == 59  # 56 of MTEB, 3 of Billboard
    # What was not read in results files is known as such: Prompt Retrieval as a group's mean, Billboard from a log.
    assert set(model.groups) == {"Prompt Retrieval", "Billboard"}
    assert [group.group for group in model.averages.groups if group.given] == ["Prompt Retrieval"]
    assert {task for task, source in model.sources.items() if source != "results"} == {"mscoco", "cnndm", "mt"}


def test_base_has_two_groups_without_figures_and_they_are_named():
    base = PUBLISHED.model("instructor-base").averages
    assert base.missing == ("Prompt Retrieval", "Billboard")
    assert base.macro is None
    assert base.mteb_macro == pytest.approx((45.12 + 56.20 + 41.90 + 83.51 + 72.36 + 82.29 + 29.85) / 7, abs=0.01)
    assert base.mteb_tasks == pytest.approx(59.54, abs=0.005)
    assert "no figure for Prompt Retrieval, Billboard" in base.describe()


def test_group_means_are_those_of_the_papers_table():
    # Table 2 of the paper, to its one decimal, for the groups whose tasks all have a figure.
    rows = {
        "instructor-large": (47.6, 57.5, 45.3, 85.9, 73.9, 83.2, 31.8),
        "instructor-xl": (49.3, 57.3, 44.7, 86.6, 73.1, 83.1, 32.3),
        "gtr-t5-xl": (48.0, 56.0, 41.5, 86.1, 67.1, 77.8, 30.2),
        "sentence-t5-xxl": (42.2, 56.4, 43.7, 85.1, 73.4, 82.6, 30.1),
    }
    for name, means in rows.items():
        found = [group.mean for group in PUBLISHED.model(name).averages.groups[:7]]
        # 5e-3 more than half a decimal: the figures of the tasks are rounded themselves.
        assert found == pytest.approx(means, abs=PRINTED + 5e-3), name


def test_every_source_is_explained():
    from instructor_jax.evaluation.report.published import MARKS, SOURCES

    used = {source for model in PUBLISHED.models for source in model.sources.values()}
    assert used <= set(SOURCES)
    assert used - {"results"} <= set(MARKS)
    assert len(PUBLISHED.models) == 11
