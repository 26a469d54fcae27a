"""Writes the rows of one task to numbered files, and finds out what its entry says.

Writing streams: memory does not grow with the rows, except by 8 bytes each to find repeated row ids.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...data.examples import Example
from ..files.raw_files import EVALUATION_PREFIX
from .array_records import ArrayRecordWriter, stored_rows_of
from .stored_rows import from_bytes, to_bytes
from .task_entry import TaskEntry, file_name, write_entry

LISTED_INSTRUCTIONS = 20  # distinct instructions of a task that its entry lists, the most frequent ones


class TaskWriter:
    """Writes one task's rows to numbered parts, and finds out what its entry says."""

    folder: Path
    task: str
    file_name: str
    row_ids: "array[int]"
    digest: Any

    def __init__(self, folder: Path, task: str) -> None:
        if task.startswith(EVALUATION_PREFIX):
            raise ValueError(f"task {task!r} is evaluation data by its name; it must not be trained on.")
        self.folder, self.task, self.file_name = folder, task, file_name(task)
        (folder / f"{self.file_name}.json").unlink(missing_ok=True)  # its files are about to be overwritten
        self.parts: list[str] = []
        self.instructions: Counter[tuple[str, str]] = Counter()
        self.negatives: Counter[int] = Counter()
        self.row_ids = array("Q")
        self.digest = hashlib.sha256()
        self._file: Any = None

    def add(self, example: Example) -> None:
        """Appends an example."""
        if self._file is None:
            self.parts.append(f"{self.file_name}.{len(self.parts):05}.array_record")
            self._file = ArrayRecordWriter(self.folder / self.parts[-1])
        stored = to_bytes(example)
        self._file.write(stored)
        self.digest.update(len(stored).to_bytes(8, "little") + stored)
        self.instructions[example.query.instruction, example.positive.instruction] += 1
        self.negatives[len(example.negatives)] += 1
        self.row_ids.append(_hash(example.row_id))

    def close(self) -> None:
        """Ends the current part; the next row begins another."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def finish(self, key: str, about: Mapping[str, Any]) -> TaskEntry:
        """Ends the files and writes the entry, which makes the task count as finished.

        Raises:
            ValueError: There are no rows, or a row id occurs twice.
        """
        self.close()
        if not self.row_ids:
            raise ValueError(f"task {self.task!r} has no rows; leave it out.")
        self._refuse_repeated_ids()
        instructions = [[*pair, rows] for pair, rows in self.instructions.most_common(LISTED_INSTRUCTIONS)]
        negatives = {str(number): rows for number, rows in sorted(self.negatives.items())}
        entry = TaskEntry(
            self.task, len(self.row_ids), self.digest.hexdigest(), instructions, negatives, dict(about), key, self.parts
        )
        write_entry(entry, self.folder)
        return entry

    def _refuse_repeated_ids(self) -> None:
        values, times = np.unique(np.frombuffer(self.row_ids, np.uint64), return_counts=True)
        if (times > 1).any():
            repeated = int(values[times > 1][0])
            rows = (from_bytes(row) for part in self.parts for row in stored_rows_of(self.folder / part))
            name = next(row.row_id for row in rows if _hash(row.row_id) == repeated)
            raise ValueError(f"row id {name!r} occurs twice in task {self.task!r}; ids must be unique within a task.")


def _hash(row_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(row_id.encode(), digest_size=8).digest(), "little")
