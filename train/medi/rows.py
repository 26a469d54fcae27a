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
from instructor_jax.io.printable import one_line

from ..data.examples import Example, Side
from .files.raw_files import csv_rows, json_lines, malformed, refuse_evaluation
from .readers.source import Instance, Source

FORMATS = (".jsonl", ".csv", ".tsv", ".parquet")
PARQUET_ROWS = 1024  # rows decoded at a time


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


def file_source(
    path: Path,
    name: str,
    query_instruction: str = "",
    document_instruction: str | None = None,
    columns: Columns = Columns(),
    score_range: tuple[float, float] = (0.0, 1.0),
    labelled: bool = False,
    licence: str = "not given",
    redistributable: bool = False,
) -> Source:
    """Returns a user's file as a source, for `read_source(file_source(path, "mine"), path.parent)`."""
    documents = query_instruction if document_instruction is None else document_instruction
    if labelled:
        documents, kind = query_instruction, "classification"
        read = functools.partial(read_labelled, columns=columns)
    else:
        kind = "symmetric" if documents == query_instruction else "asymmetric"
        read = functools.partial(
            read_pairs,
            task=name,
            query_instruction=query_instruction,
            document_instruction=documents,
            columns=columns,
            score_range=score_range,
        )
    return Source(name, path.name, query_instruction, documents, read, labelled, kind, licence, redistributable)


def read_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields row number and record of a JSONL, CSV, TSV (each also gzipped) or Parquet file."""
    refuse_evaluation(path)
    suffix = Path(path.name.removesuffix(".gz")).suffix
    if suffix == ".csv" or suffix == ".tsv":
        yield from csv_rows(path, (), delimiter="," if suffix == ".csv" else "\t")
    elif suffix == ".jsonl":
        for row, record in json_lines(path):
            if not isinstance(record, dict):
                raise malformed(path, row, f"must be a JSON object, is {shown_value(record)}")
            yield row, record
    elif path.suffix == ".parquet":
        yield from _parquet_rows(path)
    else:
        raise ValueError(f"{path} must end in one of {FORMATS} (.gz allowed but for Parquet).")


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ImportError("reading Parquet needs pyarrow: pip install 'instructor-jax[tables]'") from error
    row = 0
    path.open("rb").close()  # an absent or forbidden file is named by the usual OSError
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise malformed(path, "0 (header)", f"has the column {twice[0]!r} twice")
            for batch in file.iter_batches(batch_size=PARQUET_ROWS):
                for record in batch.to_pylist():
                    row += 1
                    yield row, record
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        raise malformed(path, row, f"damaged, or no Parquet file: {one_line(str(error), 200)}") from error


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
