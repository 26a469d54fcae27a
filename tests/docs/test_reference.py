"""The reference is complete: every verb with its options, every setting with a sentence, every public name."""

import dataclasses
import importlib
import re
import typing
from pathlib import Path

import pytest
from manual.commands import command_page, index_page
from manual.links import FROM_ROOT, mended
from manual.llms import llms
from manual.settings import attributes_of, settings, settings_page

from instructor_jax.cli import VERBS
from instructor_jax.train import RunConfig
from instructor_jax.train.settings.flat import flat

FRONT_DOORS = ("instructor_jax", "instructor_jax.losses", "instructor_jax.train")
VERBS_BELOW = {
    "medi": ("sources", "fetch", "build", "import", "inspect", "stats", "mine"),
    "convert": ("verify",),
    "leaderboard": ("meta", "results", "card"),
}
# The name of one option of each verb, which its page has to have with a sentence.
OPTIONS = {
    "encode": "--shard",
    "similarity": "--heatmap",
    "search": "--top-k",
    "serve": "--max-items",
    "train": "--dry-run",
    "export": "--dtype",
    "plan": "--topology",
    "medi": "--query-column",
    "evaluate": "--benchmark",
    "compare-instructions": "--instructions-file",
    "leaderboard": "--name",
    "convert": "--to",
    "create": "--size",
    "push": "--private",
    "doctor": "--json",
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_page_has_options_and_examples_of_its_verb(verb: str) -> None:
    page = command_page(verb)
    assert page.startswith(f"# instructor-jax {verb}\n")
    # in every line of an option something stands behind the colon, unless the option says all by its name
    described = [line for line in page.splitlines() if re.match(r"\* `[^`]*--", line)]
    assert sum(bool(re.search(r"`: [^*]", line)) for line in described) >= 0.9 * len(described)
    assert re.search(rf"^\* `[^`]*{OPTIONS[verb]}\b", page, re.MULTILINE), page
    assert page.count("```") % 2 == 0
    # whatever module Python was started with, such as pytest and sphinx
    assert not re.search(r"^\$ .* -m ", page, re.MULTILINE)
    examples = [code for code in re.findall(r"```bash\n(.*?)```", page, re.DOTALL) if "instructor-jax " in code]
    assert examples or verb == "doctor"
    for below in VERBS_BELOW.get(verb, ()):
        assert f"\n## instructor-jax {verb} {below}\n" in page


def test_the_index_lists_every_verb() -> None:
    page = index_page()
    assert set(OPTIONS) == set(VERBS)
    for verb, (_, summary) in VERBS.items():
        assert f"| [`{verb}`]({verb}.md) | {summary} |" in page


def test_every_setting_has_a_sentence_and_its_default() -> None:
    found = {one.key: one for one in settings(RunConfig())}
    assert set(found) == set(flat(RunConfig()))
    for one in found.values():
        assert len(one.meaning.split()) >= 3, one
        assert one.kind, one
    page = settings_page()
    assert all(f"| `{key}` | " in page for key in found)
    assert found["batch.rows"].default == "8"
    assert {"none", "full", "dots"} <= set(found["remat"].kind.split(" | "))


def test_a_setting_without_a_sentence_is_an_error() -> None:
    @dataclasses.dataclass(frozen=True)
    class Section:
        """Settings.

        Attributes:
            told: Number of things.
        """

        told: int = 1
        untold: int = 2

    assert attributes_of(Section) == {"told": "Number of things."}
    with pytest.raises(ValueError, match="untold"):
        list(settings(Section()))


def documented(repository: Path) -> set[str]:
    """Names on the API pages."""
    text = "".join(path.read_text(encoding="utf-8") for path in (repository / "docs/reference/api").glob("*.md"))
    return set(re.findall(r"^\.\. auto\w+:: ([\w.]+)$", text, re.MULTILINE))


@pytest.mark.parametrize("door", FRONT_DOORS)
def test_every_public_name_is_on_an_api_page(door: str, repository: Path) -> None:
    public = {f"{door}.{name}" for name in importlib.import_module(door).__all__}
    missing = public - documented(repository) - {"instructor_jax.__version__", "instructor_jax.losses"}
    assert not missing


def test_what_pages_and_examples_import_is_on_an_api_page(repository: Path) -> None:
    """What a page tells a reader to import is public, wherever it lies."""
    pages = [repository / "README.md", *(repository / "docs").rglob("*.md"), *(repository / "examples").glob("*.py")]
    imported = set()
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for module, names in re.findall(r"^from (instructor_jax[\w.]*) import ([\w, ]+)", text, re.MULTILINE):
            imported |= {f"{module}.{name.strip()}" for name in names.split(",")}
    assert len(imported) >= 20
    assert imported <= documented(repository) | {"instructor_jax.train.recipes"}  # a module, with all its members


def test_links_out_of_the_docs_become_pages_or_names(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("READTHEDOCS_GIT_CLONE_URL", raising=False)
    page = repository / "docs/performance.md"
    text = "[a](../benchmarks/README.md), [b](../deploy/kubernetes.yaml), [c](scale.md#gpus), [d](https://jax.dev)"
    expected = "[a](project/benchmarks.md), b (`deploy/kubernetes.yaml`), [c](scale.md#gpus), [d](https://jax.dev)"
    assert mended(text, page, "performance") == expected
    monkeypatch.setenv("READTHEDOCS_GIT_CLONE_URL", "https://example.org/x.git")
    assert "[b](https://example.org/x/blob/main/deploy/kubernetes.yaml)" in mended(text, page, "performance")
    with pytest.raises(ValueError, match=r"nothing\.md"):
        mended("[a](nothing.md)", page, "performance")


def test_links_of_all_pages_lead_to_files(repository: Path) -> None:
    """Also of README and the other pages at the root, as they are read in a repository."""
    pages = [repository / name for name in FROM_ROOT]
    pages += [path for path in (repository / "docs").rglob("*.md") if "commands" not in path.parts]
    for path in pages:
        inside = path.relative_to(repository / "docs") if path.is_relative_to(repository / "docs") else Path("x.md")
        mended(path.read_text(encoding="utf-8"), path, inside.with_suffix("").as_posix())


def slugs(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_anchors_of_links_between_pages_are_headings(repository: Path) -> None:
    pages = [repository / name for name in FROM_ROOT] + sorted((repository / "docs").rglob("*.md"))
    found = 0
    for page in pages:
        for path, anchor in re.findall(
            r"\]\((?![a-z]+:)([^()#\s]*\.md)#([^()\s]+)\)", page.read_text(encoding="utf-8")
        ):
            found += 1
            assert anchor in slugs(page.parent / path), f"{page.name}: {path}#{anchor}"
    assert found > 20


def test_every_page_is_in_the_tree(repository: Path) -> None:
    listed = "".join(path.read_text(encoding="utf-8") for path in (repository / "docs").rglob("index.md"))
    for path in (repository / "docs").rglob("*.md"):
        name = path.relative_to(repository / "docs").with_suffix("").as_posix()
        if path.name != "index.md" and "commands" not in path.parts:
            assert re.search(rf"^({name}|{path.stem})$", listed, re.MULTILINE), f"add {name} to docs/index.md"


def test_llms_txt_lists_the_pages() -> None:
    assert llms({"b/c": "See", "a": "About"}).endswith("## Pages\n\n- [About](a.html)\n- [See](b/c.html)\n")


def test_types_of_settings_are_those_of_the_records() -> None:
    hints = typing.get_type_hints(RunConfig)
    kinds = {one.key: one.kind for one in settings(RunConfig())}
    assert hints["steps"] is int
    assert kinds["steps"] == "int"
    assert kinds["pool_instruction"] == "bool | None"
    assert kinds["evaluation.tasks"] == "list[str]"
