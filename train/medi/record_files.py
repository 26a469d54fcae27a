"""Reads the records of a user's file: JSON Lines, CSV, TSV (each also gzipped) or Parquet, row by row."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructor_jax.io.json_files import shown_value
from instructor_jax.io.printable import one_line

from .files.raw_files import csv_rows, json_lines, malformed, refuse_evaluation

FORMATS = (".jsonl", ".csv", ".tsv", ".parquet")
PARQUET_ROWS = 1024  # rows decoded at a time


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
