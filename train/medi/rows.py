"""Readers of a user's own rows: pairs, triples, n negatives, scored pairs, labelled texts; JSONL, CSV or Parquet.

A row needs `query` and `positive`, or `text` and `label`; all else is optional. Other column names are mapped by
`Columns`. Instructions come from the row where it has them, and from the caller otherwise.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from instructor_jax.io.json_files import parse_json, shown_value

from ..data.examples import Example, Side
from .files.raw_files import malformed
from .files.records import Instance, Licence, Source
from .record_files import read_records

NOT_GIVEN = Licence("not given", False)  # nobody but the user knows


@dataclasses.dataclass(frozen=True)
class Columns:
    """Names of the columns or JSON fields of a file. Those that a file does not have are taken as not given.

    Attributes:
        query: Text that searches; required with `positive`.
        positive: Text that should be near the query.
        negatives: Hard negatives: a list of texts, one text, or (in CSV) a JSON list. The columns `negative` and
            `negative_1`, `negative_2`, ... are read too.
        score: Similarity of query and positive.
        weight: Weight of the row in the loss.
        label: Class of the query.
        row_id: Id of the row; without it the row number.
        query_instruction: Instruction of the query, for this row.
        document_instruction: Instruction of positive and negatives, for this row.
        text: The text of a labelled row.

    In JSONL and Parquet a text may also be written [instruction, text].
    """

    query: str = "query"
    positive: str = "positive"
    negatives: str = "negatives"
    score: str = "score"
    weight: str = "weight"
    label: str = "label"
    row_id: str = "id"
    query_instruction: str = "query_instruction"
    document_instruction: str = "document_instruction"
    text: str = "text"


class Records(NamedTuple):
    """Rows that were read already, with their numbers, and the name that messages give the place they come from."""

    place: Path
    rows: Iterable[tuple[int, dict[str, Any]]]


def read_pairs(
    path: Path | Records,
    task: str,
    query_instruction: str = "",
    document_instruction: str | None = None,
    columns: Columns = Columns(),
    score_range: tuple[float, float] = (0.0, 1.0),
) -> Iterator[Example]:
    """Yields pairs, triples or scored pairs of a file as examples.

    Args:
        path: `.jsonl`, `.csv` or `.tsv` (each also `.gz`), or `.parquet`; or rows that were read already.
        task: Name of the task the rows belong to.
        query_instruction: Instruction of queries whose row has none.
        document_instruction: The same for positives and negatives; None = that of the queries (a symmetric task).
        columns: Names of the columns.
        score_range: Lowest and highest score of the file, brought to [0, 1]; for example (0.0, 5.0).

    Raises:
        ValueError: Unknown format, a missing column, or a value of the wrong type or range (with file and row).
    """
    documents = query_instruction if document_instruction is None else document_instruction
    low, high = score_range
    if not low < high:
        raise ValueError(f"score_range={score_range} must be (lowest, highest) with lowest < highest.")
    path, records = path if isinstance(path, Records) else (path, read_records(path))
    for row, record in records:
        query_default = _text(record, columns.query_instruction, path, row, optional=True) or query_instruction
        document_default = _text(record, columns.document_instruction, path, row, optional=True) or documents
        score = _number(record, columns.score, path, row)
        weight = _number(record, columns.weight, path, row)
        try:
            yield Example(
                _side(record, columns.query, query_default, path, row),
                _side(record, columns.positive, document_default, path, row),
                tuple(_negatives(record, columns, document_default, path, row)),
                task,
                _row_id(record, columns, path, row),
                score=None if score is None else (score - low) / (high - low),
                label=_label(record, columns, path, row),
                weight=1.0 if weight is None else weight,
            )
        except ValueError as error:
            if str(error).startswith(str(path)):
                raise
            raise malformed(path, row, str(error)) from error


def read_labelled(path: Path, columns: Columns = Columns()) -> Iterator[Instance]:
    """Yields labelled texts of a file, from which pairs are mined: columns `text` and `label`, optionally `id`."""
    for row, record in read_records(path):
        label = _label(record, columns, path, row)
        if label is None:
            raise malformed(path, row, f"needs the field {columns.label!r}; found {sorted(record)}")
        text = _text(record, columns.text, path, row)
        yield Instance(text, label, _row_id(record, columns, path, row), label=label)


def pairs_source(
    path: Path,
    name: str,
    query_instruction: str = "",
    document_instruction: str | None = None,
    columns: Columns = Columns(),
    score_range: tuple[float, float] = (0.0, 1.0),
) -> Source:
    """Returns a user's file of pairs as a source, for `read_source(source, path.parent)`; see `read_pairs`."""
    documents = query_instruction if document_instruction is None else document_instruction
    read = functools.partial(
        read_pairs,
        task=name,
        query_instruction=query_instruction,
        document_instruction=documents,
        columns=columns,
        score_range=score_range,
    )
    kind = "symmetric" if documents == query_instruction else "asymmetric"
    return Source(name, path.name, query_instruction, documents, read, False, kind, *NOT_GIVEN)


