"""Every page is valid HTML5 that loads nothing, and shows what strangers wrote without obeying it."""

import functools
import html
import re
from pathlib import Path
from typing import Any

import html5lib
import pytest

from instructor_jax.commands.nearest import Hit
from instructor_jax.commands.search_page import is_search_page, search_page
from instructor_jax.evaluation.protocol import corrected
from instructor_jax.evaluation.report.page import report_page
from instructor_jax.evaluation.report.published import published_scores
from instructor_jax.evaluation.runner import Run
from instructor_jax.evaluation.scores import TaskScore, missing
from instructor_jax.evaluation.studies.outcomes import StudyOutcome, TaskOutcome
from instructor_jax.evaluation.studies.ranking import Ranked
from instructor_jax.evaluation.studies.ranking_report import as_page
from instructor_jax.evaluation.studies.report import study_page
from instructor_jax.pages.own_pages import is_our_page
from instructor_jax.pages.plots import label, plot
from instructor_jax.pages.render import render
from instructor_jax.train.medi.stats import LENGTH_EDGES, SIDES, Lengths, MixtureStats, TaskStats
from instructor_jax.train.medi.stats_page import stats_page
from instructor_jax.train.run.report import report

pytest.importorskip("matplotlib")

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</td></table></style></title><h1>mine",
    "{{ 7 * 7 }} {% raw %}",
    "&lt;b&gt;",
    "\x00\x08\x1b[31mred\x1b[0m\x7f\x9f",
    "\u202egnp.exe\u2066",
    "half a pair \ud800",
    "$x^{$",
)
TAG = "{http://www.w3.org/1999/xhtml}"


def evaluation(text: str) -> str:
    run = Run(text, "r" * 8, 10, 4, 128, corrected().settings(), "corrected", text, None, 42)
    scores = [
        TaskScore("mteb", "STS12", "STS", 50.0, text, {"encoded": {text: text}, "note": text, "data": text}),
        TaskScore("local", text, text, 12.0, text, {"note": text}),
        missing("mteb", "NQ", "Retrieval", "ndcg_at_10", text),
    ]
    return report_page([(run, scores)], published_scores())


def study(text: str) -> str:
    incomplete = TaskOutcome("b", "STS", "m", {"none": None, "full": None}, text)
    tasks = (TaskOutcome(text, text, "m", {"none": 1.0, "full": 2.0}), incomplete)
    return study_page(StudyOutcome("without", text, ("none", "full"), tasks))


def training(text: str) -> str:
    numbers = dict.fromkeys(("loss", "gradient_norm", "learning_rate", "padding", "seconds", "input_wait"), 0.5)
    line = {"step": 1, **numbers, "tokens_per_second": 5.0, "accuracy": 0.5, "agreement": 0.5, "mfu": 0.1}
    held = {"loss": 1.0, "accuracy": 0.5, "tasks": {text: {"rows": 1.0, "loss": 1.0, "accuracy": 0.5}}}
    return report([line, {"step": 1, "held_out": held}, {"step": 1, "evaluation": {text: 5.0}}], text)


def mixture(text: str) -> str:
    lengths = {(side, "words"): Lengths(3.0, 9, LENGTH_EDGES[1:]) for side in SIDES}
    task = TaskStats(text, 10, [(text, text, 6), (text, "", 4)], 0.5, lengths, 1, 1, text)  # type: ignore[arg-type]
    stats = MixtureStats(text, [task], ("words",), 1, {text: (2, 1)}, {(text, text): 1}, {0: 5, 1: 5})
    return stats_page(stats, text)


def comparison(text: str) -> str:
    facts = {"file": text, "model": text, "rows": 5, "metric": text, "resamples": 10}
    first = Ranked(text, 50.0, (40.0, 60.0), None, {text: 1.0}, [text])
    return as_page([first, Ranked("", 0.0, (0.0, 0.0), (1.0, 2.0), {text: 0.0}, [])], facts)


