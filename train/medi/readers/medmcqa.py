"""Reader of MedMCQA: medical entrance questions with four options, the right one's number and an explanation."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..files.raw_files import field, find, json_lines, malformed
from .plain_text import squeeze
from .source import Row

_FILES = ("train.json", "dev.json")  # the answers of test.json are not published
_OPTIONS = ("opa", "opb", "opc", "opd")


def answers(folder: Path) -> Iterator[Row]:
    """Yields rows: question -> right option; the other options are hard negatives.

    Raises:
        ValueError: A line is malformed, or the right option's number is none of 1 to 4.
    """
    for path, row, record in _records(folder):
        options = [squeeze(str(field(record, name, object, path, row))) for name in _OPTIONS]  # some are numbers
        right = field(record, "cop", int, path, row)
        if not 1 <= right <= len(_OPTIONS):
            hint = "; some copies count from 0, the published files do not" if right == 0 else ""
            raise malformed(path, row, f"cop={right} must be one of 1..{len(_OPTIONS)}{hint}")
        positive = options.pop(right - 1)
        yield Row(_question(record, path, row), positive, _row_id(record, path, row), tuple(options))


def explanations(folder: Path) -> Iterator[Row]:
    """Yields rows: question -> explanation of the answer; those without one come out empty and are dropped."""
    for path, row, record in _records(folder):
        explanation = squeeze(record.get("exp") or "")
        yield Row(_question(record, path, row), explanation, _row_id(record, path, row))


def _records(folder: Path) -> Iterator[tuple[Path, int, Any]]:
    for name in _FILES:
        path = find(folder, name)
        for row, record in json_lines(path):
            yield path, row, record


def _question(record: Any, path: Path, row: int) -> str:
    return squeeze(field(record, "question", str, path, row))


def _row_id(record: Any, path: Path, row: int) -> str:
    return field(record, "id", str, path, row)
