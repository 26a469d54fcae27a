"""The stored mixture: a tensorflow-datasets builder `medi` in ArrayRecord files, read without TensorFlow.

Rows lie task after task, tasks in the order of their names; the metadata holds each task's range, its instructions,
licence and counts, and a fingerprint of all rows. `tfds.builder_from_directory(folder)` opens the folder too, and where
it is called `.../medi/1.0.0`, so does `tfds.builder("medi", data_dir=...)`. `MediStore` reads the files itself: that is
faster, and tensorflow-datasets imports whatever Python module a folder's `features.json` names.
"""

import functools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from instructor_jax.io.bounds import INDEX_BYTES
from instructor_jax.io.json_files import Fields, read_json, shown_value
from instructor_jax.io.printable import one_line

from ...data.examples import Example
from .array_records import array_record_data_source
from .metadata import checked_size
from .stored_rows import from_bytes

VERSION = "1.0.0"  # of the format of a row and of the metadata
INFO, METADATA = "dataset_info.json", "metadata.json"
SPLIT = "train"
FILE = rf"medi-{SPLIT}\.array_record-\d{{5}}-of-\d{{5}}"


class MediStore:
    """Random access to the rows of a store. May be pickled (workers reopen the files) and read from several threads."""

    folder: Path

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Opens a store.

        Raises:
            FileNotFoundError: There is no store in the folder.
            ValueError: It is another data set, a version that this code does not know, or damaged.
        """
        self.folder = Path(folder)
        if not (self.folder / INFO).is_file():
            raise FileNotFoundError(
                f"{self.folder} holds no mixture; make one with 'instructor-jax medi build' or 'medi import'."
            )
        info = Fields(read_json(self.folder / INFO, limit=INDEX_BYTES), self.folder / INFO)
        path = self.folder / METADATA
        self.metadata: dict[str, Any] = read_json(path, limit=INDEX_BYTES) if path.is_file() else {}
        if info.any("name") != "medi" or "ranges" not in self.metadata:
            raise ValueError(
                f"{self.folder} holds the data set {shown_value(info.any('name'))}, not a mixture written by "
                "'instructor-jax medi'."
            )
        if info.any("version") != VERSION:
            raise ValueError(
                f"{self.folder} has version {info.any('version')}, but this program reads {VERSION}; build it again."
            )
        self._size = checked_size(self.metadata, path)

    @property
    def fingerprint(self) -> str:
        """Returns a hash of every example; equal for stores of equal content."""
        return self.metadata["fingerprint"]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Returns names of the tasks, in the order of their rows."""
        return tuple(self.metadata["ranges"])

    def rows(self, task: str) -> range:
        """Returns the numbers of the examples of a task.

        Raises:
            ValueError: There is no such task.
        """
        if task not in self.metadata["ranges"]:
            raise ValueError(f"task {task!r} is not in {self.folder}; 'instructor-jax medi inspect' lists its tasks.")
        return range(*self.metadata["ranges"][task])

    def entry(self, task: str) -> dict[str, Any]:
        """Returns what is known of a task: rows, digest, instructions, negatives, about (licence, source, counts)."""
        self.rows(task)
        return self.metadata["tasks"][task]

    def __len__(self) -> int:
        return self._size

    def read(self, rows: Sequence[int]) -> list[Example]:
        """Returns the examples of the given numbers, in the order asked for.

        Raises:
            IndexError: A row is not in [0, number of rows).
            ValueError: The files are damaged.
        """
        rows = [int(row) for row in rows]
        if rows and not (min(rows) >= 0 and max(rows) < len(self)):
            raise IndexError(f"rows {min(rows)} to {max(rows)} must be in [0, {len(self)}).")
        if not rows:
            return []
        source = self._source
        try:
            return [from_bytes(stored) for stored in source.__getitems__(rows)]
        except Exception as error:  # whatever the libraries meet in damaged files
            raise self._damaged(f"{type(error).__name__}: {error}") from error

    def stream(self, rows: range | None = None, at_once: int = 1024) -> Iterator[Example]:
        """Yields the examples of a range of numbers (None: of all), a thousand at a time in memory."""
        rows = range(len(self)) if rows is None else rows
        for start in range(0, len(rows), at_once):
            yield from self.read(rows[start : start + at_once])

    def __reduce__(self) -> tuple[Any, ...]:
        return MediStore, (self.folder,)

    @functools.cached_property
    def _source(self) -> Any:
        files = sorted(path for path in self.folder.iterdir() if re.fullmatch(FILE, path.name))
        if not files or not all(path.name.endswith(f"-of-{len(files):05}") for path in files):
            raise self._damaged(f"{len(files)} files of rows, others than their names say")
        try:
            source = array_record_data_source(files)
        except ImportError:
            raise
        except Exception as error:  # a file without rows, or of another kind
            raise self._damaged(f"{type(error).__name__}: {error}") from error
        if len(source) != self._size:
            raise self._damaged(f"its files hold {len(source)} rows of {self._size}")
        return source

    def _damaged(self, reason: str) -> ValueError:
        return ValueError(f"the mixture {self.folder} is damaged ({one_line(reason, 200)}); build or import it again.")
