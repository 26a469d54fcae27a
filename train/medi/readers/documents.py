"""Readers of technical documents cut into sections: the Rust book, the OWASP cheat sheets, the Python proposals.

The query is the heading with the page's title before it, since headings like "Introduction" name nothing alone. The
next section of the same page is the hard negative.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..files.archive_files import tar_texts
from ..files.raw_files import find, malformed
from ..files.records import Row
from .plain_text import squeeze
from .sections import Section, markdown_sections, plain_rst, rst_sections

SHORTEST_SECTION = 15  # words: below, a section is a stub, a list of links or a caption
NOT_CONTENT = frozenset({"copyright", "references", "footnotes", "acknowledgements", "acknowledgments", "see also"})


def rust_book(folder: Path) -> Iterator[Row]:
    """Returns rows: section heading of the Rust book -> section."""
    return _markdown_rows(find(folder, "rust_book_src.tar"), exclude=("SUMMARY.md", "title-page.md"))


def owasp_cheatsheets(folder: Path) -> Iterator[Row]:
    """Returns rows: section heading of a guide on application security -> section."""
    return _markdown_rows(find(folder, "cheatsheets.tar"), exclude=())


def peps_abstract(folder: Path) -> Iterator[Row]:
    """Yields rows: title of a Python proposal -> its abstract."""
    for name, title, sections, _ in _peps(folder):
        for section in sections:
            if section.title.casefold() == "abstract":
                yield Row(title, section.body, name)
                break


def peps_section(folder: Path) -> Iterator[Row]:
    """Yields rows: section heading of a Python proposal -> section."""
    for name, title, sections, _ in _peps(folder):
        yield from _section_rows(name, title, sections)


def _markdown_rows(path: Path, exclude: Sequence[str]) -> Iterator[Row]:
    for name, text in tar_texts(path, ".md"):
        sections = markdown_sections(text)
        if sections and not name.endswith(tuple(exclude)):
            page = Path(name).stem
            title = sections[0].title if sections[0].level <= 2 else page.replace("_", " ")
            yield from _section_rows(page, title, sections)


def _section_rows(page: str, title: str, sections: Sequence[Section]) -> Iterator[Row]:
    kept = [
        (number, section)
        for number, section in enumerate(sections)
        if len(section.body.split()) >= SHORTEST_SECTION and section.title.casefold() not in NOT_CONTENT
    ]
    for place, (number, section) in enumerate(kept):
        heading = title if section.title == title else f"{title}: {section.title}"
        turned = [other for _, other in kept[place + 1 :] + kept[:place] if other.title != section.title]
        yield Row(squeeze(heading), section.body, f"{page}:{number}", tuple(other.body for other in turned[:1]))


def _peps(folder: Path) -> Iterator[tuple[str, str, list[Section], Path]]:
    """Yields name, title and sections of each proposal."""
    path = find(folder, "peps.tar")
    for name, text in tar_texts(path, ".rst"):
        header, _, body = text.partition("\n\n")
        title = re.search(r"^Title:\s*(.+(?:\n[ \t]+.+)*)", header, flags=re.MULTILINE)
        if not title:
            raise malformed(
                path / name, "1 (header)", "a proposal needs a Title in the block above its first blank line"
            )
        yield Path(name).stem, squeeze(plain_rst(title[1])), rst_sections(body), path
