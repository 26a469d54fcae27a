"""A file of a store that is read where it lies, by ranges of bytes; nothing is copied to this machine.

`StoredFile` has those methods of a path that readers of tables ask for. It is plain data: other processes can be given
it, and open the store by themselves.
"""

import dataclasses
import io
from pathlib import Path, PurePosixPath
from typing import Any

_BLOCK = 1 << 20  # bytes that are asked for at a time


@dataclasses.dataclass(frozen=True)
class StoredFile:
    """A file of a store.

    Attributes:
        url: Where it lies.
        size: Its bytes.
        version: What the store says of this content (an ETag, or the time of writing).
    """

    url: str
    size: int
    version: str

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part of its URL."""
        return PurePosixPath(self.url).name

    @property
    def suffix(self) -> str:
        """The last suffix of its name."""
        return PurePosixPath(self.url).suffix

    @property
    def suffixes(self) -> list[str]:
        """The suffixes of its name."""
        return PurePosixPath(self.url).suffixes

    def is_file(self) -> bool:
        """Returns True: what it was made of was a file."""
        return True

    def is_dir(self) -> bool:
        """Returns False."""
        return False

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """Opens it for reading; may be sought in.

        Raises:
            OSError: The store does not give it; with its URL, at any read too.
            ValueError: A mode other than "rb".
        """
        if mode != "rb":
            raise ValueError(f"{self.url} can only be read; mode={mode!r} must be 'rb'")
        return io.BufferedReader(_Ranges(self), _BLOCK)


class _Ranges(io.RawIOBase):
    """The bytes of a file in a store, as they are asked for."""

    def __init__(self, file: StoredFile) -> None:
        import fsspec

        from instructor_jax.io.remote.folders import told

        self._url, self._told = file.url, told
        with told(file.url):
            fs, path = fsspec.core.url_to_fs(file.url)
            self._file = fs.open(path, "rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._told(self._url):
            content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if not self.closed and hasattr(self, "_file"):
            self._file.close()
        super().close()


# What a table can be read from.
Source = Path | StoredFile
