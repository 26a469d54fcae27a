import dataclasses
import json
from pathlib import Path

import pytest

from instructor_jax.evaluation.scores import TaskScore, missing
from instructor_jax.evaluation.studies.outcomes import StudyOutcome, TaskOutcome
from instructor_jax.evaluation.studies.report import study_markdown, study_page
from instructor_jax.evaluation.studies.studies import (
    PARAPHRASES,
    paraphrases,
    run_study,
    simple,
    study_outcome,
    study_tasks,
    study_variants,
    tag,
)
from instructor_jax.evaluation.task_instructions import InstructionTable, TaskInstructions, default_table
from instructor_jax.text.instructions import lint_instruction

TABLE = InstructionTable(
    {
        "Banking77Classification": TaskInstructions(*["Represent the bank purpose for classification: "] * 2),
        "XQuADRetrieval": TaskInstructions("Represent the question for retrieval: ", "Represent a paragraph: "),
        "dbpedia_14": TaskInstructions("", ""),
    },
    "test",
)


def test_every_local_task_has_five_different_paraphrases() -> None:
    from instructor_jax.evaluation.local.sources import SOURCES

    written, table = paraphrases(), default_table()
    assert {source.task for source in SOURCES} <= set(written)
    assert {"mscoco", "cnndm", "geoquery", "multirc_answerability"} <= set(written)
    assert set(written) <= set(table.tasks())
    for task, variants in written.items():
        assert len(variants) == PARAPHRASES
        assert len({each.query for each in variants}) == PARAPHRASES
        assert len({each.document for each in variants}) == PARAPHRASES
        for each in variants:
            assert not lint_instruction(each.query), task
            assert not lint_instruction(each.document), task
    for source in SOURCES:
        same = source.query == source.document
        assert all((each.query == each.document) == same for each in written[source.task]), source.task


def test_paraphrases_replace_only_the_tasks_that_have_some() -> None:
    variants = study_variants("paraphrase", TABLE)
    assert [variant.name for variant in variants] == ["1", "2", "3", "4", "5"]
    assert len({variant.table.of("Banking77Classification", "query") for variant in variants}) == 5
    assert {variant.table.of("dbpedia_14", "query") for variant in variants} == {""}
    assert len({variant.table.source for variant in variants}) == 5  # runs lie side by side by their source
    assert study_tasks("paraphrase", TABLE.tasks()) == ["Banking77Classification", "XQuADRetrieval"]
    assert study_tasks("detail", TABLE.tasks()) == TABLE.tasks()


def test_details_of_an_instruction() -> None:
    none, name, subject, full = study_variants("detail", TABLE)
    task = "Banking77Classification"
    assert [variant.table.of(task, "query") for variant in (none, name, subject, full)] == [
        "",
        "Banking77: ",
        "bank purpose: ",
        "Represent the bank purpose for classification: ",
    ]
    assert subject.table.of("XQuADRetrieval", "document") == "paragraph: "
    assert full.table is TABLE
    assert [variant.name for variant in study_variants("without", TABLE)] == ["none", "full"]


def test_swapped_instructions_are_wrong_everywhere() -> None:
    wrong, none, full = study_variants("swapped", TABLE)
    assert [variant.name for variant in (wrong, none, full)] == ["swapped", "none", "full"]
    assert wrong.table.of("XQuADRetrieval", "query") == "Represent a paragraph: "
    assert wrong.table.of("XQuADRetrieval", "document") == "Represent the question for retrieval: "
    assert wrong.table.of("dbpedia_14", "query") == ""  # it has none
    table = default_table()
    wrong = study_variants("swapped", table)[0]
    told = [task for task in table.tasks() if table.of(task, "query")]
    assert len(told) > 80
    unchanged = [task for task in told if wrong.table.of(task, "query") == table.of(task, "query")]
    assert unchanged == []


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("Represent the Science sentence for clustering: ", "Science sentence: "),
        ("represent a reddit community title: ", "reddit community title: "),
        ("Represent an emotion sentence; Input: ", "emotion sentence: "),
        ("Represent the tweet for classifying the tone for me: ", "tweet: "),
        ("Represent the format sentence to find another;", "format sentence: "),
        ("", ""),
    ],
)
def test_domain_and_text_type(instruction: str, expected: str) -> None:
    assert simple(instruction) == expected


def test_what_is_no_template_cannot_be_made_simpler() -> None:
    with pytest.raises(ValueError, match="not of the form"):
        simple("Encode this: ")
    with pytest.raises(ValueError, match="not of the form"):
        simple("Represent for clustering: ")


