"""Tables of text, record by record: .txt, .jsonl, .csv, .tsv, .parquet, gzip-compressed ones, and standard input.

At most one record (of parquet: one batch of rows) is in memory, so a table may be larger than that.
"""

import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Literal

from instructor_jax.io.json_files import parse_json, shown_value
from instructor_jax.io.remote.stored_file import Source, StoredFile
from instructor_jax.io.tables.arrow_dataset import ArrowDatasetTable, is_arrow_dataset
from instructor_jax.io.tables.delimited import DelimitedTable, delimiter_named
from instructor_jax.io.tables.gzip_files import open_bytes
from instructor_jax.io.tables.parquet import ParquetTable
from instructor_jax.io.tables.places import Place, byte_lines_with_ends, is_wanted
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
    path: Source,
    *,
    format: FormatName | None = None,
    header: bool = True,
    quotes: bool = True,
    delimiter: str | None = None,
) -> Table:
    """Open a file, a folder of Parquet files, a data set on disk, or standard input for "-" and "/dev/stdin".

    Args:
        path: the file, of this machine or of a store; a last suffix .gz means that it is compressed.
        format: how to read it; None goes by the suffix, reads a folder as parquet and standard input as txt.
        header: the first record of .csv and .tsv names the columns; otherwise they are called 1, 2, ...
        quotes: fields of .csv and .tsv may be quoted; otherwise a quotation mark is a character like any other.
        delimiter: between the fields of .csv and .tsv, a character or its name; None finds it out.

    Raises:
        ValueError: the suffix is unknown, the file is another kind of file, or it has no record to take columns from.
        OSError: the file cannot be opened.
        ImportError: parquet without the extra `tables`.
    """
    if format is None and not isinstance(path, StoredFile) and is_arrow_dataset(path):
        return ArrowDatasetTable(path)
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


def format_of(path: Source) -> FormatName:
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

    def records(
        self, columns: Sequence[str], optional: Sequence[str] = (), start: Place | None = None
    ) -> Iterator[Record]:
        """See `Table`."""
        lines, left_out = (self._lines, 0) if start is None else self._again(start)
        for line in itertools.islice(lines, left_out, None):
            yield lines.number, (line,) * len(columns)

    def places(self, step: int, first: int = 0) -> Generator[Place, None, int]:
        """See `Table`."""
        return (yield from _line_places(self._lines, step, first, lambda line: True))


class JsonLinesTable(LineBased):
    """One JSON object a line; blank lines are no records."""

    def __init__(self, lines: TextLines) -> None:
        super().__init__(lines)
        self._objects = self._parse(lines)
        first = next(self._objects, None)
        if first is None:
            raise ValueError(f"{self.name}: holds no JSON object")
        self.columns = tuple(first[1])
        require_names(self.name, self.columns)
        self._objects = itertools.chain([first], self._objects)

    def _parse(self, lines: TextLines) -> Iterator[tuple[int, dict[str, Any]]]:
        for line in lines:
            if not line or line.isspace():
                continue
            where = f"{self.name}, line {lines.number}"
            value = parse_json(line, where, constants=True)  # published data hold NaN; text columns refuse it
            if not isinstance(value, dict):
                raise ValueError(f"{where}: must be a JSON object, got {shown_value(value)}")
            yield lines.number, value

    def places(self, step: int, first: int = 0) -> Generator[Place, None, int]:
        """See `Table`."""
        return (yield from _line_places(self._lines, step, first, _is_no_blank_line))

    def records(
        self, columns: Sequence[str], optional: Sequence[str] = (), start: Place | None = None
    ) -> Iterator[Record]:
        """See `Table`."""
        objects = self._objects
        if start is not None:
            lines, left_out = self._again(start)
            objects = itertools.islice(self._parse(lines), left_out, None)
        for number, value in objects:
            try:
                yield number, tuple([value.get(name) if name in optional else value[name] for name in columns])
            except KeyError as error:
                raise ValueError(
                    f"{self.name}, line {number}: has no {error.args[0]!r}; its keys: {listed(list(value))}"
                ) from None


def _line_places(
    lines: TextLines, step: int, first: int, is_record: Callable[[bytes], bool]
) -> Generator[Place, None, int]:
    lines.again().close()  # refuses standard input, and what is no text
    row = offset = number = 0
    compressed = lines.path.suffix.lower() == ".gz"
    with open_bytes(lines.path) as file:
        for line in byte_lines_with_ends(file, lines.name):
            if is_record(line):
                if is_wanted(row, step, first):
                    yield Place(row, None if compressed else offset, number)
                row += 1
            offset, number = offset + len(line), number + 1
    return row


def _is_no_blank_line(line: bytes) -> bool:
    if line[:1] == b"{":
        return True
    text = line.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    return bool(text) and not text.isspace()
