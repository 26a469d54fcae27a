"""Tables of text, record by record: .txt, .jsonl, .csv, .tsv, .parquet, gzip-compressed ones, and standard input.

At most one record (of parquet: one batch of rows) is in memory, so a table may be larger than that.
"""

import csv
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from instructor_jax.commands.text_lines import TextLines, is_stdin

FormatName = Literal["txt", "jsonl", "csv", "tsv", "parquet"]
Record = tuple[int, tuple[Any, ...]]  # line or row number, counted from 1, and the values of the chosen columns

_SUFFIXES: dict[str, FormatName] = {
    ".txt": "txt",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
}
# A quotation mark that is never closed swallows the rest of the file; the limit turns that into an error.
_LONGEST_FIELD = 1 << 27


class Table:
    """A source of records: its column names, and its records in order, once.

    Attributes:
        name: how messages call the source.
        unit: what a record's number counts, "line" or "row".
        columns: names of the columns; of JSON lines the keys of the first object.
    """

    name: str
    unit: str = "line"
    columns: tuple[str, ...]

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        """Each record's number and its values of `columns`; can be called once."""
        raise NotImplementedError

    def fraction_read(self) -> float | None:
        """How much of the source is read, 0 to 1; None where its size is unknown."""
        return None

    def close(self) -> None:
        """Close the file; standard input stays open."""

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def open_table(path: Path, *, format: FormatName | None = None, header: bool = True, quotes: bool = True) -> Table:
    """Open a file, or standard input for "-" and "/dev/stdin".

    Args:
        path: the file; a last suffix .gz means that it is compressed.
        format: how to read it; None goes by the suffix, and reads standard input as txt.
        header: the first record of .csv and .tsv names the columns; otherwise they are called 1, 2, ...
        quotes: fields of .csv and .tsv may be quoted; otherwise a quotation mark is a character like any other.

    Raises:
        ValueError: the suffix is unknown, or the file has no record to take columns from.
        OSError: the file cannot be opened.
        ImportError: parquet without the extra `tables`.
    """
    if format is None:
        suffixes = [suffix.lower() for suffix in path.suffixes]
        suffix = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else "".join(suffixes[-1:])
        if is_stdin(path):
            format = "txt"
        elif suffix not in _SUFFIXES:
            known = ", ".join(_SUFFIXES)
            raise ValueError(
                f"{path}: unknown suffix {suffix!r}; it must be one of {known} (or with .gz), or give --format"
            )
        else:
            format = _SUFFIXES[suffix]
    if format == "parquet":
        return ParquetTable(path)
    lines = TextLines(path)
    try:
        if format == "txt":
            return LinesTable(lines)
        if format == "jsonl":
            return JsonLinesTable(lines)
        return DelimitedTable(lines, delimiter="\t" if format == "tsv" else ",", header=header, quotes=quotes)
    except BaseException:  # the first record is read already, and may be broken
        lines.close()
        raise


class _LineBased(Table):
    def __init__(self, lines: TextLines) -> None:
        self.name = lines.name
        self._lines = lines

    def fraction_read(self) -> float | None:
        return self._lines.fraction_read()

    def close(self) -> None:
        self._lines.close()


class LinesTable(_LineBased):
    """One text a line, in the one column `text`. An empty line is an empty text: row n stays line n."""

    columns = ("text",)

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        for line in self._lines:
            text = line.removesuffix("\n").removesuffix("\r")
            yield self._lines.number, (text,) * len(columns)


