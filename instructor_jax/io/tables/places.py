"""Where the records of a table begin, so that a process can read its share and open nothing else.

Places are found by one pass that looks for line ends only (a Parquet file needs none: its footer counts the rows).
"""

import io
from collections.abc import Iterator
from typing import NamedTuple

from instructor_jax.io.bounds import LINE_BYTES, MIB


class Place(NamedTuple):
    """Where a record begins.

    Attributes:
        row: records of the file before it.
        offset: byte of the file at which it begins; None where the file can only be read from its start (compressed),
            or is asked for by row.
        line: lines of the file before it, for messages.
        file: number of the file, of several.
    """

    row: int
    offset: int | None = None
    line: int = 0
    file: int = 0


def is_wanted(row: int, step: int, first: int) -> bool:
    """Whether a place is asked for: those of the records `first`, `first + step`, ..."""
    return row >= first and (row - first) % step == 0


def byte_lines_with_ends(file: io.BufferedReader, where: str) -> Iterator[bytes]:
    """Yields a file's lines with their ends; a newline, a carriage return or both end one, as in Python's text files.

    Raises:
        ValueError: more than `LINE_BYTES` bytes without a newline.
    """
    while line := file.readline(LINE_BYTES + 1):
        if len(line) > LINE_BYTES:
            raise ValueError(
                f"{where}: has more than {LINE_BYTES // MIB} MiB without a newline; is it a file of lines?"
            )
        if b"\r" in line:
            yield from line.splitlines(keepends=True)
        else:
            yield line
