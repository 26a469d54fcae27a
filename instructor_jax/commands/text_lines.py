"""The lines of a UTF-8 file, of a gzip-compressed one, or of standard input, decoded one by one.

Files are split at newline bytes before they are decoded: an undecodable byte is reported with its line, and a form feed
or U+2028 inside a text does not end its line (Python's text files would end it there or hide the place of the error).
"""

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path


def is_stdin(path: Path) -> bool:
    """Whether a path stands for standard input."""
    return str(path) in ("-", "/dev/stdin")


class TextLines:
    """The decoded lines of a UTF-8 file, their ends included; `number` is that of the last line given."""

    def __init__(self, path: Path) -> None:
        self.name = "standard input" if is_stdin(path) else str(path)
        self.number = 0
        self._owned = not is_stdin(path)
        self._raw = open(path, "rb") if self._owned else sys.stdin.buffer  # noqa: SIM115 - closed by close()
        self._size = os.fstat(self._raw.fileno()).st_size if self._owned and path.is_file() else 0
        compressed = path.suffix.lower() == ".gz"
        self._bytes = io.BufferedReader(gzip.GzipFile(fileobj=self._raw), 1 << 20) if compressed else self._raw  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[str]:
        try:
            for line in self._bytes:
                self.number += 1
                text = line.decode("utf-8")
                yield text.removeprefix("\ufeff") if self.number == 1 else text
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{self.name}, line {self.number}: byte {error.start + 1} is not UTF-8 ({error.reason}); "
                "convert the file, for example with iconv -f latin1 -t utf-8"
            ) from error
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{self.name}: damaged gzip data after line {self.number}: {error}") from error

    def fraction_read(self) -> float | None:
        """Position in the file (of a compressed one: in its compressed bytes) relative to its size."""
        if not self._size or self._raw.closed:
            return None
        return min(self._raw.tell() / self._size, 1.0)

    def close(self) -> None:
        """Close what was opened here."""
        if self._owned:
            self._raw.close()
