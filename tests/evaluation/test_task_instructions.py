"""The packaged table beside the published strings, and the override file with its error messages."""

import csv

import pytest

from instructor_jax.evaluation.task_instructions import (
    InstructionTable,
    TaskInstructions,
    packaged_instructions,
    published_size,
)

SIDES = {"both": ("query", "document"), "query": ("query",), "corpus": ("document",)}
COLUMNS = {"large": "exact", "base": "exact_base", "xl": "exact_xl"}

# What the template cannot say, of MTEB's 97 published strings for the large model: a or an instead of the, a lower-case
# verb, or a semicolon. The same words in the template's form stand in the table.
EXCEPTIONS = {
    *{f"{task}/both" for task in ("AmazonCounterfactualClassification", "AmazonReviewsClassification")},
    *{f"{task}/both" for task in ("EmotionClassification", "ImdbClassification", "MTOPDomainClassification")},
    *{f"{task}/both" for task in ("ToxicConversationsClassification", "TweetSentimentExtractionClassification")},
    *{f"{task}/both" for task in ("RedditClustering", "RedditClusteringP2P", "SprintDuplicateQuestions")},
    *{f"{task}/both" for task in ("TwitterURLCorpus", "STS13", "STS22", "STSBenchmark")},
    *{f"{task}/{side}" for task in ("ArguAna", "SciFact", "Touche2020") for side in ("query", "corpus")},
    "SCIDOCS/query",
}


@pytest.fixture(scope="module")
def published(shared):
    path = shared / "reference" / "published_instructions.csv"
    with open(path, encoding="utf-8", newline="") as file:
        return path, list(csv.DictReader(file))


@pytest.fixture(scope="module")
def table() -> InstructionTable:
    return InstructionTable(packaged_instructions(), "packaged")


def test_the_table_equals_the_published_strings_but_for_the_listed_ones(published, table):
    rows = [row for row in published[1] if row["benchmark"] == "mteb"]
    assert len(rows) == 97
    differing = {
        f"{row['task']}/{row['side']}"
        for row in rows
        if any(table.of(row["task"], side) != row["exact"] for side in SIDES[row["side"]])
    }
    assert differing == EXCEPTIONS
    assert len(EXCEPTIONS) == 21
    assert {f"{row['task']}/{row['side']}" for row in rows if row["template_ok"] == "no"} == EXCEPTIONS


def test_outside_mteb_only_four_more_differ_by_the_suffix_the_template_has_not(published, table):
    rows = [row for row in published[1] if row["benchmark"] != "mteb"]
    differing = {row["task"] for row in rows if table.of(row["task"], "query") != row["exact"]}
    by_template = {row["task"] for row in rows if row["template_ok"] == "no"}
    suffix = {row["task"] for row in rows if row["suffix"] == "; Input: "}
    assert differing == by_template | suffix
    assert suffix - by_template == {"amazon", "multirc_answerability", "civil_comments", "coda_title_generation"}


def test_tasks_without_a_published_instruction_have_none(table):
    assert table.of("dbpedia_14", "query") == table.of("mwoz", "query") == ""


@pytest.mark.parametrize("size", COLUMNS)
def test_a_file_overrides_with_exact_strings(published, table, size):
    path, rows = published
    exact = table.overridden_by(path, size)
    for row in rows:
        for side in SIDES[row["side"]]:
            assert exact.of(row["task"], side) == row[COLUMNS[size]]
    assert exact.of("SciFact", "query").endswith("; ") or size != "large"


def test_the_packaged_table_names_a_task_of_the_paper_in_every_row(table):
    from instructor_jax.evaluation.report.published import published_scores

    forums = {task for task in table.tasks() if task.startswith("CQADupstack")}
    assert len(forums) == 12
    assert set(table.tasks()) - forums == set(published_scores().tasks) - {"CQADupstackRetrieval"}


def test_a_small_file_of_ones_own(table, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text('task,side,exact\nSTS12,both,"Say the sentence: "\nNQ,corpus,\n', encoding="utf-8")
    mine = table.overridden_by(path, "xl")
    assert mine.of("STS12", "query") == mine.of("STS12", "document") == "Say the sentence: "
    assert mine.of("NQ", "document") == ""
    assert mine.of("NQ", "query") == table.of("NQ", "query")
    assert mine.source == "mine.csv (xl)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task,side,exact\nSTS12,both,a: \nSTSBenchmrk,both,b: \n", "line 3.*STSBenchmrk.*STSBenchmark"),
        ("task,side,exact\nSTS12,left,a: \n", "line 2: side 'left'"),
        ("task,exact\nSTS12,a: \n", "no column side"),
        ("task,side,exact\nSTS12,both\n", "line 2: has another number of fields"),
        ("", "no column task"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(table, tmp_path, text, message):
    path = tmp_path / "wrong.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        table.overridden_by(path)


def test_an_unknown_task_names_close_ones(table):
    with pytest.raises(ValueError, match="did you mean .*Banking77Classification"):
        table.of("Banking77", "query")


def test_without_instructions_every_task_has_none(table):
    bare = table.without()
    assert {bare.of(task, side) for task in table.tasks() for side in ("query", "document")} == {""}
    assert bare.source != table.source


def test_replacing_some_leaves_the_others(table):
    other = table.replaced({"NQ": TaskInstructions("q: ", "d: ")}, "study")
    assert other.of("NQ", "document") == "d: "
    assert other.of("DBPedia", "query") == table.of("DBPedia", "query")


def test_sizes_are_chosen_by_the_number_of_parameters():
    assert [published_size(n) for n in (80_000, 110_000_000, 335_000_000, 1_240_000_000, 4_800_000_000)] == [
        "base",
        "base",
        "large",
        "xl",
        "xl",
    ]
