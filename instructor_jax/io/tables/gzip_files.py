"""Files that may be gzipped, read without surprises: damage is told in one line, and nothing fills the memory.

Python's `gzip` reports damage with three exceptions, at any read, without the file's name; and a line, or a file that
is read whole, may be a thousand times as large as what lies on disk.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from functools import partial
from typing import Any

from instructor_jax.io.bounds import DOCUMENT_BYTES, LINE_BYTES, MIB
from instructor_jax.io.remote.stored_file import Source

_AT_ONCE = 1 << 17  # bytes; larger buffers are not faster


def open_bytes(path: Source) -> io.BufferedReader:
    """Opens a file for reading, decompressed where its name ends in `.gz`; may be sought in.

    Reading raises a `ValueError` that names the file where the compressed data are damaged or cut short.

    Raises:
        OSError: it cannot be opened.
    """
    file = path.open("rb")
    if path.suffix.lower() != ".gz":
        return file
    return io.BufferedReader(_Unzipped(path, file), _AT_ONCE)


def read_whole(path: Source, limit: int = DOCUMENT_BYTES) -> bytes:
    """Returns the content of a file, decompressed.

    Raises:
        ValueError: it has more than `limit` bytes, or its compressed data are damaged.
        OSError: it cannot be read.
    """
    with open_bytes(path) as file:
        return read_at_most(file, limit, path)


def read_at_most(file: io.BufferedReader, limit: int, where: str | Source) -> bytes:
    """Returns the rest of an open file.

    Raises:
        ValueError: it has more than `limit` bytes.
    """
    content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{where} holds more than {limit // MIB:,} MiB, too much to be read at once; cut it up.")
    return content


def byte_lines(file: io.BufferedReader, where: str | Source) -> Iterator[bytes]:
    """Yields the lines of an open file with their ends. Only a newline ends a line.

    Raises:
        ValueError: a line has more than `LINE_BYTES` bytes.
    """
    for number, line in enumerate(iter(partial(file.readline, LINE_BYTES + 1), b""), start=1):
        if len(line) > LINE_BYTES:
            raise ValueError(f"{where}, line {number}: has more than {LINE_BYTES // MIB} MiB; it is no line of text.")
        yield line


class _Unzipped(io.RawIOBase):
    """The decompressed bytes of a file, which is closed with it."""

    def __init__(self, path: Source, file: io.BufferedReader) -> None:
        self._path, self._file = path, file
        self._gzip = gzip.GzipFile(fileobj=file, mode="rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return self._gzip.readinto(buffer)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise _damaged(self._path, error) from error

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return self._gzip.seek(offset, whence)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise _damaged(self._path, error) from error

    def tell(self) -> int:
        return self._gzip.tell()

    def close(self) -> None:
        if not self.closed:
            self._gzip.close()
            self._file.close()
        super().close()


def _damaged(path: Source, error: Exception) -> ValueError:
    return ValueError(f"{path}: its gzip data are damaged or cut short ({str(error).rstrip('.')}); get the file again.")
