"""Tasks on their way into the store: each one a finished file of its own, so that a killed build goes on where it was.

A task counts as finished when its `.json` entry is there; the entry is written last, and its `key` tells what the task
was made from, so that a changed source or setting is built anew. Writing streams: memory does not grow with the rows,
except by 8 bytes each to find repeated row ids. Unreadable entries do not count, and their tasks are made anew; a
folder that holds anything else than such files is not ours, and is refused.
"""

import dataclasses
import hashlib
import json
import os
import re
from array import array
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from instructor_jax.io.atomic import whole_file
from instructor_jax.io.json_files import Fields, read_json, read_json_value
from instructor_jax.io.own_files import TEMPORARY, refuse_strangers, remove_own

from ..data.examples import Example
from .files.raw_files import EVALUATION_PREFIX
from .stored_rows import from_bytes, to_bytes

_LISTED_INSTRUCTIONS = 20  # distinct instructions of a task that its entry lists, the most frequent ones
_OPEN_FILES = 64  # tasks written at a time where rows of many tasks are mixed; an open file costs 250 kB
_READ_ROWS = 1024
_LONGEST_NAME = 200  # bytes of a file's name, which may have 255, with room for what is added to it
LOCK = "build.lock"
_OURS = re.compile(rf".*\.json|.*\.\d{{5}}\.array_record|{re.escape(LOCK)}|{TEMPORARY}")


@dataclasses.dataclass(frozen=True)
class TaskEntry:
    """What the store tells about a task.

    Attributes:
        name: Name of the task.
        rows: Number of its examples.
        digest: Hash of its examples in their order.
        instructions: Most frequent instructions, [query's, document's, examples], at most 20.
        negatives: Number of examples by number of hard negatives.
        about: Licence, source, counts of mining; whatever the caller gave.
        key: Key of what it was made from.
        parts: Names of its files, in order.
    """

    name: str
    rows: int
    digest: str
    instructions: list[list[Any]]
    negatives: dict[str, int]
    about: dict[str, Any]
    key: str
    parts: list[str]


class Staging:
    """A folder of finished tasks beside the store.

    Raises:
        ValueError: The folder is there and holds something else.
    """

    def __init__(self, folder: Path) -> None:
        refuse_strangers(folder, _OURS, "the folder of unfinished tasks")
        for path in sorted(folder.glob("*.json")):
            _refuse_other_json(path)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def remove(self) -> None:
        """Removes what was staged, and the folder."""
        remove_own(self.folder, _OURS)

    def finished(self) -> dict[str, TaskEntry]:
        """Returns the entry of every finished task, by name."""
        entries = [_read_entry(path) for path in sorted(self.folder.glob("*.json"))]
        return {entry.name: entry for entry in entries if entry is not None}

    def finished_task(self, task: str) -> TaskEntry | None:
        """Returns the entry of one task, None if it is not finished."""
        path = self.folder / f"{_file_name(task)}.json"
        return _read_entry(path) if path.is_file() else None

    def write(
        self, task: str, examples: Iterable[Example], *, key: str = "", about: Mapping[str, Any] | None = None
    ) -> TaskEntry:
        """Stores the rows of one task; nothing counts before all of them are written.

        Raises:
            ValueError: A row belongs to another task, a row id occurs twice, no rows, or evaluation data by its name.
        """
        writer = _TaskWriter(self.folder, task)
        try:
            for example in examples:
                if example.task != task:
                    raise ValueError(f"row {example.row_id!r} belongs to task {example.task!r}, not to {task!r}.")
                writer.add(example)
            return writer.finish(key, about or {})
        finally:
            writer.close()

    def write_mixed(
        self, examples: Iterable[Example], *, key: str = "", about: Mapping[str, Any] | None = None
    ) -> dict[str, TaskEntry]:
        """Stores rows of any tasks in any order; no task counts before the last row is read. Raises as `write` does."""
        writers: dict[str, _TaskWriter] = {}
        recent: OrderedDict[str, None] = OrderedDict()
        try:
            for example in examples:
                if example.task not in writers:
                    writers[example.task] = _TaskWriter(self.folder, example.task)
                recent[example.task] = None
                recent.move_to_end(example.task)
                if len(recent) > _OPEN_FILES:
                    writers[recent.popitem(last=False)[0]].close()
                writers[example.task].add(example)
            return {task: writer.finish(key, about or {}) for task, writer in writers.items()}
        finally:
            for writer in writers.values():
                writer.close()

    def stored(self, entry: TaskEntry) -> Iterator[bytes]:
        """Yields the rows of a finished task as they are stored.

        Raises:
            ValueError: Its files are damaged.
        """
        rows = 0
        try:
            for part in entry.parts:
                for row in stored_rows_of(self.folder / part):
                    rows += 1
                    yield row
        except (RuntimeError, LookupError) as error:
            raise self._damaged(entry) from error
        if rows != entry.rows:
            raise self._damaged(entry)

    def _damaged(self, entry: TaskEntry) -> ValueError:
        name = f"{_file_name(entry.name)}.json"
        return ValueError(
            f"the files of task {entry.name!r} in {self.folder} are damaged; delete {name} there, and retry."
        )


