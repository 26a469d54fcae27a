"""What all kinds of tables have in common: named columns, and records in order, once."""

from collections.abc import Generator, Iterator, Sequence
from types import TracebackType
from typing import Any

from instructor_jax.io.bounds import COLUMNS
from instructor_jax.io.printable import one_line
from instructor_jax.io.tables.places import Place
from instructor_jax.io.tables.text_lines import TextLines

Record = tuple[int, tuple[Any, ...]]  # line or row number, counted from 1, and the values of the chosen columns


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

    def records(
        self, columns: Sequence[str], optional: Sequence[str] = (), start: Place | None = None
    ) -> Iterator[Record]:
        """Each record's number and its values of `columns`; can be called once, and any number of times with a place.

        Args:
            columns: names, each of them in `self.columns`.
            optional: those that a record may lack (an object of JSON lines); its value is then None.
            start: where to begin, one of `places`; nothing before it is read, but in compressed files.
        """
        raise NotImplementedError

    def places(self, step: int, first: int = 0) -> Generator[Place, None, int]:
        """Where the records `first`, `first + step`, ... begin; what it returns is the number of all records.

        Raises:
            ValueError: the table can be read once only.
        """
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


class LineBased(Table):
    """A table in a file of lines."""

    def __init__(self, lines: TextLines) -> None:
        self.name = lines.name
        self._lines = lines
        self._share: TextLines | None = None  # the lines of the share that is being read

    def _again(self, start: Place | None = None) -> tuple[TextLines, int]:
        """The lines anew, from a place on, and how many records to leave out before it is reached."""
        if self._share is not None:
            self._share.close()
        if start is not None and start.offset is not None:
            self._share = self._lines.again(start.offset, start.line)
            return self._share, 0
        self._share = self._lines.again()
        return self._share, start.row if start is not None else 0

    def fraction_read(self) -> float | None:
        """See `Table`."""
        return self._lines.fraction_read()

    def close(self) -> None:
        """See `Table`."""
        self._lines.close()
        if self._share is not None:
            self._share.close()


def require_names(table: str, names: Sequence[str], hint: str = "") -> None:
    """Refuse column names that cannot be told apart, or too many.

    Raises:
        ValueError: two are equal, or there are more than `COLUMNS`.
    """
    if len(names) > COLUMNS:
        raise ValueError(f"{table}: has {len(names):,} columns, more than {COLUMNS:,}; is it a table?")
    if len(set(names)) < len(names):
        raise ValueError(f"{table}: two columns have one name: {listed(names)}{hint}")


def listed(names: Sequence[str]) -> str:
    """Names for a message, cut where they are many or long."""
    return one_line(", ".join(names[:50]), 300)
