"""Links of pages that also have to work in a repository: what lies outside docs/ is a page of the site, or no link."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

# Files outside docs/ that are pages of the site; the page in docs/ is one line that points to the file.
FROM_ROOT = {
    "CHANGELOG.md": "project/changes",
    "CONTRIBUTING.md": "project/contributing",
    "SECURITY.md": "project/security",
    "benchmarks/README.md": "project/benchmarks",
    "examples/README.md": "project/examples",
    "README.md": "index",
}
# Pages that the build writes; a clean checkout has none of them.
_WRITTEN = ("docs/reference/settings.md", "docs/reference/commands/")
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?![a-z]+:|#)([^()#\s]+)(#[^()\s]*)?\)")


def mend_links(app: object, docname: str, source: list[str]) -> None:
    """Puts files of `FROM_ROOT` in the place of their pages, and mends the links of a page (event `source-read`)."""
    place = DOCS / f"{docname}.md"
    text = source[0]
    for file, page in FROM_ROOT.items():
        if page == docname and page.startswith("project/"):
            place, text = ROOT / file, (ROOT / file).read_text(encoding="utf-8")
    if place.exists():
        source[0] = mended(text, place, docname)


def mended(text: str, place: Path, docname: str) -> str:
    """Returns a page's text with links that the site can follow.

    Args:
        text: Markdown of the page.
        place: File that the links of the text are relative to.
        docname: Name of the page on the site, such as `project/changes`.

    Raises:
        ValueError: A link leads to no file.
    """
    here = (DOCS / docname).parent

    def link(match: re.Match[str]) -> str:
        words, path, anchor = match[1], match[2], match[3] or ""
        target = Path(os.path.normpath(place.parent / path))
        inside = Path(os.path.relpath(target, ROOT)).as_posix()
        written = inside.startswith(_WRITTEN)
        if not written and not target.exists():
            raise ValueError(f"{place.name}: the link to {path} leads to no file")
        if inside in FROM_ROOT:
            target = DOCS / f"{FROM_ROOT[inside]}.md"
        if target.is_relative_to(DOCS) and (written or target.is_file()):
            return f"[{words}]({os.path.relpath(target, here)}{anchor})"
        return _in_repository(words, inside)

    return _LINK.sub(link, text)


def _in_repository(words: str, path: str) -> str:
    """Returns a link to a file of the repository where its address is known, its name otherwise."""
    repository = os.environ.get("READTHEDOCS_GIT_CLONE_URL", "").removesuffix(".git")
    if repository.startswith("https://"):
        return f"[{words}]({repository}/blob/{os.environ.get('READTHEDOCS_GIT_COMMIT_HASH', 'main')}/{path})"
    return words if path in words else f"{words} (`{path}`)"