def test_published_instructions_all_have_a_simple_form(shared: Path) -> None:
    table = default_table().overridden_by(shared / "reference" / "published_instructions.csv")
    for task in table.tasks():
        for side in ("query", "document"):
            full = table.of(task, side)
            short = simple(full)
            assert short.removesuffix(": ") in full
            assert len(short) < len(full) or not full


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("Banking77Classification", "Banking77"),
        ("ArxivClusteringP2P", "Arxiv"),
        ("Clinc150ClusteringLocal", "Clinc150"),
        ("STS12", "STS12"),
        ("dbpedia_14", "dbpedia 14"),
    ],
)
def test_names_of_data_sets(task: str, expected: str) -> None:
    assert tag(task) == expected


def run(table: InstructionTable) -> list[TaskScore]:
    """Longer instructions score more, by a point a letter; one task never runs under none."""
    scores = []
    for task, kind in (("Banking77Classification", "Classification"), ("dbpedia_14", "Prompt Retrieval")):
        scores.append(TaskScore("mteb", task, kind, float(len(table.of(task, "query"))), "accuracy"))
    retrieval = table.of("XQuADRetrieval", "query")
    scores.append(
        TaskScore("mteb", "XQuADRetrieval", "Retrieval", 50.0, "ndcg_at_10")
        if retrieval
        else missing("mteb", "XQuADRetrieval", "Retrieval", "ndcg_at_10", "no <data>")
    )
    return scores


def test_a_study_runs_every_variant_and_means_leave_out_what_is_incomplete() -> None:
    outcome = study_outcome("detail", run, TABLE, "some/model")
    by_task = {task.task: task for task in outcome.tasks}
    banking = by_task["Banking77Classification"]
    assert banking.scores == {"none": 0, "tag": 11, "simple": 14, "full": 47}
    assert outcome.figures(banking)["gain"] == 47
    assert outcome.figures(by_task["XQuADRetrieval"]) == {}
    assert by_task["XQuADRetrieval"].reason == "no <data>"
    # dbpedia_14 has no instruction but its name, "dbpedia 14: ".
    assert outcome.means() == {"none": 0, "tag": 11.5, "simple": 7, "full": 23.5, "gain": 23.5}
    assert outcome.means("Classification")["full"] == 47
    assert outcome.means("Retrieval") == {}


def test_reports_hold_every_figure_and_reason(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    outcome = study_outcome("detail", run, TABLE, "some/model")
    text, page = study_markdown(outcome), study_page(outcome)
    assert "| Banking77Classification | Classification | 0.00 | 11.00 | 14.00 | 47.00 | 47.00 |" in text
    assert "| all | 0.00 | 11.50 | 7.00 | 23.50 | 23.50 |" in text
    assert "| XQuADRetrieval | Retrieval | – | 50.00 | 50.00 | 50.00 | – |" in text
    assert "- XQuADRetrieval: no \\<data\\>" in text
    assert "no &lt;data&gt;" in page
    assert "data:image/png;base64," in page
    assert run_study("detail", run, TABLE, tmp_path / "out", "some/model") == outcome
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"study-detail-some_model.{suffix}" for suffix in ("html", "json", "md")]
    written = json.loads((tmp_path / "out" / names[1]).read_text())
    assert written["means"]["all"]["gain"] == 23.5
    assert [task["figures"].get("gain") for task in written["tasks"]] == [47, 0, None]


def test_a_task_without_paraphrases_is_named_and_in_no_mean() -> None:
    outcome = study_outcome("paraphrase", run, TABLE)
    dbpedia = next(task for task in outcome.tasks if task.task == "dbpedia_14")
    assert not dbpedia.complete
    assert "no paraphrases" in dbpedia.reason
    lengths = [len(each.query) for each in paraphrases()["Banking77Classification"]]
    assert outcome.means("Classification")["gap"] == max(lengths) - min(lengths)
    assert outcome.means()["best"] == (max(lengths) + 50) / 2  # with retrieval, which is always at 50


def test_a_study_in_which_nothing_ran_is_still_a_report() -> None:
    pytest.importorskip("matplotlib")
    task = TaskOutcome("STS12", "STS", "", {"none": None, "full": None}, "no data")
    outcome = StudyOutcome("without", "some/model", ("none", "full"), (task,))
    assert outcome.means() == {}
    assert "no data" in study_markdown(outcome)
    assert "no data" in study_page(outcome)
    assert dataclasses.replace(outcome, tasks=()).means() == {}
