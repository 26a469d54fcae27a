"""Reader of KILT: questions whose evidence is named by page and paragraph of a knowledge source.

The knowledge source (35 GB of Wikipedia pages for the published tasks) is read once, line by line, and only the
paragraphs that the questions name are kept.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..data.examples import Example, Side
from .files.raw_files import field, json_lines, malformed
from .readers.plain_text import squeeze

logger: logging.Logger = logging.getLogger(__name__)


class Evidence(NamedTuple):
    """A span of paragraphs of a page, first and last included."""

    page: str
    first: int
    last: int


def read_kilt(
    path: Path, knowledge_source: Path, task: str, query_instruction: str = "", document_instruction: str = ""
) -> Iterator[Example]:
    """Question -> each distinct passage its provenance names, with the page's title before it.

    Questions without provenance (KILT's test files, answers given without evidence) give no row; how many is logged.

    Args:
        path: KILT task file, JSON Lines of `{"id", "input", "output": [{"answer", "provenance": [...]}]}`.
        knowledge_source: JSON Lines of `{"wikipedia_id", "wikipedia_title", "text": [paragraph, ...]}`.
        task: name of the task the rows belong to.
        query_instruction: instruction of the question.
        document_instruction: instruction of the passage.

    Raises:
        ValueError: a malformed line, or evidence on a page or paragraph that the knowledge source lacks.
    """
    questions = [(row, record, _evidence(record, path, row)) for row, record in json_lines(path)]
    passages = _passages(knowledge_source, {span for _, _, spans in questions for span in spans})
    without = 0
    for row, record, spans in questions:
        query = Side(query_instruction, field(record, "input", str, path, row))
        without += not spans
        for number, span in enumerate(spans):
            if span not in passages:
                raise malformed(path, row, f"{span} is not in {knowledge_source.name}")
            row_id = f"{record.get('id', row)}:{number}"
            yield Example(query, Side(document_instruction, passages[span]), (), task, row_id)
    logger.info("%s: %d of %d questions name no evidence and give no row", path.name, without, len(questions))


def _evidence(record: Any, path: Path, row: int) -> list[Evidence]:
    """The distinct spans of all outputs of a question, in order."""
    spans: dict[Evidence, None] = {}
    for output in record.get("output", []) if isinstance(record, dict) else []:
        for item in output.get("provenance", []):
            page = str(field(item, "wikipedia_id", object, path, row))
            first = field(item, "start_paragraph_id", int, path, row)
            spans[Evidence(page, first, max(first, item.get("end_paragraph_id", first)))] = None
    return list(spans)


def _passages(path: Path, wanted: set[Evidence]) -> dict[Evidence, str]:
    """Text of every wanted span that the knowledge source has."""
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
