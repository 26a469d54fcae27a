"""Names, licences and texts of strangers in pages, reports, model cards and on the terminal: shown, never obeyed."""

import html
from html.parser import HTMLParser
from pathlib import Path

import pytest

from instructor_jax import markdown
from instructor_jax.evaluation.protocol import corrected
from instructor_jax.evaluation.report.comparisons import comparison_table, comparisons
from instructor_jax.evaluation.report.markdown import markdown as report_markdown
from instructor_jax.evaluation.report.page import report_page
from instructor_jax.evaluation.report.published import published_scores
from instructor_jax.evaluation.report.tables import average_table, published_columns, run_column
from instructor_jax.evaluation.runner import Run
from instructor_jax.evaluation.scores import TaskScore, missing
from instructor_jax.evaluation.studies.outcomes import StudyOutcome, TaskOutcome
from instructor_jax.evaluation.studies.report import study_markdown, study_page
from instructor_jax.train.run.report import report

PUBLISHED = published_scores()
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></table><h1>mine",
    "a | b | c",
    "line\n\n# heading",
    "`code` *bold* _slanted_ ~~gone~~",
    "[here](javascript:alert(1))",
    "![x](http://example.com/track.png)",
    "&lt;b&gt;",
    "\x1b[31mred\x1b[0m\x07",
    "\u202egnp.exe",
    "$x^{$ and $$",
    "_hidden",
    "ﬀ 漢字 é",
)