class JsonLinesTable(_LineBased):
    """One JSON object a line; blank lines are no records."""

    def __init__(self, lines: TextLines) -> None:
        super().__init__(lines)
        self._objects = self._parse()
        first = next(self._objects, None)
        if first is None:
            raise ValueError(f"{self.name}: holds no JSON object")
        self.columns = tuple(first[1])
        self._objects = itertools.chain([first], self._objects)

    def _parse(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for line in self._lines:
            if line.isspace():
                continue
            number = self._lines.number
            try:
                value = json.loads(line)
                if "\\u" in line:
                    json.dumps(value, ensure_ascii=False).encode("utf-8")  # refuses half of a surrogate pair
            except json.JSONDecodeError as error:
                raise ValueError(
                    f"{self.name}, line {number}: not JSON: {error.msg} at column {error.colno}"
                ) from error
            except UnicodeEncodeError as error:
                raise ValueError(
                    f"{self.name}, line {number}: \\u escapes that are no character: {error.reason}"
                ) from error
            if not isinstance(value, dict):
                raise ValueError(f"{self.name}, line {number}: must be a JSON object, got {line.strip()[:60]}")
            yield number, value

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        for number, value in self._objects:
            try:
                yield number, tuple([value[column] for column in columns])
            except KeyError as error:
                raise ValueError(
                    f"{self.name}, line {number}: has no {error.args[0]!r}; its keys: {', '.join(value)}"
                ) from None


class DelimitedTable(_LineBased):
    """Comma- or tab-separated values; a record's number is the line it begins on. Blank lines are no records."""

    def __init__(self, lines: TextLines, *, delimiter: str, header: bool, quotes: bool) -> None:
        super().__init__(lines)
        csv.field_size_limit(_LONGEST_FIELD)  # of the whole process; Python's default of 131,072 is a long article
        quoting = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
        self._reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
        self._fields = self._parse()
        first = next(self._fields, None)
        if first is None:
            raise ValueError(f"{self.name}: holds no record")
        self.columns = tuple(first[1]) if header else tuple(str(k + 1) for k in range(len(first[1])))
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(
                f"{self.name}: two columns have one name: {', '.join(self.columns)} (--no-header if it has no header)"
            )
        if not header:
            self._fields = itertools.chain([first], self._fields)

    def _parse(self) -> Iterator[tuple[int, list[str]]]:
        while True:
            number = self._reader.line_num + 1
            try:
                fields = next(self._reader, None)
            except csv.Error as error:
                hint = "if quotation marks are plain characters in this file, give --no-quotes"
                raise ValueError(f"{self.name}, line {number}: {error}; {hint}") from error
            if fields is None:
                return
            if fields:
                yield number, fields

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        width, chosen = len(self.columns), [self.columns.index(column) for column in columns]
        for number, fields in self._fields:
            if len(fields) != width:
                raise ValueError(
                    f"{self.name}, line {number}: has {len(fields)} fields, must have {width} like the first record"
                )
            yield number, tuple([fields[k] for k in chosen])


class ParquetTable(Table):
    """The rows of a parquet file; only the chosen columns are read, a few thousand rows at a time."""

    unit = "row"

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise ImportError(f"{path}: parquet needs pyarrow: pip install 'instructor-jax[tables]'") from error
        if is_stdin(path):
            raise ValueError("parquet cannot be read from standard input; give a file")
        self.name = str(path)
        self._arrow_error = pyarrow.ArrowException
        path.open("rb").close()  # an absent or forbidden file is named by the usual OSError
        try:
            self._file = pyarrow.parquet.ParquetFile(path, buffer_size=1 << 20)
        except pyarrow.ArrowException as error:
            raise ValueError(f"{path}: not a parquet file: {error}") from error
        self.columns = tuple(self._file.schema_arrow.names)
        self._read = 0

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        try:
            for batch in self._file.iter_batches(batch_size=4096, columns=list(dict.fromkeys(columns))):
                lists = [batch.column(column).to_pylist() for column in columns]
                for values in zip(*lists, strict=True):
                    self._read += 1
                    yield self._read, values
        except self._arrow_error as error:
            raise ValueError(f"{self.name}, after row {self._read}: damaged parquet data: {error}") from error

    def fraction_read(self) -> float | None:
        return self._read / max(self._file.metadata.num_rows, 1)

    def close(self) -> None:
        self._file.close()
