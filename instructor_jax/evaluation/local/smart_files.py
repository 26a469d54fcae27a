"""The SMART format of the classic test collections (CISI, Cranfield): records of marked fields, parted by `.I number`.

Some records are damaged: parts of an abstract stand under a second `.W`, or under an `.A` or `.B` after it. So all that
follows the first `.W` counts as text until a marker that can only end it.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_MARKER = re.compile(r"^\.([A-Z])(?:\s+(\d+))?\s*$")
_TEXT_GOES_ON = {"A", "B", "W"}


class SmartRecord(NamedTuple):
    """One record: the number after `.I` as it is written, title (`.T`) and text (`.W`) with single blanks."""

    number: str
    title: str
    text: str


def smart_records(lines: Iterable[str], path: Path) -> Iterator[SmartRecord]:
    """Yields the records of a SMART file in their order.

    Args:
        lines: Lines of the file.
        path: The file, for messages.

    Raises:
        ValueError: text before the first `.I`, or an `.I` without a number.
    """
    number, field, fields = "", "", {"T": [], "W": []}
    for place, line in enumerate(lines, start=1):
        marker = _MARKER.match(line)
        if marker is None:
            if not number and line.strip():
                raise ValueError(f"{path}, line {place}: text before the first '.I number'.")
            if field in fields:
                fields[field].append(line)
        elif marker[1] == "I":
            if marker[2] is None:
                raise ValueError(f"{path}, line {place}: '.I' needs a number.")
            if number:
                yield _record(number, fields)
            number, field, fields = marker[2], "", {"T": [], "W": []}
        elif not (field == "W" and marker[1] in _TEXT_GOES_ON):
            field = marker[1]
    if number:
        yield _record(number, fields)


def _record(number: str, fields: dict[str, list[str]]) -> SmartRecord:
    title, text = (" ".join(" ".join(fields[name]).split()) for name in ("T", "W"))
    return SmartRecord(number, title, text)