def labels_source(path: Path, name: str, instruction: str = "", columns: Columns = Columns()) -> Source:
    """Returns a user's file of labelled texts as a source, from which pairs are mined; see `read_labelled`."""
    read = functools.partial(read_labelled, columns=columns)
    return Source(name, path.name, instruction, instruction, read, True, "classification", *NOT_GIVEN)


def _side(record: dict[str, Any], name: str, instruction: str, path: Path, row: int) -> Side:
    if name not in record:
        hint = f"found {sorted(record)}; name your columns with --query-column and the like, or Columns(...)"
        raise malformed(path, row, f"needs the field {name!r}; {hint}")
    return _instructed(record[name], name, instruction, path, row)


def _instructed(value: Any, name: str, instruction: str, path: Path, row: int) -> Side:
    if isinstance(value, str):
        return Side(instruction, value)
    if isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value):
        return Side(*value)
    raise malformed(path, row, f"{name!r} must be a text or [instruction, text], is {shown_value(value)}")


def _negatives(record: dict[str, Any], columns: Columns, instruction: str, path: Path, row: int) -> Iterator[Side]:
    for name, value in record.items():
        if value is None or value == "":
            continue  # rows of a table need not have equally many negatives
        if name == columns.negatives:
            values = _list_of_cell(value)
            for item in values if isinstance(values, list) else [values]:
                yield _instructed(item, name, instruction, path, row)
        elif re.fullmatch(r"negative(_\d+)?", name):
            yield _instructed(value, name, instruction, path, row)


def _list_of_cell(value: Any) -> Any:
    """Returns a CSV cell that holds a JSON list as that list; any other value as it is."""
    if isinstance(value, str) and value.startswith("["):
        try:
            return parse_json(value, "the cell")
        except ValueError:
            return value  # a text that begins with a bracket
    return value


def _text(record: dict[str, Any], name: str, path: Path, row: int, optional: bool = False) -> str:
    value = record.get(name)
    if optional and value is None:
        return ""
    if not isinstance(value, str):
        raise malformed(
            path, row, f"the field {name!r} must be a text, is {shown_value(value)}; found {sorted(record)}"
        )
    return value


def _number(record: dict[str, Any], name: str, path: Path, row: int) -> float | None:
    value = record.get(name)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool) or (isinstance(value, str) and "_" in value):  # Python reads "1_000" as a number
            raise ValueError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise malformed(path, row, f"{name!r} must be a number, is {shown_value(value)}")
    return number


def _label(record: dict[str, Any], columns: Columns, path: Path, row: int) -> str | None:
    return _word(record.get(columns.label), columns.label, path, row)


def _row_id(record: dict[str, Any], columns: Columns, path: Path, row: int) -> str:
    return _word(record.get(columns.row_id), columns.row_id, path, row) or str(row)


def _word(value: Any, name: str, path: Path, row: int) -> str | None:
    """Returns a label or an id as text; None where there is none."""
    if isinstance(value, dict | list | bytes):
        raise malformed(path, row, f"{name!r} must be a text or a number, is {shown_value(value)}")
    return None if value is None or value == "" else str(value)
