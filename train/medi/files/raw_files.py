"""Opening what sources come in: text, JSON, CSV and TSV files, plain or gzipped, each row with its number.

Training must never see evaluation data: every file is opened by `open_binary`, and that refuses any path under a folder
whose name starts with `eval_`.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from instructor_jax.io.bounds import DOCUMENT_BYTES, LINE_BYTES, MIB
from instructor_jax.io.json_files import parse_json, shown_value
from instructor_jax.io.printable import one_line
from instructor_jax.io.tables.gzip_files import byte_lines, open_bytes, read_at_most

EVALUATION_PREFIX = "eval_"
csv.field_size_limit(LINE_BYTES)  # the default of 128 KiB is less than one article

Value = TypeVar("Value")


def refuse_evaluation(path: Path) -> None:
    """Raises ValueError if the path, as given or with links followed, lies in a folder of evaluation data."""
    for candidate in (path, path.resolve()):
        for folder in (candidate, *candidate.parents) if candidate.is_dir() else candidate.parents:
            if folder.name.startswith(EVALUATION_PREFIX):
                raise ValueError(
                    f"{path} lies in the evaluation folder {folder.name!r}; folders named {EVALUATION_PREFIX}* are "
                    "held out and never read for training. Rename the folder if this is training data."
                )


def malformed(path: Path, row: int | str, problem: str) -> ValueError:
    """Returns the error of a row that does not follow its format: file, row, what is wrong."""
    return ValueError(f"{path}, row {row}: {one_line(problem)}")


def find(folder: Path, name: str) -> Path:
    """Finds the file `name` of a folder, plain or with `.gz` appended; FileNotFoundError names both."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    refuse_evaluation(folder)
    raise FileNotFoundError(f"neither {folder / name} nor {name}.gz beside it exists.")


def open_binary(path: Path) -> io.BufferedReader:
    """Opens a file's bytes, decompressed where the name ends in `.gz`; reading damaged data raises ValueError."""
    refuse_evaluation(path)
    return open_bytes(path)


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Reads a whole file.

    ValueError names the first byte that is not in the encoding, or tells a file that is too long.
    """
    with open_binary(path) as file:
        return decoded(read_at_most(file, DOCUMENT_BYTES, path), path, encoding)


def lines(path: Path, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Yields line number from 1, and the line without its end. Only newline ends a line: Latin-1 texts hold U+0085."""
    with open_binary(path) as file:
        for number, raw in enumerate(byte_lines(file, path), start=1):
            try:
                text = raw.decode(encoding)
            except UnicodeDecodeError as error:
                raise malformed(path, number, f"not {encoding}: {error.reason} at byte {error.start}") from error
            yield number, text.rstrip("\r\n")


def aligned_lines(paths: Sequence[Path], encoding: str = "utf-8") -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yields line number and that line of every file; ValueError if the files differ in length."""
    readers = [lines(path, encoding) for path in paths]
    for number, first in readers[0]:
        others = [next(reader, None) for reader in readers[1:]]
        for path, other in zip(paths[1:], others, strict=True):
            if other is None:
                raise malformed(path, number, f"the file ends before {paths[0].name}, with which it is aligned")
        yield number, (first, *(other[1] for other in others if other is not None))
    for path, reader in zip(paths[1:], readers[1:], strict=True):
        if (more := next(reader, None)) is not None:
            raise malformed(path, more[0], f"the file goes on after {paths[0].name}, with which it is aligned, ends")


def json_document(path: Path, kind: type[Value], encoding: str = "utf-8") -> Value:
    """Reads a file that is one JSON value of the given type.

    NaN may stand where nobody looks, as it does in the sources.
    """
    value = parse_json(read_text(path, encoding).removeprefix("\ufeff"), path, constants=True)
    if not isinstance(value, kind):
        raise ValueError(f"{path} must hold a JSON {kind.__name__}, not a {type(value).__name__}.")
    return value


def json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yields line number and the JSON value of each line; blank lines are allowed."""
    for number, line in lines(path):
        text = line.removeprefix("\ufeff") if number == 1 else line
        if text.strip():
            yield number, parse_json(text, f"{path}, row {number}", unique=True)


def csv_rows(path: Path, columns: Sequence[str], delimiter: str = ",") -> Iterator[tuple[int, dict[str, str]]]:
    """Yields record number from 1 after the header, and the record; ValueError if a column or a cell is missing."""
    number = 0
    with open_binary(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
        reader = csv.reader(_short_lines(text, path), delimiter=delimiter, strict=True)
        try:
            header = next(reader, [])
            if absent := [name for name in columns if name not in header]:
                raise malformed(path, "0 (header)", f"needs the columns {absent}; it has {header}")
            if twice := sorted({name for name in header if header.count(name) > 1}):
                raise malformed(path, "0 (header)", f"has the column {twice[0]!r} twice")
            for number, cells in enumerate(reader, start=1):
                if len(cells) != len(header):
                    raise malformed(path, number, f"{len(cells)} cells under {len(header)} columns")
                yield number, dict(zip(header, cells, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise malformed(path, number + 1, f"not CSV in UTF-8: {error}") from error


def tsv_rows(path: Path, columns: int, header: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yields line number and cells of a tab-separated file without quoting; every line must have `columns` cells."""
    for number, line in lines(path):
        cells = line.split("\t")
        if len(cells) != columns:
            raise malformed(path, number, f"{len(cells)} tab-separated cells where {columns} are expected")
        if not (header and number == 1):
            yield number, cells


def field(record: Any, name: str, kind: type[Value], path: Path, row: int | str) -> Value:
    """Returns `record[name]`, which must be of the given type; ValueError with file and row otherwise."""
    if not isinstance(record, dict) or name not in record:
        found = sorted(map(str, record)) if isinstance(record, dict) else type(record).__name__
        raise malformed(path, row, f"needs the field {name!r}; found {found}")
    if not isinstance(record[name], kind) or (isinstance(record[name], bool) and kind is int):
        raise malformed(path, row, f"{name!r} must be {kind.__name__}, not {type(record[name]).__name__}")
    return record[name]


def texts_field(record: Any, name: str, path: Path, row: int | str) -> list[str]:
    """Returns `record[name]`, which must be a list of texts."""
    values = field(record, name, list, path, row)
    if bad := [value for value in values if not isinstance(value, str)]:
        raise malformed(path, row, f"{name!r} must hold texts only; found {shown_value(bad[0])}")
    return values


def decoded(raw: bytes, path: Path, encoding: str) -> str:
    """Decodes bytes; ValueError names the first one that is not in the encoding."""
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is not {encoding} ({error.reason}).") from error


def _short_lines(text: io.TextIOWrapper, path: Path) -> Iterator[str]:
    """Yields lines with their ends, as `csv` wants them: a carriage return alone ends one, too."""
    for number, line in enumerate(iter(partial(text.readline, LINE_BYTES + 1), ""), start=1):
        if len(line) > LINE_BYTES:
            raise ValueError(f"{path}, line {number}: has more than {LINE_BYTES // MIB} Mi characters.")
        yield line
