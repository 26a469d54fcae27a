"""Opening what sources come in: text, JSON, CSV, TSV, tar and Excel files, plain or gzipped, each row with its number.

Training must never see evaluation data: every file is opened by `open_binary`, and that refuses any path under a folder
whose name starts with `eval_`.
"""

import csv
import gzip
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

EVALUATION_PREFIX = "eval_"
csv.field_size_limit(2**31 - 1)  # the default of 128 KiB is less than one article

Value = TypeVar("Value")


def refuse_evaluation(path: Path) -> None:
    """Raise ValueError if the path, as given or with links followed, lies in a folder of evaluation data."""
    for candidate in (path, path.resolve()):
        for folder in (candidate, *candidate.parents) if candidate.is_dir() else candidate.parents:
            if folder.name.startswith(EVALUATION_PREFIX):
                raise ValueError(
                    f"{path} lies in the evaluation folder {folder.name!r}; folders named {EVALUATION_PREFIX}* are "
                    "held out and never read for training. Rename the folder if this is training data."
                )


def malformed(path: Path, row: int | str, problem: str) -> ValueError:
    """The error of a row that does not follow its format: file, row, what is wrong."""
    return ValueError(f"{path}, row {row}: {problem}")


def find(folder: Path, name: str) -> Path:
    """The file `name` of a folder, plain or with `.gz` appended; FileNotFoundError names both."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    refuse_evaluation(folder)
    raise FileNotFoundError(f"neither {folder / name} nor {name}.gz beside it exists.")


def open_binary(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """The file's bytes, decompressed where the name ends in `.gz`."""
    refuse_evaluation(path)
    return gzip.GzipFile(path, "rb") if path.suffix == ".gz" else path.open("rb")


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """The whole file; ValueError names the first byte that is not in the encoding."""
    with open_binary(path) as file:
        return _decoded(file.read(), path, encoding)


def lines(path: Path, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Line number from 1, and the line without its end. Only newline ends a line: Latin-1 texts hold U+0085."""
    with open_binary(path) as file:
        for number, raw in enumerate(file, start=1):
            try:
                yield number, raw.decode(encoding).rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise malformed(path, number, f"not {encoding}: {error.reason} at byte {error.start}") from error


def aligned_lines(paths: Sequence[Path], encoding: str = "utf-8") -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line number and that line of every file; ValueError if the files differ in length."""
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
    """A file that is one JSON value of the given type."""
    try:
        value = json.loads(read_text(path, encoding))
    except json.JSONDecodeError as error:
        raise malformed(path, error.lineno, f"not JSON: {error.msg}") from error
    if not isinstance(value, kind):
        raise ValueError(f"{path} must hold a JSON {kind.__name__}, not a {type(value).__name__}.")
    return value


def json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Line number and the JSON value of each line; blank lines are allowed."""
    for number, line in lines(path):
        if line.strip():
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                raise malformed(path, number, f"not JSON: {error.msg} at character {error.pos}") from error


def csv_rows(path: Path, columns: Sequence[str], delimiter: str = ",") -> Iterator[tuple[int, dict[str, str]]]:
    """Record number from 1 after the header, and the record; ValueError if a named column or a cell is missing."""
    number = 0
    with open_binary(path) as file:
        reader = csv.reader(io.TextIOWrapper(file, "utf-8-sig", newline=""), delimiter=delimiter, strict=True)
        try:
            header = next(reader, [])
            if absent := [name for name in columns if name not in header]:
                raise malformed(path, "0 (header)", f"needs the columns {absent}; it has {header}")
            for number, cells in enumerate(reader, start=1):
                if len(cells) != len(header):
                    raise malformed(path, number, f"{len(cells)} cells under {len(header)} columns")
                yield number, dict(zip(header, cells, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise malformed(path, number + 1, f"not CSV in UTF-8: {error}") from error


def tsv_rows(path: Path, columns: int, header: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Line number and the cells of a tab-separated file without quoting; every line must have `columns` cells."""
    for number, line in lines(path):
        cells = line.split("\t")
        if len(cells) != columns:
            raise malformed(path, number, f"{len(cells)} tab-separated cells where {columns} are expected")
        if not (header and number == 1):
            yield number, cells


def excel_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Sheet row number and the named columns of the first sheet of an Excel workbook."""
    try:
        import openpyxl
    except ImportError as error:
        raise ImportError(f"reading {path.name} needs openpyxl: pip install 'instructor-jax[train]'") from error
    with open_binary(path) as file:
        sheet = openpyxl.load_workbook(file, read_only=True).worksheets[0]
        rows = sheet.iter_rows(values_only=True)
        header = [str(cell) for cell in next(rows, ())]
        if absent := [name for name in columns if name not in header]:
            raise malformed(path, "0 (header)", f"needs the columns {absent}; it has {header[:10]}")
        places = [header.index(name) for name in columns]
        for number, cells in enumerate(rows, start=2):
            yield number, {name: str(cells[i] or "") for name, i in zip(columns, places, strict=True)}


def tar_files(path: Path, suffix: str = "") -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the regular files of a tar archive whose name ends in `suffix`, in the archive's order."""
    with open_binary(path) as file, tarfile.open(fileobj=file) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(suffix):
                content = archive.extractfile(member)
                assert content is not None  # only links and folders give None
                yield member.name, content.read()


def tar_texts(path: Path, suffix: str = "") -> Iterator[tuple[str, str]]:
    """Name and UTF-8 text of the files of a tar archive."""
    for name, raw in tar_files(path, suffix):
        yield name, _decoded(raw, path / name, "utf-8").replace("\r\n", "\n")


def field(record: Any, name: str, kind: type[Value], path: Path, row: int | str) -> Value:
    """`record[name]`, which must be of the given type; ValueError with file and row otherwise."""
    if not isinstance(record, dict) or name not in record:
        found = sorted(record) if isinstance(record, dict) else type(record).__name__
        raise malformed(path, row, f"needs the field {name!r}; found {found}")
    if not isinstance(record[name], kind):
        raise malformed(path, row, f"{name!r} must be {kind.__name__}, not {type(record[name]).__name__}")
    return record[name]


def texts_field(record: Any, name: str, path: Path, row: int | str) -> list[str]:
    """`record[name]`, which must be a list of texts."""
    values = field(record, name, list, path, row)
    if bad := [value for value in values if not isinstance(value, str)]:
        raise malformed(path, row, f"{name!r} must hold texts only; found {bad[0]!r:.60}")
    return values


def _decoded(raw: bytes, path: Path, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is not {encoding} ({error.reason}).") from error
