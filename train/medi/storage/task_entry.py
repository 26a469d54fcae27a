"""`TaskEntry`: what is known of a finished task, as a JSON file beside its rows that is written last."""

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from instructor_jax.io.atomic import whole_file
from instructor_jax.io.json_files import Fields, read_json

_LONGEST_NAME = 200  # bytes of a file's name, which may have 255, with room for what is added to it


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


def file_name(task: str) -> str:
    """Returns the name that a task's files begin with."""
    name = quote(task, safe=" ")
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 17]}-{hashlib.sha256(task.encode()).hexdigest()[:16]}"


def write_entry(entry: TaskEntry, folder: Path) -> None:
    """Writes the entry of a task, which is there whole or not at all."""
    with whole_file(folder / f"{file_name(entry.name)}.json") as draft:
        draft.write_text(json.dumps(dataclasses.asdict(entry), ensure_ascii=False, indent=1), "utf-8")


def read_entry(path: Path) -> TaskEntry | None:
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
