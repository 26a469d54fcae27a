"""About how many rows a file has, told by its beginning: enough for the time left that a bar shows."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from instructor_jax.io.printable import one_line
from instructor_jax.progress import progress_over

from .raw_files import refuse_evaluation

BEGINNING = 4 << 20  # bytes that are looked at, after decompression; gzip takes 128 KiB of the file at a time

Row = TypeVar("Row")


def counted(rows: Iterable[Row], path: Path) -> Iterator[Row]:
    """Returns the rows that are read from a file, and tells how far that is while they are taken."""
    return progress_over(rows, one_line(path.name, 40), estimated_rows(path), "row")


def estimated_rows(path: Path) -> int | None:
    """Returns about how many rows a file of an import has.

    Args:
        path: `.json` (the published file), `.jsonl`, `.csv` or `.tsv` (each also `.gz`), or `.parquet`.

    Returns:
        None where nothing can be told; whatever is wrong with a file is told by who reads it.

    Raises:
        ValueError: The file lies in a folder of evaluation data, none of which is opened.
    """
    refuse_evaluation(path)
    if path.suffix == ".parquet":
        return _rows_of_parquet(path)
    try:
        beginning, share = _beginning(path)
    except (OSError, EOFError, zlib.error):
        return None
    published = path.name.removesuffix(".gz").endswith(".json")
    rows = beginning.count(b'"task_id"' if published else b"\n")
    return round(rows / share) if rows and share else None


def _beginning(path: Path) -> tuple[bytes, float]:
    """Returns the beginning of a file, decompressed, and which share of the file it is."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if path.suffix.lower() == ".gz":
            with gzip.GzipFile(fileobj=file) as unzipped:
                beginning = unzipped.read(BEGINNING)
        else:
            beginning = file.read(BEGINNING)
        return beginning, file.tell() / size if size else 0.0


def _rows_of_parquet(path: Path) -> int | None:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        return None
    try:
        return parquet.read_metadata(path).num_rows
    except (pyarrow.ArrowException, OSError):
        return None
