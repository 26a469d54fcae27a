"""Cutting Markdown and reStructuredText documents into sections, each with the headings above it.

A line that looks like a heading inside a code block is content: in Markdown fences are followed, in reStructuredText a
heading is only a line at the left margin with an underline as long as itself.
"""

import re
from typing import NamedTuple

RST_ADORNMENT = re.compile(r"([=\-~^\"'`*+#:._])\1{2,}")


class Section(NamedTuple):
    """A heading and the text up to the next heading of any level; `level` is 1 for the topmost."""

    level: int
    title: str
    body: str


def markdown_sections(text: str) -> list[Section]:
    """Returns the sections of a Markdown document with `#` headings, in order.

    Text before the first heading is left out.
    """
    sections: list[tuple[int, str, list[str]]] = []
    fence = ""
    for line in text.split("\n"):
        opened = re.match(r"\s*(?:>\s*)*(`{3,}|~{3,})", line)
        if opened and (not fence or (opened[1].startswith(fence) and not line.strip(" >`~"))):
            fence = "" if fence else opened[1]
        heading = None if fence else re.fullmatch(r"(#{1,6})\s+(.+?)\s*#*\s*", line)
        if heading:
            sections.append((len(heading[1]), plain_markdown(heading[2]), []))
        elif sections:
            sections[-1][2].append(line)
    return [Section(level, title, plain_markdown("\n".join(body))) for level, title, body in sections]


def plain_markdown(text: str) -> str:
    """Returns Markdown without what only web pages need: link targets, anchors, comments, includes, empty code."""
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"^\s*\{\{#.*\}\}\s*$\n?", "", text, flags=re.MULTILINE)
    text = re.sub(r"</?(?:a|img|span|Listing|div|br|p|section)\b[^>]*>", "", text)
    text = re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\[([^\]]*)\](?:\([^)\s]*\)|\[[^\]]*\])", r"\1", text)
    text = re.sub(r"^\[[^\]]+\]:\s+\S+.*$\n?", "", text, flags=re.MULTILINE)
    text = re.sub(r"^(\s*)(`{3,})[^\n`]*\n\s*\2\s*$\n?", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def rst_sections(text: str) -> list[Section]:
    """Returns the sections of a reStructuredText document.

    The level follows from the order in which underlines first occur.
    """
    rows = text.split("\n")
    styles: list[tuple[str, bool]] = []
    starts: list[tuple[int, int, int, str]] = []  # first line, first body line, level, title
    for i in range(1, len(rows)):
        title, underline = rows[i - 1].rstrip(), rows[i].rstrip()
        is_heading = bool(title) and not title[0].isspace() and not RST_ADORNMENT.fullmatch(title)
        if is_heading and RST_ADORNMENT.fullmatch(underline) and len(underline) >= len(title):
            over = i >= 2 and rows[i - 2].rstrip() == underline
            style = underline[0], over
            if style not in styles:
                styles.append(style)
            starts.append((i - 1 - over, i + 1, styles.index(style) + 1, title))
    ends = [*(start[0] for start in starts[1:]), len(rows)]
    return [
        Section(level, plain_rst(title), plain_rst("\n".join(rows[first:end])))
        for (_, first, level, title), end in zip(starts, ends, strict=False)
    ]


def plain_rst(text: str) -> str:
    """Returns reStructuredText without link targets, roles, footnote marks and comments for editors."""
    text = re.sub(r"^\.\.\s*(?:\n[ \t]+.*|_[^\n]*:.*|\[[^\]]*\].*(?:\n[ \t]+\S.*)*)$\n?", "", text, flags=re.MULTILINE)
    text = re.sub(r"`([^`<]+?)\s*<[^`>]*>`__?", r"\1", text)
    text = re.sub(r":(pep|rfc):`(\d+)`", lambda role: f"{role[1].upper()} {role[2]}", text)
    text = re.sub(r":(?:[a-z]+:)?[a-z-]+:`([^`]*)`", r"\1", text)
    text = re.sub(r"\s?\[(?:#[\w-]*|\d+)\]_", "", text)
    text = re.sub(r"`([^`]+)`_+", r"\1", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()
