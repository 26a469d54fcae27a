"""Reader of the sentence-transformers embedding-training files: `.jsonl` or `.jsonl.gz`, one of four forms a line.

`[a, b]` is a pair; `[a, p, n, ...]` a pair with hard negatives; `{"set": [...]}` texts that mean the same;
`{"query": ..., "pos": [...], "neg": [...]}` a query with several positives, `neg` optional.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructor_jax.io.json_files import shown_value

from ..data.examples import Example, Side
from .files.raw_files import json_lines, malformed, texts_field
from .files.records import Row
from .readers.plain_text import chained


def read_sentence_transformers(
    path: Path, task: str, query_instruction: str = "", document_instruction: str | None = None
) -> Iterator[Example]:
    """Yields the rows of one file.

    A set of n texts gives n - 1 pairs of neighbours, which share a label; a query with several positives gives a row
    for each, all with its negatives.

    Args:
        path: Path of the file.
        task: Name of the task the rows belong to.
        query_instruction: Instruction of the first text.
        document_instruction: Instruction of positives and negatives; None = that of the query.

    Raises:
        ValueError: A line has none of the four forms (with file and line).
    """
    documents = query_instruction if document_instruction is None else document_instruction
    for number, value in json_lines(path):
        for row in _rows(value, path, number):
            negatives = tuple(Side(documents, text) for text in row.negatives)
            sides = Side(query_instruction, row.query), Side(documents, row.positive)
            yield Example(*sides, negatives, task, row.row_id, label=row.label)


def _rows(value: Any, path: Path, number: int) -> Iterator[Row]:
    if isinstance(value, list) and len(value) >= 2 and all(isinstance(text, str) for text in value):
        yield Row(value[0], value[1], str(number), tuple(value[2:]))
    elif isinstance(value, dict) and "set" in value:
        for place, (one, other) in enumerate(chained(texts_field(value, "set", path, number))):
            yield Row(one, other, f"{number}:{place}", label=str(number))
    elif isinstance(value, dict) and isinstance(value.get("query"), str) and "pos" in value:
        negatives = tuple(texts_field(value, "neg", path, number)) if "neg" in value else ()
        for place, positive in enumerate(texts_field(value, "pos", path, number)):
            yield Row(value["query"], positive, f"{number}:{place}", negatives)
    else:
        forms = '[a, b], [a, positive, negative, ...], {"set": [...]}, {"query": ..., "pos": [...], "neg": [...]}'
        raise malformed(path, number, f"must be one of {forms}; is {shown_value(value)}")
