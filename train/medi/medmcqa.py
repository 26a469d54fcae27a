"""Reader of MedMCQA: medical entrance questions with four options, the right one's number and an explanation.

The published files count options from 1, the copies in some collections from 0; the two cannot be told apart row by
row, so the caller says which, and a number outside the range is an error.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from ..data.examples import Example, Side
from .files.raw_files import field, json_lines, malformed
from .readers.plain_text import squeeze

OPTIONS = ("opa", "opb", "opc", "opd")


def read_medmcqa(
    path: Path,
    task: str = "medmcqa",
    query_instruction: str = "",
    document_instruction: str = "",
    target: Literal["answer", "explanation"] = "answer",
    first_option: Literal[0, 1] = 1,
) -> Iterator[Example]:
    """Question -> right option with the others as hard negatives, or question -> explanation.

    Args:
        path: JSON Lines of `{"id", "question", "opa".."opd", "cop", "exp"}`.
        task: name of the task the rows belong to.
        query_instruction: instruction of the question.
        document_instruction: instruction of options or explanation.
        target: what the positive is; rows without an explanation come out empty and are dropped by `read_source`.
        first_option: number that `cop` gives the first option.

    Raises:
        ValueError: a malformed line; `cop` out of range, as in the test file, whose answers are not published.
    """
    for row, record in json_lines(path):
        right = field(record, "cop", int, path, row) - first_option
        if not 0 <= right < len(OPTIONS):
            numbers = f"{first_option}..{first_option + len(OPTIONS) - 1}"
            hint = "; pass first_option=0 if the file counts from 0" if first_option and right == -1 else ""
            raise malformed(path, row, f"cop={record['cop']} must be one of {numbers}{hint}")
        question = Side(query_instruction, squeeze(field(record, "question", str, path, row)))
        row_id = str(record.get("id", row))
        positive, *negatives = _texts(record, right, target, path, row)
        sides = tuple(Side(document_instruction, text) for text in negatives)
        yield Example(question, Side(document_instruction, positive), sides, task, row_id)


def _texts(record: Any, right: int, target: str, path: Path, row: int) -> list[str]:
    """The positive and the negatives."""
    if target == "explanation":
        return [squeeze(record.get("exp") or "")]
    options = [squeeze(str(field(record, name, object, path, row))) for name in OPTIONS]  # some are numbers
    return [options.pop(right), *options]
