"""The site: built without a warning, its notebooks executed, every link in it leading somewhere, words spelt right."""

import importlib.util
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

NEEDED = ("sphinx", "furo", "myst_nb", "sphinx_copybutton", "sphinx_design", "langchain_core")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),  # the first test waits for the build
    pytest.mark.skipif(any(importlib.util.find_spec(name) is None for name in NEEDED), reason="needs the extra `docs`"),
]


@pytest.fixture(scope="module")
def site(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; it took no warning and no error in a cell of a notebook."""
    site = tmp_path_factory.mktemp("docs") / "site"
    # the notebooks show one device and programs as they are compiled for users
    environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", str(site)],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return site


class Page(HTMLParser):
    """The links of a built page, and what links may lead to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.add(value)
            elif name in ("id", "name") and value:
                self.anchors.add(value)


def broken(pages: dict[str, Page], site: Path) -> list[str]:
    """Links inside the site that lead to no file, or to no place in it."""
    found = []
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = Path(os.path.normpath(Path(name).parent / unquote(parts.path))) if parts.path else Path(name)
            anchors = pages[target.as_posix()].anchors if target.as_posix() in pages else set()
            if not (site / target).is_file() or (parts.fragment and unquote(parts.fragment) not in anchors):
                found.append(f"{name}: {link}")
    return sorted(found)


def test_pages_of_the_code_are_in_it(site: Path) -> None:
    assert "instructor-jax train" in (site / "reference/commands/train.html").read_text(encoding="utf-8")
    assert "gradient_cache_chunks" in (site / "reference/settings.html").read_text(encoding="utf-8")
    inventory = (site / "reference/api/embedding.html").read_text(encoding="utf-8")
    assert 'id="instructor_jax.Instructor.encode"' in inventory
    assert "reference/settings.html" in (site / "llms.txt").read_text(encoding="utf-8")


def test_tutorials_show_what_came_out(site: Path, repository: Path) -> None:
    for notebook in (repository / "docs" / "tutorials").glob("*.md"):
        text = (site / "tutorials" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        assert "cell_output" in text, notebook.name
        assert "Traceback" not in text, notebook.name
        assert "%%bash" not in text, notebook.name
        assert str(Path.home()) not in text, f"{notebook.name} shows a path of this machine"
    assert "river and stream: 0." in (site / "tutorials/first_minute.html").read_text(encoding="utf-8")
    for drawn in ("two_instructions", "compare_instructions", "fine_tune", "own_loss"):
        text = (site / f"tutorials/{drawn}.html").read_text(encoding="utf-8")
        assert 'src="../_images/' in text, drawn


def test_a_reader_with_a_laptop_gets_to_the_pod(site: Path) -> None:
    text = (site / "tutorials/laptop_to_pod.html").read_text(encoding="utf-8")
    # the dry run, the run, the one that was stopped
    assert text.count("8 x cpu, 1 processes (data 2, fsdp 4, tensor 1)") == 3
    assert "8 x cpu, 2 processes (data 2, fsdp 4, tensor 1)" in text
    assert "2 x cpu, 1 processes (data 2, fsdp 1, tensor 1)" in text  # gone on with other devices
    assert "exit code 75" in text
    assert text.count("20 steps; model: runs/") == 2
    assert "60 steps; model: runs/stopped/model" in text
    assert "step 20 of runs/one" in text


def test_every_link_inside_the_site_leads_somewhere(site: Path) -> None:
    pages = {path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    assert sum(len(page.links) for page in pages.values()) > 1000
    assert broken(pages, site) == []
    away = {"index.html": Page('<a href="gone.html"></a><a href="#gone"></a><a href="search.html#gone"></a>')}
    assert len(broken(pages | away, site)) == 3, "a broken link would be seen"


def test_words_are_spelt_as_usual(repository: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "codespell_lib"], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
