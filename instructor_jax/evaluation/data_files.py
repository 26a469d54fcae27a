"""Finding and reading the files of an evaluation set: JSON lists or JSON lines, compressed or not, by known names.

One folder may hold a set as its authors published it, another as a user wrote it down; the first known name counts.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from instructor_jax.io.json_files import parse_json
from instructor_jax.io.tables.gzip_files import read_whole
from instructor_jax.io.tables.tables import open_table

_ENDS = (".jsonl", ".jsonl.gz", ".json", ".json.gz")


def find_file(folders: Iterable[Path], stems: Iterable[str]) -> Path | None:
    """Returns the first of `stems` with a suffix .jsonl or .json (or these with .gz) in one of the folders."""
    stems = tuple(stems)
    candidates = (folder / f"{stem}{end}" for folder in folders for stem in stems for end in _ENDS)
    return next((path for path in candidates if path.is_file()), None)


def read_rows(path: Path, fields: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the objects of a file: JSON lines, a JSON list, or a Super-NaturalInstructions task's `Instances`.

    Raises:
        ValueError: not such a file, no row in it, or a row without one of `fields`; with the row or line.
    """
    if ".jsonl" in path.suffixes:
        with open_table(path) as table:
            rows = [(number, dict(zip(fields, values, strict=True))) for number, values in table.records(fields)]
        return [row for _, row in rows]
    content = parse_json(read_whole(path), path)
    if isinstance(content, dict):
        content = content.get("Instances")
    if not isinstance(content, list) or not content:
        raise ValueError(f"{path}: must hold a list of objects, or an object with a list `Instances`")
    for number, row in enumerate(content, start=1):
        absent = [field for field in fields if not isinstance(row, dict) or field not in row]
        if absent:
            raise ValueError(f"{path}, row {number}: has no {', '.join(absent)}; needed are {', '.join(fields)}")
    return content


def files_digest(paths: Iterable[Path]) -> str:
    """Returns twelve hexadecimal digits of files' bytes, so that a task runs again when its data change."""
    digest = hashlib.blake2b(digest_size=6)
    for path in paths:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()