class _TaskWriter:
    """Writes one task's rows to numbered parts, and finds out what its entry says."""

    def __init__(self, folder: Path, task: str) -> None:
        if task.startswith(EVALUATION_PREFIX):
            raise ValueError(f"task {task!r} is evaluation data by its name; it must not be trained on.")
        self.folder, self.task, self.file_name = folder, task, _file_name(task)
        (folder / f"{self.file_name}.json").unlink(missing_ok=True)  # its files are about to be overwritten
        self.parts: list[str] = []
        self.instructions: Counter[tuple[str, str]] = Counter()
        self.negatives: Counter[int] = Counter()
        self.row_ids = array("Q")
        self.digest = hashlib.sha256()
        self._file: Any = None

    def add(self, example: Example) -> None:
        if self._file is None:
            self.parts.append(f"{self.file_name}.{len(self.parts):05}.array_record")
            self._file = array_record_writer(self.folder / self.parts[-1])
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
        self.close()
        if not self.row_ids:
            raise ValueError(f"task {self.task!r} has no rows; leave it out.")
        self._refuse_repeated_ids()
        instructions = [[*pair, rows] for pair, rows in self.instructions.most_common(_LISTED_INSTRUCTIONS)]
        negatives = {str(number): rows for number, rows in sorted(self.negatives.items())}
        entry = TaskEntry(
            self.task, len(self.row_ids), self.digest.hexdigest(), instructions, negatives, dict(about), key, self.parts
        )
        write_json(self.folder / f"{self.file_name}.json", dataclasses.asdict(entry))
        return entry

    def _refuse_repeated_ids(self) -> None:
        values, times = np.unique(np.frombuffer(self.row_ids, np.uint64), return_counts=True)
        if (times > 1).any():
            repeated = int(values[times > 1][0])
            rows = (from_bytes(row) for part in self.parts for row in stored_rows_of(self.folder / part))
            name = next(row.row_id for row in rows if _hash(row.row_id) == repeated)
            raise ValueError(f"row id {name!r} occurs twice in task {self.task!r}; ids must be unique within a task.")


def array_record_writer(path: Path) -> Any:
    """Opens a writer with one row a group, which random access needs: `write(bytes)`, `close()`."""
    return _array_record().ArrayRecordWriter(os.fspath(path), "group_size:1")


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


def write_json(path: Path, content: Any) -> None:
    """Writes a file that is there whole or not at all."""
    with whole_file(path) as draft:
        draft.write_text(json.dumps(content, ensure_ascii=False, indent=1), "utf-8")


def _file_name(task: str) -> str:
    name = quote(task, safe=" ")
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 17]}-{hashlib.sha256(task.encode()).hexdigest()[:16]}"


def _read_entry(path: Path) -> TaskEntry | None:
    """Reads a task's entry; None where it cannot be read or its files are gone, so that it is made anew."""
    try:
        fields = Fields(read_json(path), path)
        parts, instructions = fields.any("parts", []), fields.any("instructions", [])
        entry = TaskEntry(
            fields.text("name"),
            fields.whole("rows", least=1, most=2**40),
            fields.text("digest"),
            [[str(query), str(document), int(rows)] for query, document, rows in instructions],
            {str(int(number)): int(rows) for number, rows in fields.any("negatives", {}).items()},
            dict(fields.any("about", {})),
            fields.text("key"),
            [part for part in parts if re.fullmatch(r"[^/]+\.\d{5}\.array_record", part)],
        )
    except (ValueError, TypeError, AttributeError):
        return None
    whole = len(entry.parts) == len(parts) and all((path.parent / part).is_file() for part in entry.parts)
    return entry if whole and entry.parts else None


def _refuse_other_json(path: Path) -> None:
    """Refuses a readable JSON file that is no task's entry: somebody else's.

    Raises:
        ValueError: It is one.
    """
    try:
        content = read_json_value(path)
    except ValueError:
        return  # half of one of ours, or damaged; it counts as not there
    if not isinstance(content, dict) or not {"name", "rows", "digest", "parts"} <= set(content):
        raise ValueError(
            f"{path.parent} is needed as the folder of unfinished tasks, but holds {path.name!r}, which this program "
            "did not write; it would be lost. Move it away."
        )


def _hash(row_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(row_id.encode(), digest_size=8).digest(), "little")


def _array_record() -> Any:
    try:
        from array_record.python import array_record_module  # pyright: ignore[reportAttributeAccessIssue]
    except ImportError as error:
        raise ImportError("The mixture is stored in ArrayRecord files: pip install 'instructor-jax[train]'.") from error
    return array_record_module
