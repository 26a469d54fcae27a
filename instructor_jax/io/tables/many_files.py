"""Several files as one table: their records one after the other, each file opened when its turn comes."""

from collections.abc import Callable, Generator, Iterator, Sequence

from instructor_jax.io.remote.stored_file import Source
from instructor_jax.io.tables.places import Place
from instructor_jax.io.tables.records import Record, Table, listed


class ManyTables(Table):
    """Files of the same columns, in the order in which they are given.

    A file may have more columns than the first one; those that are read must be there.

    Args:
        paths: the files, or folders that are tables of their own; at least one.
        opened: opens one of them.

    Raises:
        ValueError: the first of them is no table.
    """

    def __init__(self, paths: Sequence[Source], opened: Callable[[Source], Table]) -> None:
        self._paths, self._open = tuple(paths), opened
        self._label = f"{paths[0]} and {len(paths) - 1:,} more"
        self._current: Table | None = None
        self._file = 0
        with opened(paths[0]) as first:
            self.columns, self.unit = first.columns, first.unit

    @property
    def name(self) -> str:  # type: ignore[override]
        """The file that is being read, otherwise the first one and how many follow."""
        return self._label if self._current is None else self._current.name

    def records(
        self, columns: Sequence[str], optional: Sequence[str] = (), start: Place | None = None
    ) -> Iterator[Record]:
        """See `Table`."""
        begin = 0 if start is None else start.file
        for number, path in enumerate(self._paths[begin:], begin):
            with self._open(path) as table:
                self._require(table, columns, optional)
                self._current, self._file, self.unit = table, number, table.unit
                yield from table.records(columns, optional, start if number == begin else None)
            self._current = None

    def places(self, step: int, first: int = 0) -> Generator[Place, None, int]:
        """See `Table`."""
        rows = 0
        for number, path in enumerate(self._paths):
            ahead = first - rows if rows < first else -(rows - first) % step
            with self._open(path) as table:
                found = table.places(step, ahead)
                while True:
                    try:
                        yield next(found)._replace(file=number)
                    except StopIteration as end:
                        rows += end.value
                        break
        return rows

    def _require(self, table: Table, columns: Sequence[str], optional: Sequence[str]) -> None:
        for column in columns:
            if column not in table.columns and column not in optional:
                raise ValueError(
                    f"{table.name}: has no column {column!r}, as {self._paths[0]} has; "
                    f"its columns: {listed(table.columns)}"
                )

    def fraction_read(self) -> float | None:
        """See `Table`; every file counts the same."""
        inside = self._current.fraction_read() if self._current is not None else None
        return (self._file + (inside or 0.0)) / len(self._paths)

    def close(self) -> None:
        """See `Table`."""
        if self._current is not None:
            self._current.close()
