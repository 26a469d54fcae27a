"""Where the parts of an input begin: found once, kept among the parts, and read by every process that makes some."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from instructor_jax.io.atomic import whole_file
from instructor_jax.io.bounds import DOCUMENT_BYTES
from instructor_jax.io.json_files import read_json
from instructor_jax.io.printable import json_text
from instructor_jax.io.remote.stored_file import Source, StoredFile
from instructor_jax.io.tables.places import Place
from instructor_jax.io.tables.records import Table

INDEX = "index.json"


@dataclasses.dataclass(frozen=True)
class PartIndex:
    """Where each part begins.

    Attributes:
        rows: of the whole input.
        places: of each part's first row.
    """

    rows: int
    places: list[Place]


def part_index(folder: Path, inputs: Sequence[Source], table: Table, part_size: int) -> PartIndex:
    """The index of an input: that which another process left in the folder of parts, or a new one, which is left there.

    Two processes that make it at the same time make the same one.

    Args:
        folder: the parts.
        inputs: the files; their names, sizes and times tell whether an index is still theirs.
        table: the same, opened.
        part_size: rows of a part.

    Raises:
        ValueError: the input has no rows, or cannot be read in shares.
    """
    made_from = {"part_size": part_size, "files": [entry for path in inputs for entry in _described(path)]}
    kept = _kept(folder / INDEX, made_from)
    if kept is not None:
        return kept
    places, found = [], table.places(part_size)
    while True:
        try:
            places.append(next(found))
        except StopIteration as end:
            rows = end.value
            break
    if not rows:
        raise ValueError(f"{table.name}: holds no rows")
    with whole_file(folder / INDEX) as beside:
        content = {**made_from, "rows": rows, "places": [list(place) for place in places]}
        beside.write_text(json_text(content) + "\n", encoding="utf-8")
    return PartIndex(rows, places)


def _kept(path: Path, made_from: dict[str, Any]) -> PartIndex | None:
    try:
        content = read_json(path, limit=DOCUMENT_BYTES)
        if any(content.get(key) != value for key, value in made_from.items()):
            return None
        places = [Place(*entry) for entry in content["places"]]
        rows = content["rows"]
    except (OSError, ValueError, KeyError, TypeError):  # absent, cut, or of another kind: it is made anew
        return None
    numbers = [number for place in places for number in place if number is not None]
    if type(rows) is not int or not all(type(number) is int and number >= 0 for number in numbers):
        return None
    return PartIndex(rows, places)


def _described(path: Source) -> list[list[str | int]]:
    if isinstance(path, StoredFile):
        return [[path.url, path.size, path.version]]
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files if file.is_file()]
