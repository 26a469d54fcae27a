"""Text from files, made safe to show: a terminal must not obey what a stranger wrote into a name.

Control characters (C0, DEL, C1) can recolour, rename or rewrite a terminal; marks that turn the direction of writing
can make a line read as another one (CVE-2021-42574). Both are replaced by a visible escape.
"""

import re

from instructor_jax.io.bounds import MESSAGE_CHARACTERS

# C0 but for tab and newline, DEL, C1, line and paragraph separators, and the marks of Unicode TR9 that turn direction.
# Lone surrogates stand for bytes of a file name that are no UTF-8; a terminal in UTF-8 cannot be sent them.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Returns `text` with every character that a terminal could obey replaced by its escape, such as `\x1b`.

    Tabs and newlines stay; use `one_line` where they must not.
    """
    return _UNSAFE.sub(_escaped, text)


def one_line(text: str, limit: int = MESSAGE_CHARACTERS) -> str:
    """Returns `text` printable, on one line, with runs of white space as single blanks, cut to `limit` characters."""
    joined = " ".join(printable(text[: 4 * limit].replace("\r", "\n")).split())
    return joined if len(joined) <= limit and len(text) <= 4 * limit else joined[: max(limit - 3, 0)] + "..."


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
