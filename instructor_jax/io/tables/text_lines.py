"""The lines of a UTF-8 file, of a gzip-compressed one, or of standard input, decoded one by one.

A line ends at a newline, a carriage return, or both, as in Python's text files. Bytes that are not UTF-8 are reported
with their line, and a line without end is refused before it fills the memory. What is no text at all (an archive, a
spreadsheet, another encoding) is told by its first bytes, with the way to make text of it.
"""

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from typing import Any

from instructor_jax.io.bounds import LINE_BYTES
from instructor_jax.io.remote.stored_file import Source, StoredFile

# First bytes of files that are often taken for text, and what to do. The longer beginnings come first.
_BEGINNINGS = (
    (b"\xff\xfe\x00\x00", "is in UTF-32; convert it: iconv -f UTF-32 -t UTF-8"),
    (b"\x00\x00\xfe\xff", "is in UTF-32; convert it: iconv -f UTF-32 -t UTF-8"),
    (b"\xff\xfe", "is in UTF-16; convert it: iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "is in UTF-16; convert it: iconv -f UTF-16 -t UTF-8"),
    (b"\x1f\x8b", "is compressed by gzip; its name must end in .gz, and standard input goes through zcat"),
    (b"PK\x03\x04", "is a ZIP archive or a spreadsheet (.xlsx); unpack it, or save the sheet as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "is an old spreadsheet or document (.xls, .doc); save it as CSV or text in UTF-8"),
    (b"PAR1", "is a Parquet file; give --format parquet, or a name that ends in .parquet"),
    (b"ARROW1", "is an Arrow file; save it as Parquet"),
    (b"ORC", "is an ORC file; save it as Parquet"),
    (b"%PDF", "is a PDF; take its text out: pdftotext"),
    (b"BZh", "is compressed by bzip2; unpack it: bunzip2"),
    (b"\xfd7zXZ\x00", "is compressed by xz; unpack it: unxz"),
    (b"\x28\xb5\x2f\xfd", "is compressed by zstd; unpack it: unzstd"),
    (b"SQLite format 3", "is an SQLite database; export the table as CSV"),
    (b"\x93NUMPY", "is a NumPy array, not text"),
    (b"\x89PNG", "is a picture, not text"),
    (b"\xff\xd8\xff", "is a picture, not text"),
    (b"\x7fELF", "is a program, not text"),
)
# UTF-16 without a mark at its beginning: every other byte of Latin text is zero.
_LOOKED_AT = 64


def is_stdin(path: Source) -> bool:
    """Whether a path stands for standard input."""
    return str(path) in ("-", "/dev/stdin")


class TextLines:
    """The decoded lines of a UTF-8 file; `number` is that of the last line given.

    Args:
        path: the file; a last suffix .gz means that it is compressed.
        keep_ends: give every line with its end as it is; otherwise without.
        offset: byte to begin at, of a file that is not compressed; a line begins there.
        before: how many lines lie before it.

    Raises:
        ValueError: it is no UTF-8 text; with the line, or with what it is instead.
        OSError: it cannot be read.
    """

    def __init__(self, path: Source, *, keep_ends: bool = False, offset: int = 0, before: int = 0) -> None:
        self.name = "standard input" if is_stdin(path) else str(path)
        self.path = path
        self.number = before
        self._keep_ends = keep_ends
        self._owned = not is_stdin(path)
        if not self._owned and (sys.stdin is None or sys.stdin.closed):
            raise ValueError("standard input is closed; give a file, or pipe texts into the command")
        self._raw = path.open("rb") if self._owned else _buffered(sys.stdin.buffer)
        try:
            if isinstance(path, StoredFile):
                self._size = path.size
            else:
                self._size = os.fstat(self._raw.fileno()).st_size if self._owned and path.is_file() else 0
            compressed = path.suffix.lower() == ".gz" and self._owned
            unpacked = io.BufferedReader(gzip.GzipFile(fileobj=self._raw), 1 << 20) if compressed else self._raw  # type: ignore[arg-type]
            if offset:
                self._raw.seek(offset)
            else:
                self._refuse_other_kinds(unpacked, compressed)
            # What is not UTF-8 becomes a lone surrogate, so that it can be told with its line.
            self._text = io.TextIOWrapper(
                unpacked, "utf-8", errors="surrogateescape", newline="" if keep_ends else None
            )
        except BaseException:
            if self._owned:
                self._raw.close()
            raise

    def _refuse_other_kinds(self, file: Any, compressed: bool) -> None:
        try:
            start = file.peek(_LOOKED_AT)[:_LOOKED_AT]
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise self._damaged_gzip(error) from error
        kind = next((kind for begin, kind in _BEGINNINGS if start.startswith(begin)), None)
        if kind is None and len(start) > 3 and b"\x00" in (start[0:1], start[1:2]) and start.count(0) * 3 > len(start):
            zeros = start.count(0) == len(start)
            kind = "holds zero bytes and no text" if zeros else "is in UTF-16; convert it: iconv -f UTF-16LE -t UTF-8"
        if kind is not None:
            inside = ", once unpacked," if compressed else ""
            raise ValueError(f"{self.name}{inside} {kind}.")

    def __iter__(self) -> Iterator[str]:
        while True:
            try:
                line = self._text.readline(LINE_BYTES + 1)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise self._damaged_gzip(error) from error
            if not line:
                return
            self.number += 1
            if not line.isascii():
                self._require_utf8(line)
                line = line.removeprefix("\ufeff") if self.number == 1 else line
            if len(line) > LINE_BYTES:
                raise ValueError(
                    f"{self.name}, line {self.number}: is longer than {LINE_BYTES:,} characters; "
                    "is it a text file, and do its lines end?"
                )
            yield line if self._keep_ends else line.removesuffix("\n")

    def _require_utf8(self, line: str) -> None:
        try:
            line.encode("utf-8")
        except UnicodeEncodeError as error:
            at = len(line[: error.start].encode("utf-8")) + 1
            value = ord(line[error.start]) - 0xDC00
            raise ValueError(
                f"{self.name}, line {self.number}: byte {at} is not UTF-8 (0x{value:02x}); "
                "convert the file, for example with iconv -f WINDOWS-1252 -t UTF-8"
            ) from error

    def _damaged_gzip(self, error: Exception) -> ValueError:
        hint = "; if it is plain text, give it a name without .gz" if isinstance(error, gzip.BadGzipFile) else ""
        return ValueError(f"{self.name}: damaged gzip data after line {self.number}: {error}{hint}")

    def again(self, offset: int = 0, before: int = 0) -> "TextLines":
        """The same file opened anew, at a byte where a line begins; with the number of lines before it.

        Raises:
            ValueError: it is standard input, which can be read once only.
        """
        if not self._owned:
            raise ValueError("standard input cannot be read in shares; write it to a file first")
        return TextLines(self.path, keep_ends=self._keep_ends, offset=offset, before=before)

    def fraction_read(self) -> float | None:
        """Position in the file (of a compressed one: in its compressed bytes) relative to its size."""
        if not self._size or self._raw.closed:
            return None
        return min(self._raw.tell() / self._size, 1.0)

    def close(self) -> None:
        """Close what was opened here; standard input stays open."""
        if self._owned:
            self._raw.close()
        elif not self._raw.closed:
            self._text.detach()


def _buffered(stream: Any) -> io.BufferedReader:
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)
