"""Text of strangers in Markdown: shown as it is, whatever it contains.

A name with a pipe must not end a table's cell, and one with a tag, a link or a backquote must not become one: model
cards and reports are read on web sites.
"""

import re
from collections.abc import Iterable, Sequence

from instructor_jax.io.printable import one_line

# What has a meaning inside a line. An underscore between letters has none (GitHub's Markdown), and names are full of
# them. A dollar sign opens a formula, a tilde strikes through.
_INLINE = re.compile(r"[\\`*\[\]<>|&~$]|(?<![^\W_])_|_(?![^\W_])")
_FIRST = re.compile(r"^([#+\-=])(?=[\s#+\-=]|$)|^(\d+)([.)])(?=\s|$)")  # at the beginning of a line: headings, lists


def escaped(text: str, limit: int = 10_000) -> str:
    """Returns the text on one line, such that Markdown shows it as it is."""
    inside = _INLINE.sub(lambda found: f"\\{found[0]}", one_line(text, limit))
    return _FIRST.sub(lambda m: f"\\{m[1]}" if m[1] else f"{m[2]}\\{m[3]}", inside)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table of plain texts."""
    lines = [
        [escaped(head) for head in heads],
        ["---"] * len(heads),
        *([escaped(cell) for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bullets(lines: Iterable[str]) -> str:
    """Returns a list of plain texts."""
    return "\n".join(f"- {escaped(line)}" for line in lines)


def folded(summary: str, content: str) -> str:
    """Returns Markdown that is shown when its summary is clicked on.

    Args:
        summary: a plain text of ours.
        content: Markdown.
    """
    return f"<details><summary>{summary}</summary>\n\n{content}\n\n</details>"
