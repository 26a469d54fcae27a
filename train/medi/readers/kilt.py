"""Reader of KILT: questions whose evidence is named by page and paragraph of a knowledge source.

The knowledge source (35 GB of Wikipedia pages for the published tasks) is read once for each task, line by line, and
only the paragraphs that its questions name are kept.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..files.raw_files import field, find, json_lines, malformed
from ..files.records import Row
from .plain_text import squeeze

logger: logging.Logger = logging.getLogger(__name__)

KNOWLEDGE_SOURCE = "kilt_knowledgesource.json"


class Evidence(NamedTuple):
    """A span of paragraphs of a page, first and last included."""

    page: str
    first: int
    last: int


class Question(NamedTuple):
    """One line of a task's file."""

    row: int
    row_id: str
    text: str
    evidence: list[Evidence]


def kilt(folder: Path, task: str) -> Iterator[Row]:
    """Yields rows: question -> each distinct passage that its provenance names, with the page's title before it.

    Questions without provenance (answers given without evidence) give no row; how many is logged.

    Args:
        folder: Holds `<task>-train-kilt.jsonl`, JSON Lines of `{"id", "input", "output": [{"provenance": [...]}]}`, and
            the knowledge source, JSON Lines of `{"wikipedia_id", "wikipedia_title", "text": [paragraph, ...]}`.
        task: The task's name in its file's.

    Raises:
        ValueError: A line is malformed, or evidence is on a page or paragraph that the knowledge source lacks.
    """
    path, source = find(folder, f"{task}-train-kilt.jsonl"), find(folder, KNOWLEDGE_SOURCE)
    questions = [_question(record, path, row) for row, record in json_lines(path)]
    passages = _passages(source, {span for question in questions for span in question.evidence})
    for question in questions:
        for number, span in enumerate(question.evidence):
            if span not in passages:
                raise malformed(path, question.row, f"{span} is not in {source.name}")
            yield Row(question.text, passages[span], f"{question.row_id}:{number}")
    without = sum(not question.evidence for question in questions)
    logger.info("%s: %d of %d questions name no evidence and give no row", path.name, without, len(questions))


def _question(record: Any, path: Path, row: int) -> Question:
    text = field(record, "input", str, path, row)
    return Question(row, str(record.get("id", row)), text, _evidence(record, path, row))


def _evidence(record: Any, path: Path, row: int) -> list[Evidence]:
    """Returns the distinct spans of all outputs of a question, in order."""
    spans: dict[Evidence, None] = {}
    for output in record.get("output", []):
        for item in output.get("provenance", []):
            page = str(field(item, "wikipedia_id", object, path, row))
            first = field(item, "start_paragraph_id", int, path, row)
            spans[Evidence(page, first, max(first, item.get("end_paragraph_id", first)))] = None
    return list(spans)


def _passages(path: Path, wanted: set[Evidence]) -> dict[Evidence, str]:
    """Returns the text of every wanted span that the knowledge source has."""
    by_page: dict[str, list[Evidence]] = {}
    for span in wanted:
        by_page.setdefault(span.page, []).append(span)
    passages: dict[Evidence, str] = {}
    for row, page in json_lines(path):
        spans = by_page.pop(str(field(page, "wikipedia_id", object, path, row)), ())
        for span in spans:
            paragraphs = field(page, "text", list, path, row)
            if span.last < len(paragraphs):
                title = field(page, "wikipedia_title", str, path, row)
                body = squeeze(" ".join(paragraphs[span.first : span.last + 1]))
                passages[span] = body if span.first == 0 else f"{title}. {body}"  # paragraph 0 is the title
        if not by_page:
            break
    return passages
