"""ArrayRecord files, in which rows of bytes lie one behind the other and can be read in any order."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from instructor_jax.io.printable import one_line

_READ_ROWS = 1024


class ArrayRecordWriter:
    """Writes rows to a file with one row a group, which random access needs.

    Raises:
        OSError: The disk is full or the file cannot be written; the library has a RuntimeError for it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        module = _array_record()
        try:
            self._writer: Any = module.ArrayRecordWriter(os.fspath(path), "group_size:1")
        except RuntimeError as error:
            raise self._failed(error) from error

    def write(self, row: bytes) -> None:
        """Appends a row."""
        try:
            self._writer.write(row)
        except RuntimeError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Writes what is left, and closes the file."""
        try:
            self._writer.close()
        except RuntimeError as error:
            raise self._failed(error) from error

    def _failed(self, error: RuntimeError) -> OSError:
        return OSError(f"{self._path} cannot be written: {one_line(str(error), 200)}")


def array_record_data_source(files: Sequence[Path]) -> Any:
    """Opens the rows of several files, end to end, for random access: `len(...)`, `.__getitems__(numbers)`.

    Raises:
        ValueError: A file is no ArrayRecord file.
    """
    _array_record()
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    return ArrayRecordDataSource([os.fspath(path) for path in files])


def stored_rows_of(path: Path) -> Iterator[bytes]:
    """Yields the rows of one ArrayRecord file in order, a thousand at a time in memory."""
    reader = _array_record().ArrayRecordReader(os.fspath(path))
    try:
        rows = reader.num_records()
        for start in range(0, rows, _READ_ROWS):
            yield from reader.read(start, min(rows, start + _READ_ROWS))
    finally:
        reader.close()


def _array_record() -> Any:
    try:
        from array_record.python import array_record_module  # pyright: ignore[reportAttributeAccessIssue]
    except ImportError as error:
        raise ImportError("The mixture is stored in ArrayRecord files: pip install 'instructor-jax[train]'.") from error
    return array_record_module
