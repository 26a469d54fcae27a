"""The rows of a data set that the library `datasets` wrote to disk: Arrow files, listed by a small `state.json`.

The files are mapped and not loaded. Only pyarrow is needed; nothing that lies beside the data is executed.
"""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from instructor_jax.io.bounds import LINE_BYTES
from instructor_jax.io.json_files import Fields, read_json
from instructor_jax.io.printable import one_line
from instructor_jax.io.tables.places import Place
from instructor_jax.io.tables.records import Record, Table, listed, require_names

_STATE, _SPLITS = DATASET_FILES = ("state.json", "dataset_dict.json")  # one of them is there
_ROWS = 1024  # turned into Python values at a time


def is_arrow_dataset(path: Path) -> bool:
    """Whether a folder was written by `save_to_disk`: a data set, or several splits of one."""
    return path.is_dir() and ((path / _STATE).is_file() or (path / _SPLITS).is_file())


class ArrowDatasetTable(Table):
    """The rows of a data set on disk, in its order.

    Args:
        path: the folder that `save_to_disk` wrote.

    Raises:
        ValueError: the folder holds several splits, its rows are chosen by an indices file, or a file is damaged.
        ImportError: pyarrow is absent.
    """

    unit = "row"

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow
        except ImportError as error:
            raise ImportError(f"{path}: a data set needs pyarrow: pip install 'instructor-jax[tables]'") from error
        self.name = str(path)
        self._errors = (pyarrow.ArrowException, OSError, ValueError, OverflowError, MemoryError)
        self._files = _data_files(path)
        self._read = 0
        self.columns = ()
        self._rows_of = []
        for number, file in enumerate(self._files):
            columns, rows = self._described(file)
            if number and columns != self.columns:
                raise ValueError(f"{file}: has the columns {listed(columns)}, files before it {listed(self.columns)}")
            self.columns = columns
            self._rows_of.append(rows)
        require_names(self.name, self.columns)

    def places(self, step: int, first: int = 0) -> Generator[Place, None, int]:
        """See `Table`."""
        rows = sum(self._rows_of)
        yield from (Place(row) for row in range(first, rows, step))
        return rows

    def records(
        self, columns: Sequence[str], optional: Sequence[str] = (), start: Place | None = None
    ) -> Iterator[Record]:
        """See `Table`."""
        self._read = left_out = 0 if start is None else start.row
        for file, rows in zip(self._files, self._rows_of, strict=True):
            if left_out and left_out >= rows:
                left_out -= rows
                continue
            for batch in self._batches(file):
                if left_out >= len(batch):
                    left_out -= len(batch)
                    continue
                for begin in range(left_out, len(batch), _ROWS):
                    lists = [self._values(batch, column, begin) for column in columns]
                    for values in zip(*lists, strict=True):
                        self._read += 1
                        yield self._read, values
                left_out = 0

    def _values(self, batch: Any, column: str, begin: int) -> list:
        try:
            array = batch.column(column).slice(begin, _ROWS)
            if array.nbytes > LINE_BYTES and any(len(value.as_buffer() or b"") > LINE_BYTES for value in array):
                raise ValueError(f"column {column!r} has a text of more than {LINE_BYTES:,} bytes")
            return array.to_pylist()
        except (*self._errors, AttributeError) as error:  # bytes that are not UTF-8, a nested value
            raise self._damaged(error) from error

    def _batches(self, file: Path) -> Iterator[Any]:
        import pyarrow

        try:
            with pyarrow.memory_map(str(file)) as mapped, pyarrow.ipc.open_stream(mapped) as stream:
                yield from stream
        except self._errors as error:
            raise self._damaged(error) from error

    def _described(self, file: Path) -> tuple[tuple[str, ...], int]:
        """Columns and number of rows of a file; its batches are looked at, not read."""
        import pyarrow

        try:
            with pyarrow.memory_map(str(file)) as mapped, pyarrow.ipc.open_stream(mapped) as stream:
                return tuple(stream.schema.names), sum(len(batch) for batch in stream)
        except FileNotFoundError:
            raise
        except self._errors as error:
            raise ValueError(f"{file}: not an Arrow stream, or damaged: {one_line(str(error), 300)}") from error

    def _damaged(self, error: BaseException) -> ValueError:
        return ValueError(f"{self.name}, after row {self._read}: damaged Arrow data: {one_line(str(error), 300)}")

    def fraction_read(self) -> float | None:
        """See `Table`."""
        return self._read / max(sum(self._rows_of), 1)


def _data_files(folder: Path) -> list[Path]:
    if not (folder / _STATE).is_file():
        splits = Fields(read_json(folder / _SPLITS), folder / _SPLITS).any("splits")
        names = [name for name in splits if isinstance(name, str)] if isinstance(splits, list) else []
        raise ValueError(f"{folder} holds the splits {listed(names)}; give the folder of one of them")
    state = read_json(folder / _STATE)
    if state.get("_indices_files"):
        raise ValueError(
            f"{folder}: its rows are chosen through an indices file; call flatten_indices() before save_to_disk()"
        )
    found = state.get("_data_files")
    entries = found if isinstance(found, list) else []
    names = [str(entry.get("filename")) for entry in entries if isinstance(entry, dict)]
    if not names or not all(Path(name).name == name for name in names):
        raise ValueError(f"{folder / _STATE}: names no data files of this folder; is it a data set on disk?")
    return [folder / name for name in names]