def search(text: str) -> str:
    hits = [Hit(0.9, 0, (None, text)), Hit(0.5, 1, (text, "plain"))]
    return search_page([text, "nothing"], [hits, []], corpus=text, model=text)


PAGES = (evaluation, study, training, mixture, comparison, search)


def elements(page: str) -> list[Any]:
    """Every element of a page; an error of its HTML is an error."""
    found = html5lib.HTMLParser(strict=True).parse(page).iter()
    return [element for element in found if isinstance(element.tag, str)]  # others are comments


@pytest.fixture(scope="module", params=PAGES)
def make(request: pytest.FixtureRequest):
    """Makes one kind of page, drawing its plots for every text once."""
    return functools.cache(request.param)


def test_a_page_is_valid_html_whatever_it_shows(make) -> None:
    page = make("".join(HOSTILE))
    page.encode("utf-8")
    found = elements(page)
    kinds = [element.tag.removeprefix(TAG) for element in found]
    assert kinds == [element.tag.removeprefix(TAG) for element in elements(make("plain"))]  # no element is the text's
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert kinds.count("h1") == kinds.count("main") == kinds.count("title") == 1
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page)
    for element in found:
        assert not any(name.startswith("on") for name in element.attrib)
        assert element.get("href") is None
        if element.tag == f"{TAG}img":
            assert element.get("src", "").startswith("data:image/png;base64,")
            assert element.get("alt")


def test_a_page_suits_phones_the_dark_and_the_offline(make) -> None:
    page = make("plain")
    assert '<meta charset="utf-8">' in page
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    assert "prefers-color-scheme: dark" in page
    assert "default-src 'none'" in page
    assert "http" not in re.sub(r'src="[^"]*"|http-equiv', "", page)
    assert "plain" in html.unescape(page)


def test_templates_never_switch_escaping_off(repository: Path) -> None:
    templates = [path for top in ("instructor_jax", "train") for path in (repository / top).rglob("*.jinja")]
    assert len(templates) == 8
    for path in templates:
        assert not re.search(r"\|\s*(safe|e|escape|forceescape)\b|autoescape", path.read_text()), path
    for path in [path for top in ("instructor_jax", "train") for path in (repository / top).rglob("*.py")]:
        assert "Markup" not in path.read_text(), path


def test_what_a_template_needs_and_nobody_gave_is_an_error() -> None:
    with pytest.raises(Exception, match="'model' is undefined"):
        render("instructor_jax.commands", "search_page.html.jinja", title="a", maker="b", corpus="c")
    assert "<title>a b</title>" in render("instructor_jax.pages", "layout.html.jinja", title="a\nb")


EARLIER = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Mixture</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #2b3440; }
"""


def test_a_page_is_known_to_be_ours(make, tmp_path) -> None:
    path = tmp_path / "page.html"
    path.write_text(make("plain"), encoding="utf-8")
    is_search = "instructor-jax search --html" in make("plain")
    assert is_search_page(path) == is_search
    assert is_our_page(path) != is_search


def test_reports_of_earlier_versions_are_ours_and_pages_of_strangers_are_not(tmp_path) -> None:
    path = tmp_path / "page.html"
    path.write_text(EARLIER)
    assert is_our_page(path)
    strangers = ["", "<!doctype html>\n<title>x</title>", EARLIER.replace("system-ui", "serif"), EARLIER[1:]]
    mark = '<meta name="generator" content="instructor-jax">'
    for text in (*strangers, f"notes on {mark}", f"<!doctype html><title>{mark}</title>"):
        path.write_text(text)
        assert not is_our_page(path)
        assert not is_search_page(path)
    assert not is_our_page(tmp_path / "absent")
    assert not is_our_page(tmp_path)


def test_labels_of_plots_are_short_and_never_left_out() -> None:
    assert label("_hidden") == " _hidden"
    assert len(label("x" * 500)) == 60
    assert "\n" not in label("a\nb")
    drawn = plot("a line", lambda axes: axes.set_title("$x^{$"), 1.0)
    assert drawn.alt == "a line"
    assert drawn.source.startswith("data:image/png;base64,")
