"""Streaming reader of the published `medi-data.json`: one JSON list of more than a million records, in constant memory.

`json` can only load such a file whole (several gigabytes of objects); here the list is walked in chunks of text and
one record is decoded at a time. Record: `{"query": [instruction, text], "pos": [...], "neg": [...], "task_id": int}`.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructor_jax.io.json_files import parse_json_at, shown_value

from ..data.examples import Example, Side
from .files.raw_files import field, malformed, open_binary

CHUNK = 1 << 20  # characters read at a time
LONGEST_RECORD = 1 << 24  # characters; beyond, the file is taken for damaged instead of being loaded whole
# How near the end of the text at hand a decoding error must lie to mean "the record goes on": a cut \\uXXXX escape.
CUT_SHORT = 16


def read_published(path: Path, instruction_suffix: str | None = None) -> Iterator[Example]:
    """Yields the records of a published MEDI file: task `medi_{task_id:03d}`, row id = record number.

    Args:
        path: Path of the file.
        instruction_suffix: What the instructions end in instead of the published ";" (which has no space after it). ":
            " is the style of evaluation and of every other source here; None keeps the published strings, as training
            in parity with the original needs them.

    Raises:
        ValueError: A record is malformed (file and record number), or the file ends before its list does.
    """
    for row, record in json_list_records(path):
        query, positive = (_side(record, name, path, row, instruction_suffix) for name in ("query", "pos"))
        negatives = _negatives(record, path, row, instruction_suffix)
        task = field(record, "task_id", int, path, row)
        yield Example(query, positive, negatives, f"medi_{task:03d}", str(row))


def json_list_records(path: Path, chunk: int = CHUNK) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields number from 1 and value of each object of a JSON list, reading `chunk` characters at a time."""
    with open_binary(path) as binary:
        window = _Window(io.TextIOWrapper(binary, encoding="utf-8-sig"), chunk)
        row = 0
        try:
            if window.take() != "[":
                raise malformed(path, 1, "the file must be one JSON list and begin with '['")
            follows = window.take()
            while follows != "]":
                row += 1
                if follows != "{":
                    raise malformed(path, row, f"expected a JSON object, found {follows!r:.3}")
                window.at -= 1
                yield row, _decode(window, path, row)
                follows = window.take()
                if follows == ",":
                    follows = window.take()
                    if follows == "]":
                        raise malformed(path, row + 1, "a comma before the end of the list")
                elif follows != "]":
                    end = "the file ends inside its list; the download may be cut short"
                    raise malformed(path, row, f"expected ',' or ']', found {follows!r}" if follows else end)
        except UnicodeDecodeError as error:
            raise malformed(path, row + 1, f"not UTF-8: {error.reason}") from error
        if rest := window.take():
            raise malformed(path, row, f"the list ends, but the file goes on with {rest!r}")


class _Window:
    """The part of a text file that is at hand; `text[at:]` is unread."""

    def __init__(self, file: io.TextIOBase, chunk: int):
        self.file, self.chunk = file, chunk
        self.text, self.at = "", 0

    def more(self) -> bool:
        """Reads on, forgetting what is behind; False at the end of the file."""
        piece = self.file.read(self.chunk)
        self.text, self.at = self.text[self.at :] + piece, 0
        return bool(piece)

    def take(self) -> str:
        """Returns the next character that is not white space, "" at the end of the file.

        Raises:
            ValueError: There is nothing but white space for longer than any record is.
        """
        for _ in range(2 + LONGEST_RECORD // self.chunk):
            while self.at < len(self.text):
                character = self.text[self.at]
                self.at += 1
                if not character.isspace():
                    return character
            if not self.more():
                return ""
        raise ValueError(f"more than {LONGEST_RECORD:,} characters of white space; the file is damaged")


def _decode(window: _Window, path: Path, row: int) -> dict[str, Any]:
    """Decodes the object that begins at the window, which is moved behind it."""
    while True:
        try:
            record, window.at = parse_json_at(window.text, window.at, f"{path}, row {row}")
            return record
        except json.JSONDecodeError as error:
            # An open string is reported at its start, everything else where it was found.
            cut = error.msg.startswith("Unterminated string") or error.pos >= len(window.text) - CUT_SHORT
            if not cut or len(window.text) - window.at > LONGEST_RECORD:
                raise malformed(path, row, f"not JSON: {error.msg}") from error
            if not window.more():
                raise malformed(path, row, "the file ends inside this record; the download may be cut short") from error


def _side(record: Any, name: str, path: Path, row: int, suffix: str | None) -> Side:
    return _instructed(field(record, name, list, path, row), name, path, row, suffix)


def _negatives(record: Any, path: Path, row: int, suffix: str | None) -> tuple[Side, ...]:
    """Returns the negatives: one [instruction, text], as published, or a list of them."""
    value = field(record, "neg", list, path, row)
    several = value if value and isinstance(value[0], list) else [value]
    return tuple(_instructed(item, "neg", path, row, suffix) for item in several)


def _instructed(value: Any, name: str, path: Path, row: int, suffix: str | None) -> Side:
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(text, str) for text in value):
        raise malformed(path, row, f"{name!r} must be [instruction, text], is {shown_value(value)}")
    instruction, text = value
    return Side(instruction if suffix is None else instruction.rstrip("; :") + suffix, text)
