"""The metadata of a store: each task's range, instructions, licence and counts, and a fingerprint of all rows."""

import dataclasses
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from instructor_jax.io.json_files import Fields, shown_value

from .task_entry import TaskEntry

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")  # becomes part of file names


def metadata_of(entries: Sequence[TaskEntry], about: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the metadata of a store with these tasks, in this order."""
    ranges, tasks, start = {}, {}, 0
    digest = hashlib.sha256()
    for entry in entries:
        ranges[entry.name] = [start, start + entry.rows]
        start += entry.rows
        told = dataclasses.asdict(entry)
        tasks[entry.name] = {name: told[name] for name in ("rows", "digest", "instructions", "negatives", "about")}
        digest.update(f"{entry.name}\0{entry.digest}\n".encode())
    return {"fingerprint": digest.hexdigest()[:16], "about": dict(about), "ranges": ranges, "tasks": tasks}


def checked_size(metadata: Mapping[str, Any], path: Path) -> int:
    """Returns the number of examples, after a check of everything of the metadata that others rely on.

    Raises:
        ValueError: Something is not as `write_store` writes it.
    """
    fields = Fields(metadata, path)
    if not _FINGERPRINT.fullmatch(fields.text("fingerprint")):
        raise ValueError(f"{path} has fingerprint={shown_value(fields.text('fingerprint'))}; it must be 16 hex digits.")
    ranges, tasks = Fields(fields.any("ranges"), path), Fields(fields.any("tasks"), path)
    end = 0
    for task in ranges.content:
        bounds = ranges.any(task)
        whole = isinstance(bounds, list) and len(bounds) == 2 and all(type(one) is int for one in bounds)
        if not whole or bounds[0] != end or bounds[1] <= end:
            raise ValueError(f"{path}: the rows of task {task!r} must begin at {end}, where those before it end.")
        end = bounds[1]
        entry = Fields(tasks.any(task), f"{path}, task {task!r}")
        listed = entry.any("instructions")
        if not isinstance(listed, list) or not listed or not all(_is_instruction(one) for one in listed):
            raise ValueError(f"{path}, task {task!r}: instructions must be a list of [query, document, rows].")
        negatives = Fields(entry.any("negatives"), f"{path}, negatives of task {task!r}")
        for number in negatives.content:
            negatives.whole(number, most=2**40)
            if not number.isdecimal():
                raise ValueError(f"{path}, task {task!r}: negatives must be counted by number, not {number!r}.")
        Fields(entry.any("about"), f"{path}, about of task {task!r}")
        entry.whole("rows", least=1, most=2**40)
    if not end:
        raise ValueError(f"{path} names no task; build or import the mixture again.")
    return end


def _is_instruction(value: Any) -> bool:
    kinds = [type(one) for one in value] if isinstance(value, list) else []
    return kinds == [str, str, int]
