"""Readers of word problems with their solutions: GSM8K and SVAMP."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..files.raw_files import field, find, json_document, json_lines, malformed
from ..files.records import Instance, Row
from .plain_text import squeeze


def gsm8k(folder: Path) -> Iterator[Row]:
    """Yields rows: word problem -> worked solution, without the calculator marks `<<48/2=24>>` that repeat it."""
    path = find(folder, "train.jsonl")
    for row, record in json_lines(path):
        solution = re.sub(r"<<[^<>]*>>", "", field(record, "answer", str, path, row))
        steps, mark, result = solution.rpartition("####")
        if not mark:
            raise malformed(path, row, "the answer lacks its '#### result' line")
        yield Row(field(record, "question", str, path, row), f"{steps.strip()}\nAnswer: {result.strip()}", str(row))


def svamp_equation(folder: Path) -> Iterator[Row]:
    """Yields rows: word problem -> its equation, such as `( 76.0 - 25.0 )`."""
    for problem, record, path, row in _svamp(folder):
        yield Row(problem, field(record, "Equation", str, path, row), field(record, "ID", str, path, row))


def svamp_operation(folder: Path) -> Iterator[Instance]:
    """Yields rows: word problem labelled with the operation that solves it. One row spells it "Common-Divison"."""
    for problem, record, path, row in _svamp(folder):
        operation = field(record, "Type", str, path, row).replace("Divison", "Division")
        yield Instance(problem, operation, field(record, "ID", str, path, row), label=operation)


def _svamp(folder: Path) -> Iterator[tuple[str, Any, Path, int]]:
    path = find(folder, "SVAMP.json")
    for row, record in enumerate(json_document(path, list), start=1):
        body, question = (field(record, name, str, path, row).strip() for name in ("Body", "Question"))
        yield squeeze(f"{body}{'' if body.endswith(('.', '?', '!', ',')) else '.'} {question}"), record, path, row
