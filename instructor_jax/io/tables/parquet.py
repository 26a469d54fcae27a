"""The rows of a Parquet file, or of a folder of Parquet files as Spark writes them, a few thousand at a time.

Only the chosen columns are read. How many rows are taken at a time depends on how long their texts are, so that a
small file that unpacks to much (a long text repeated by reference) does not fill the memory.
"""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from instructor_jax.io.bounds import LINE_BYTES, MIB
from instructor_jax.io.printable import one_line
from instructor_jax.io.remote.stored_file import Source, StoredFile
from instructor_jax.io.tables.places import Place
from instructor_jax.io.tables.records import Record, Table, listed, require_names
from instructor_jax.io.tables.text_lines import is_stdin

_ROWS, _BYTES = 4096, 128 * MIB  # in memory at a time
_FOOTER_BYTES = 64 * MIB  # of a file's description; a footer of a thousand row groups has less than one


class ParquetTable(Table):
    """The rows of a Parquet file or of all files of a folder, in the order of their names.

    Args:
        path: the file, of this machine or of a store, or the folder. Names that begin with "." or "_" (checksums, marks
            of success) are left out, as Spark leaves them out.

    Raises:
        ValueError: it is no Parquet file; the folder holds other files or folders (partitions, whose values stand in
            the names of folders); the files have different columns, or two columns have one name.
        ImportError: pyarrow is absent.
    """

    unit = "row"

    def __init__(self, path: Source) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise ImportError(f"{path}: parquet needs pyarrow: pip install 'instructor-jax[tables]'") from error
        if is_stdin(path):
            raise ValueError("parquet cannot be read from standard input; give a file")
        self.name = str(path)
        self._errors = (pyarrow.ArrowException, OSError, ValueError, OverflowError, MemoryError)
        stored = isinstance(path, StoredFile)
        self._files: list[Source] = [path] if stored or not path.is_dir() else [*parquet_files(path)]
        self.columns = ()
        self._rows = 0
        self._rows_of: list[int] = []  # of each file
        for number, file in enumerate(self._files):
            with self._open(file) as opened:
                columns, rows = tuple(opened.schema_arrow.names), opened.metadata.num_rows
            if number and columns != self.columns:
                raise ValueError(
                    f"{file}: has the columns {listed(columns)}, the files before it {listed(self.columns)}"
                )
            self.columns = columns
            self._rows += max(rows, 0)
            self._rows_of.append(max(rows, 0))
        require_names(self.name, self.columns)
        self._read = 0
        self._opened: Any = None
        self._flat: list[str] = []  # chosen columns of plain values
        self._repeated: Any = None  # the same file, its repeated texts kept as references

    def places(self, step: int, first: int = 0) -> Generator[Place, None, int]:
        """See `Table`; the files' footers tell it."""
        yield from (Place(row) for row in range(first, self._rows, step))
        return self._rows

    def records(
        self, columns: Sequence[str], optional: Sequence[str] = (), start: Place | None = None
    ) -> Iterator[Record]:
        """See `Table`."""
        self._read = left_out = 0 if start is None else start.row
        for file, rows in zip(self._files, self._rows_of, strict=True):
            if left_out and left_out >= rows:
                left_out -= rows
                continue
            chosen = list(dict.fromkeys(columns))
            self._opened = self._open(file)
            schema = self._opened.schema_arrow
            self._flat = [name for name in chosen if schema.field(name).type.num_fields == 0]
            self._repeated = self._open(file, read_dictionary=self._flat)
            try:
                for batch in self._batches(chosen, left_out):
                    values_of = {column: self._values(batch, column) for column in chosen}
                    lists = [values_of[column] for column in columns]
                    for values in zip(*lists, strict=True):
                        self._read += 1
                        yield self._read, values
            finally:
                self.close()
            left_out = 0

    def _batches(self, columns: list[str], left_out: int) -> Iterator[Any]:
        """The rows of the open file but for the first `left_out`; whole row groups of those are not read."""
        try:
            for group in range(self._opened.metadata.num_row_groups):
                rows = self._opened.metadata.row_group(group).num_rows
                if left_out and left_out >= rows:
                    left_out -= rows
                    continue
                size = self._rows_at_once(group, columns)
                for batch in self._opened.iter_batches(batch_size=size, row_groups=[group], columns=columns):
                    if left_out < len(batch):
                        yield batch.slice(left_out)
                    left_out = max(left_out - len(batch), 0)
        except self._errors as error:
            raise self._damaged(error) from error

    def _values(self, batch: Any, column: str) -> list:
        array = batch.column(column)
        if array.nbytes > LINE_BYTES and (longest := _longest(array)) > LINE_BYTES:
            raise ValueError(
                f"{self.name}, after row {self._read}: column {column!r} has a text of {longest:,} bytes, more than "
                f"{LINE_BYTES:,}; is it text?"
            )
        try:
            return array.to_pylist()
        except self._errors as error:  # bytes that are not UTF-8, dates that Python does not have
            raise self._damaged(error) from error

    def _damaged(self, error: BaseException) -> ValueError:
        return ValueError(f"{self.name}, after row {self._read}: damaged parquet data: {one_line(str(error), 300)}")

    def _rows_at_once(self, group: int, columns: list[str]) -> int:
        """How many rows of a row group may be unpacked together, by the mean and by the longest repeated text."""
        described, largest = self._opened.metadata.row_group(group), 1
        for index in range(described.num_columns):
            chunk = described.column(index)
            column = chunk.path_in_schema.partition(".")[0]
            if column not in columns and chunk.path_in_schema not in columns:
                continue
            largest = max(largest, chunk.total_uncompressed_size // max(chunk.num_values, 1))
            if chunk.has_dictionary_page and chunk.physical_type == "BYTE_ARRAY" and column in self._flat:
                largest = max(largest, self._longest_repeated(group, column))
        return max(min(_ROWS, _BYTES // largest), 1)

    def _longest_repeated(self, group: int, column: str) -> int:
        for batch in self._repeated.iter_batches(batch_size=1, row_groups=[group], columns=[column]):
            array = batch.column(0)
            return _longest(array.dictionary) if hasattr(array, "dictionary") else 1
        return 1

    def _open(self, file: Source, **options: Any) -> Any:
        import pyarrow.parquet

        with file.open("rb") as opened:  # an absent or forbidden file is named by the usual OSError
            if not file.is_file():
                raise ValueError(f"{file} is no plain file; Parquet is read from files only")
            size = opened.seek(0, 2)
            opened.seek(max(size - 8, 0))
            end = opened.read(8)
        footer = int.from_bytes(end[:4], "little")
        if end[4:] == b"PARE":
            raise ValueError(f"{file} is encrypted; decrypt it first")
        if len(end) < 8 or end[4:] != b"PAR1":
            raise ValueError(f"{file}: not a parquet file, or cut: it does not end with PAR1")
        if footer > min(size, _FOOTER_BYTES):
            raise ValueError(f"{file}: not a parquet file, or damaged: its footer would have {footer:,} bytes")
        try:
            source = file.open("rb") if isinstance(file, StoredFile) else file
            return pyarrow.parquet.ParquetFile(source, buffer_size=1 << 20, **options)
        except self._errors as error:
            raise ValueError(f"{file}: not a parquet file: {one_line(str(error), 300)}") from error

    def fraction_read(self) -> float | None:
        """See `Table`."""
        return self._read / max(self._rows, 1)

    def close(self) -> None:
        """See `Table`."""
        for opened in (self._opened, self._repeated):
            if opened is not None:
                opened.close(force=True)


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder, in the order of their names.

    Raises:
        ValueError: it has none, or holds what would be left out in silence.
    """
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith((".", "_")))
    for path in visible:
        if path.is_dir():
            raise ValueError(
                f"{folder}: holds the folder {path.name}; partitions are not read, because part of their values stands "
                "in the names of folders. Give one folder at a time, or write the table without partitions."
            )
        if path.suffix != ".parquet":
            raise ValueError(f"{folder}: holds {path.name}, which is no .parquet; give a folder of Parquet files alone")
    if not visible:
        raise ValueError(f"{folder} is a folder without .parquet files; give a file, or a folder of Parquet files")
    return visible


def _longest(array: Any) -> int:
    import pyarrow
    from pyarrow import compute

    try:
        # By name: the functions are made at import, where type checkers do not see them.
        lengths = compute.call_function("binary_length", [array])
        return compute.call_function("max", [lengths]).as_py() or 0
    except (pyarrow.ArrowException, TypeError):  # no text; a nested value is refused later for its type
        return array.nbytes