class Tags(HTMLParser):
    """Every tag and attribute of a page, and whether all are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def harmless(text: str) -> None:
    found = Tags()
    found.feed(text)
    assert found.open == []
    assert found.tags.count("script") == 1  # the page's own
    assert not any(name.startswith("on") for name in found.attributes)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.count("<h1>") == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_of_markdown_is_one_cell_of_plain_text(text) -> None:
    lines = markdown.table(["a", "b"], [[text, "x"]]).split("\n")
    assert len(lines) == 3
    shown = lines[2]
    bare = shown.replace("\\\\", "")
    for mark in "|<>[]`*~$&":
        inside = bare[2:-2].replace(f"\\{mark}", "")
        assert inside.count(mark) == (1 if mark == "|" else 0)
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nli_datasets_1", "nli_datasets_1"),
        ("_x_", "\\_x\\_"),
        ("# heading", "\\# heading"),
        ("1. list", "1\\. list"),
        ("12.50", "12.50"),
        ("-0.5", "-0.5"),
        ("- list", "\\- list"),
        ("--- x", "\\--- x"),
        ("CC BY-SA 4.0", "CC BY-SA 4.0"),
        ("a\\|b", "a\\\\\\|b"),
    ],
)
def test_markdown_is_escaped_only_where_it_means_something(text, shown) -> None:
    assert markdown.escaped(text) == shown


def run(model: str = "some/model", limit: int | None = None, instructions: str = "task_instructions.csv") -> Run:
    return Run(model, "r" * 8, 10, 4, 128, corrected().settings(), "corrected", instructions, limit, 42)


def score(task: str, figure: float, kind: str = "STS", **details: object) -> TaskScore:
    return TaskScore("mteb", task, kind, figure, "cosine_spearman", details)


@pytest.mark.parametrize("text", ["".join(HOSTILE)])
def test_reports_of_evaluations(text) -> None:
    pytest.importorskip("matplotlib")
    scores = [
        score("STS12", 50.0, encoded={text: text}, note=text, data=text),
        TaskScore("local", text, text, 12.0, text, {"note": text}),
        missing("mteb", "NQ", "Retrieval", "ndcg_at_10", text),
    ]
    runs = [(run(model=text, instructions=text), scores)]
    harmless(report_page(runs, PUBLISHED))
    shown = report_markdown(runs, PUBLISHED)
    assert "<script" not in shown.replace("\\<", "")
    assert "\x1b" not in shown
    assert "\n# heading" not in shown


@pytest.mark.parametrize("text", ["".join(HOSTILE)])
def test_reports_of_studies_and_trainings(text) -> None:
    pytest.importorskip("matplotlib")
    incomplete = TaskOutcome("b", "STS", "m", {"none": None, "full": None}, text)
    tasks = (TaskOutcome(text, text, "m", {"none": 1.0, "full": 2.0}), incomplete)
    outcome = StudyOutcome("without", text, ("none", "full"), tasks)
    harmless(study_page(outcome))
    assert "\n# heading" not in study_markdown(outcome)
    numbers = dict.fromkeys(("loss", "gradient_norm", "learning_rate", "padding", "seconds", "input_wait"), 0.5)
    line = {"step": 1, **numbers, "tokens_per_second": 5.0, "accuracy": None}
    held = {"loss": 1.0, "accuracy": 0.5, "tasks": {text: {"rows": 1.0, "loss": 1.0, "accuracy": 0.5}}}
    harmless(report([line, {"step": 1, "held_out": held}, {"step": 1, "evaluation": {text: 5.0}}], text))


# like with like


def column(figures: dict[str, float], **changes: object):
    return run_column(run(**changes), [score(task, value) for task, value in figures.items()], PUBLISHED)  # type: ignore[arg-type]


def test_two_tasks_stand_beside_published_means_of_the_same_two() -> None:
    own = column({"STS12": 77.0, "Banking77Classification": 78.0})
    columns = [own, *published_columns(PUBLISHED)]
    whole = {row[0]: row for row in average_table(columns).rows}
    assert whole["some/model"][1:4] == ("– (2/56)", "–", "")
    assert "77.50" not in " ".join(whole["some/model"])
    (found,) = comparisons(columns, PUBLISHED.tasks)
    assert found.title == "2 of the paper's 70 tasks"
    shown = comparison_table(found)
    assert shown.heads[-1] == "2 of MTEB's 56 tasks"
    rows = {row[0]: row for row in shown.rows}
    assert rows["some/model"][-1] == "77.50"
    large = PUBLISHED.model("instructor-large").figures
    assert rows["instructor-large"][-1] == f"{(large['STS12'] + large['Banking77Classification']) / 2:.2f}"


def test_all_tasks_of_one_group_are_that_group() -> None:
    figures = {task: 60.0 for task, group in PUBLISHED.tasks.items() if group == "STS"}
    columns = [column(figures), *published_columns(PUBLISHED)]
    row = average_table(columns).rows[0]
    assert row[average_table(columns).heads.index("STS")] == "60.00"
    (found,) = comparisons(columns, PUBLISHED.tasks)
    assert comparison_table(found).heads == ("model", "STS")


def test_no_task_of_the_paper_is_no_comparison() -> None:
    columns = [column({"OwnLocal": 5.0}), *published_columns(PUBLISHED)]
    assert comparisons(columns, PUBLISHED.tasks) == []
    assert average_table(columns).rows[0][3] == ""  # nothing is published of it
    assert set(average_table(columns).rows[0][1:3] + average_table(columns).rows[0][4:]) == {"–"}


def test_runs_of_different_tasks_are_compared_over_those_they_share() -> None:
    first, second = column({"STS12": 70.0, "STS13": 80.0}, model="a"), column({"STS13": 60.0, "STS14": 90.0}, model="b")
    found = comparisons([first, second, *published_columns(PUBLISHED)], PUBLISHED.tasks)
    assert [tuple(one.tasks) for one in found] == [("STS13",), ("STS12", "STS13"), ("STS13", "STS14")]
    rows = {row[0]: row[1] for row in comparison_table(found[0]).rows}
    assert (rows["a"], rows["b"]) == ("80.00", "60.00")
    assert "b" not in {row[0] for row in comparison_table(found[1]).rows}


def test_runs_without_a_common_task_are_not_compared_with_each_other() -> None:
    found = comparisons([column({"STS12": 70.0}, model="a"), column({"NQ": 60.0}, model="b")], PUBLISHED.tasks)
    assert [[one.title for one in each.columns] for each in found] == [["a"], ["b"]]


def test_a_sample_does_not_stand_beside_whole_tasks() -> None:
    columns = [column({"STS12": 70.0}, limit=500), *published_columns(PUBLISHED)]
    (found,) = comparisons(columns, PUBLISHED.tasks)
    assert [one.title for one in found.columns] == ["some/model (at most 500)"]
    assert "do not compare" in found.note
    assert average_table(columns).rows[0][3] == ""  # nothing is published of it
    assert set(average_table(columns).rows[0][1:3] + average_table(columns).rows[0][4:]) == {"–"}


def test_the_page_and_the_markdown_say_how_many_tasks() -> None:
    pytest.importorskip("matplotlib")
    runs = [(run(), [score("STS12", 77.0), score("Banking77Classification", 78.0)])]
    page_text, text = report_page(runs, PUBLISHED), report_markdown(runs, PUBLISHED)
    for shown in (page_text, text):
        assert "2 of the paper's 70 tasks" in html.unescape(shown)
        assert "mean of MTEB" not in html.unescape(shown)
    assert "mean of 2 of MTEB's 56 tasks" in html.unescape(page_text)


def test_what_medi_inspect_prints_is_for_the_terminal(capsys, tmp_path: Path) -> None:
    from instructor_jax.cli import main

    from .small_mixture import write_mixture

    store = write_mixture(tmp_path / "mix", text="red \x1b[31m and \u202e turned", licence="\x1b]0;title\x07")
    main(["medi", "inspect", str(store)])
    main(["medi", "inspect", str(store), "--task", "*"])
    printed = capsys.readouterr().out
    assert "\\x1b" in printed
    assert "\x1b" not in printed
    assert "\u202e" not in printed
