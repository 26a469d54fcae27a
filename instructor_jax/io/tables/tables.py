"""Tables of text, record by record: .txt, .jsonl, .csv, .tsv, .parquet, gzip-compressed ones, and standard input.

At most one record (of parquet: one batch of rows) is in memory, so a table may be larger than that.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from instructor_jax.io.json_files import parse_json, shown_value
from instructor_jax.io.tables.delimited import DelimitedTable, delimiter_named
from instructor_jax.io.tables.parquet import ParquetTable
from instructor_jax.io.tables.records import LineBased, Record, Table, listed, require_names
from instructor_jax.io.tables.text_lines import TextLines, is_stdin

FormatName = Literal["txt", "jsonl", "csv", "tsv", "parquet"]

_SUFFIXES: dict[str, FormatName] = {
    ".txt": "txt",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
}
_USUAL = {"csv": ",", "tsv": "\t"}


def open_table(
    path: Path,
    *,
    format: FormatName | None = None,
    header: bool = True,
    quotes: bool = True,
    delimiter: str | None = None,
) -> Table:
    """Open a file, a folder of Parquet files, or standard input for "-" and "/dev/stdin".

    Args:
        path: the file; a last suffix .gz means that it is compressed.
        format: how to read it; None goes by the suffix, reads a folder as parquet and standard input as txt.
        header: the first record of .csv and .tsv names the columns; otherwise they are called 1, 2, ...
        quotes: fields of .csv and .tsv may be quoted; otherwise a quotation mark is a character like any other.
        delimiter: between the fields of .csv and .tsv, a character or its name; None finds it out.

    Raises:
        ValueError: the suffix is unknown, the file is another kind of file, or it has no record to take columns from.
        OSError: the file cannot be opened.
        ImportError: parquet without the extra `tables`.
    """
    format = format or format_of(path)
    if delimiter is not None and format not in _USUAL:
        raise ValueError(f"{path}: --delimiter is for .csv and .tsv, not for {format}; leave it out")
    if format == "parquet":
        return ParquetTable(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give a file (only Parquet is read from a folder of files)")
    character = None if delimiter is None else delimiter_named(delimiter)
    lines = TextLines(path, keep_ends=format in _USUAL)
    try:
        if format == "txt":
            return LinesTable(lines)
        if format == "jsonl":
            return JsonLinesTable(lines)
        return DelimitedTable(lines, delimiter=character, usual=_USUAL[format], header=header, quotes=quotes)
    except BaseException:  # the first record is read already, and may be broken
        lines.close()
        raise


def format_of(path: Path) -> FormatName:
    """How a file is read by its name.

    Raises:
        ValueError: its suffix is unknown.
    """
    if is_stdin(path):
        return "txt"
    suffixes = [suffix.lower() for suffix in path.suffixes]
    suffix = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else "".join(suffixes[-1:])
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if path.is_dir():
        return "parquet"
    known = ", ".join(_SUFFIXES)
    raise ValueError(f"{path}: unknown suffix {suffix!r}; it must be one of {known} (or with .gz), or give --format")


class LinesTable(LineBased):
    """One text a line, in the one column `text`. An empty line is an empty text: row n stays line n."""

    columns = ("text",)

    def records(self, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Record]:
        """See `Table`."""
        for line in self._lines:
            yield self._lines.number, (line,) * len(columns)


class JsonLinesTable(LineBased):
    """One JSON object a line; blank lines are no records."""

    def __init__(self, lines: TextLines) -> None:
        super().__init__(lines)
        self._objects = self._parse()
        first = next(self._objects, None)
        if first is None:
            raise ValueError(f"{self.name}: holds no JSON object")
        self.columns = tuple(first[1])
        require_names(self.name, self.columns)
        self._objects = itertools.chain([first], self._objects)

    def _parse(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for line in self._lines:
            if not line or line.isspace():
                continue
            where = f"{self.name}, line {self._lines.number}"
            value = parse_json(line, where, constants=True)  # published data hold NaN; text columns refuse it
            if not isinstance(value, dict):
                raise ValueError(f"{where}: must be a JSON object, got {shown_value(value)}")
            yield self._lines.number, value

    def records(self, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Record]:
        """See `Table`."""
        for number, value in self._objects:
            try:
                yield number, tuple([value.get(name) if name in optional else value[name] for name in columns])
            except KeyError as error:
                raise ValueError(
                    f"{self.name}, line {number}: has no {error.args[0]!r}; its keys: {listed(list(value))}"
                ) from None
