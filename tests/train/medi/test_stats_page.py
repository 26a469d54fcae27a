import base64
import re
from html.parser import HTMLParser

import pytest

from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.stats import collect
from instructor_jax.train.medi.stats_page import stats_page, write_stats_page
from instructor_jax.train.medi.storage.staging import Staging
from instructor_jax.train.medi.storage.store import MediStore
from instructor_jax.train.medi.storage.store_writer import write_store

TEXT = "Some text that is long enough to be compared"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixture")
    staging = Staging(folder / "partial")
    for task in ("plain", "<b>bold</b>"):
        rows = [Example(Side("<i>", f"{TEXT} {i}"), Side("D", "x"), (Side("D", "n"),), task, f"{i}") for i in range(5)]
        staging.write(task, rows, about={"licence": "A & B"})
    write_store(folder / "medi", staging)
    return MediStore(folder / "medi")


class Outline(HTMLParser):
    """Tags that are open at the end, and the rows of tables."""

    def __init__(self):
        super().__init__()
        self.open, self.rows, self.sources = [], 0, []

    def handle_starttag(self, tag, attrs):
        self.rows += tag == "tr"
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_well_formed_and_needs_nothing_else(store):
    stats = collect(store, evaluation=[("sts", f"{TEXT} 3"), ("sts", "another text of some length")])
    text = stats_page(stats, "Mixture")
    outline = Outline()
    outline.feed(text)
    assert outline.open == []
    assert len(outline.sources) == 3  # rows, lengths in characters and in words
    for source in outline.sources:
        kind, _, data = source.partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")
    assert "http" not in re.sub(r'src="[^"]*"|http-equiv', "", text)


def test_page_shows_names_as_they_are(store):
    text = stats_page(collect(store), "A & B")
    assert "&lt;b&gt;bold&lt;/b&gt;" in text
    assert "<b>bold" not in text
    assert "<title>A &amp; B</title>" in text
    assert "&lt;i&gt;" in text
    assert store.fingerprint in text
    assert "no evaluation texts were given" in text


def test_contamination_is_shown(store):
    text = stats_page(collect(store, evaluation=[("sts", f"{TEXT} 3"), ("sts", "another text of some length")]), "x")
    assert re.search(r"<td>sts</td><td>2</td>\s*<td>1 <small>\(50\.0%\)</small></td>", text)
    assert "plain 1" in text


def test_file_is_written(store, tmp_path):
    write_stats_page(collect(store), tmp_path / "new" / "page.html", "x")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["page.html"]
