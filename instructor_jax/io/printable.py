"""Text from files, made safe to show: a terminal must not obey what a stranger wrote into a name.

Control characters (C0, DEL, C1) can recolour, rename or rewrite a terminal; marks that turn the direction of writing
can make a line read as another one (CVE-2021-42574). Both are replaced by a visible escape. Passwords in addresses and
access tokens are hidden, because messages and reports are pasted into public places.
"""

import json
import re
import reprlib
from collections.abc import Sequence
from typing import Any

MESSAGE_CHARACTERS = 1000  # a name of a tensor or file that is longer than this says nothing to anybody

# C0 but for tab and newline, DEL, C1, line and paragraph separators, and the marks of Unicode TR9 that turn direction.
# Lone surrogates stand for bytes of a file name that are no UTF-8; a terminal in UTF-8 cannot be sent them.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# RFC 3986: what stands before the @ of an address is a name and a password; a query may hold a token.
_USER = re.compile(r"(?<=://)[^\s/?#@]*(?:@[^\s/?#@]*)*@")
_QUERY = re.compile(r"(://[^\s?#'\"<>]*)[?#][^\s'\"<>]+")
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{8,}")  # how access tokens of the Hugging Face hub begin

# Writes only the beginning of what is long, so that a message about a million texts does not hold them.
_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother = 3, MESSAGE_CHARACTERS, MESSAGE_CHARACTERS
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = _REPR.maxset = 30


def printable(text: str) -> str:
    r"""Returns `text` with every character that a terminal could obey replaced by its escape, such as `\x1b`.

    Tabs and newlines stay; use `one_line` where they must not.
    """
    return _UNSAFE.sub(_escaped, text)


def one_line(text: str, limit: int = MESSAGE_CHARACTERS, mark: str = "...") -> str:
    """Returns `text` printable, on one line, with runs of white space as single blanks, cut to `limit` characters.

    Args:
        text: of any length.
        limit: most characters, `mark` included.
        mark: stands at the end of what was cut.
    """
    joined = " ".join(printable(text[: 4 * limit].replace("\r", "\n")).split())
    return joined if len(joined) <= limit and len(text) <= 4 * limit else joined[: max(limit - len(mark), 0)] + mark


def excerpt(text: str, width: int) -> str:
    """Returns `text` for a table or a picture: as `one_line`, but what was cut costs a single character."""
    return one_line(text, width, "…")


def shown(value: Any, limit: int = 100) -> str:
    """Returns a value of any kind as a message shows it: as Python writes it, on one line, cut, whatever its size."""
    try:
        text = _REPR.repr(value) if isinstance(value, str | list | tuple | dict | set) else repr(value)
    except Exception:  # a repr of the caller's that fails must not hide what is wrong
        return f"a {type(value).__name__}"
    return one_line(text, limit)


def few(names: Sequence[str]) -> str:
    """Returns up to five names for a message, printable and cut."""
    listed = ", ".join(one_line(name, 120) for name in names[:5])
    return listed + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")


def without_secrets(text: str) -> str:
    """Returns `text` with the names and passwords in addresses, their queries, and access tokens of the hub hidden."""
    return _TOKEN.sub("(hidden)", _QUERY.sub(r"\1?(hidden)", _USER.sub("(hidden)@", text)))


def json_text(value: Any, *, indent: int | None = None, ascii_only: bool = False) -> str:
    r"""Returns `value` as JSON in which the characters that `printable` replaces are `\u` escapes: the same value.

    Args:
        value: what `json.dumps` takes.
        indent: blanks a level; all on one line if None.
        ascii_only: escape every other character as well, for a stream that cannot carry it.
    """
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    # Outside its strings JSON has none of them; inside, C0 characters are escaped already.
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) if not text.isascii() or "\x7f" in text else text


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
