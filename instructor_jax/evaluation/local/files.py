"""Opening the files of an evaluation set: plain or gzipped, tables, aligned lines, Latin-1 lines, whole JSON values.

Tables go through the package's own table reader, so that a broken row is named by its line.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from instructor_jax.io.json_files import parse_json
from instructor_jax.io.tables.gzip_files import read_whole
from instructor_jax.io.tables.tables import FormatName, open_table

Value = TypeVar("Value")


def locate(folder: Path, name: str) -> Path:
    """Returns the file `name` of a folder, or `name` with .gz appended.

    Raises:
        ValueError: there is neither.
    """
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise ValueError(f"{folder} has neither {name} nor {name}.gz.")


def rows(
    path: Path, columns: Sequence[str], *, format: FormatName | None = None, header: bool = True, quotes: bool = True
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yields line number and named columns of each record of a .csv, .tsv or .jsonl file; see `open_table`.

    Raises:
        ValueError: a column is missing, a line is malformed, or a value is no text.
    """
    with open_table(path, format=format, header=header, quotes=quotes) as table:
        if absent := [column for column in columns if column not in table.columns]:
            raise ValueError(f"{path}: needs the columns {absent}; it has {list(table.columns)}.")
        for number, values in table.records(columns):
            for column, value in zip(columns, values, strict=True):
                if not isinstance(value, str):
                    raise ValueError(f"{path}, line {number}: {column!r} must be a text; got {value!r:.60}.")
            yield number, values


def text_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """Returns a file's lines without their ends. Only a newline ends a line: Latin-1 texts may hold U+0085.

    Raises:
        ValueError: the file is not in this encoding, or its gzip data are damaged.
    """
    try:
        text = read_whole(path).decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is not {encoding} ({error.reason}).") from error
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def aligned_lines(folder: Path, first: str, second: str) -> list[tuple[str, str]]:
    """Pairs of lines of two files of a folder.

    Raises:
        ValueError: one file is longer than the other.
    """
    left, right = text_lines(locate(folder, first)), text_lines(locate(folder, second))
    if len(left) != len(right):
        raise ValueError(f"{folder}: {first} has {len(left)} lines and {second} {len(right)}; they must be aligned.")
    return list(zip(left, right, strict=True))


def json_value(path: Path, kind: type[Value]) -> Value:
    """Returns a file that is one JSON value of the given type.

    Raises:
        ValueError: it is not.
    """
    value = parse_json(read_whole(path), path)
    if not isinstance(value, kind):
        raise ValueError(f"{path}: must hold a JSON {kind.__name__}, not a {type(value).__name__}.")
    return value


def member(record: Any, name: str, kind: type[Value], place: str) -> Value:
    """Returns `record[name]`, which must be of the given type.

    Raises:
        ValueError: it is absent or of another type; names the place.
    """
    if not isinstance(record, dict) or not isinstance(record.get(name), kind):
        found = {key: type(value).__name__ for key, value in record.items()} if isinstance(record, dict) else record
        raise ValueError(f"{place}: needs {name!r} of type {kind.__name__}; got {found!s:.200}.")
    return record[name]
