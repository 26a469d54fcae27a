"""Tasks on their way into the store: each one a finished file of its own, so that a killed build goes on where it was.

A task counts as finished when its `.json` entry is there; the entry is written last, and its `key` tells what the task
was made from, so that a changed source or setting is built anew. Unreadable entries do not count, and their tasks are
made anew; a folder that holds anything else than such files is not ours, and is refused.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from instructor_jax.io.atomic import TEMPORARY
from instructor_jax.io.json_files import read_json_value
from instructor_jax.io.ownership import refuse_strangers, remove_own

from ...data.examples import Example
from .array_records import stored_rows_of
from .task_entry import TaskEntry, file_name, read_entry
from .task_writer import TaskWriter

_OPEN_FILES = 64  # tasks written at a time where rows of many tasks are mixed; an open file costs 250 kB
LOCK = "build.lock"
_OURS = re.compile(rf".*\.json|.*\.\d{{5}}\.array_record|{re.escape(LOCK)}|{TEMPORARY}")


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
        entries = [read_entry(path) for path in sorted(self.folder.glob("*.json"))]
        return {entry.name: entry for entry in entries if entry is not None}

    def finished_task(self, task: str) -> TaskEntry | None:
        """Returns the entry of one task, None if it is not finished."""
        path = self.folder / f"{file_name(task)}.json"
        return read_entry(path) if path.is_file() else None

    def write(
        self, task: str, examples: Iterable[Example], *, key: str = "", about: Mapping[str, Any] | None = None
    ) -> TaskEntry:
        """Stores the rows of one task; nothing counts before all of them are written.

        Raises:
            ValueError: A row belongs to another task, a row id occurs twice, no rows, or evaluation data by its name.
        """
        writer = TaskWriter(self.folder, task)
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
        writers: dict[str, TaskWriter] = {}
        recent: OrderedDict[str, None] = OrderedDict()
        try:
            for example in examples:
                if example.task not in writers:
                    writers[example.task] = TaskWriter(self.folder, example.task)
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
        name = f"{file_name(entry.name)}.json"
        return ValueError(
            f"the files of task {entry.name!r} in {self.folder} are damaged; delete {name} there, and retry."
        )


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
