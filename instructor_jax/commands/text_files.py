"""Rows of text with their instructions and ids, read from a table; which column is which, by option or by its name.

A row that cannot be used (no text, a number where text should be) stops the reading with its place in the file; rows
are never skipped, because the vectors must stay aligned with them.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from cyclopts import Group, Parameter

from instructor_jax.commands.tables import FormatName, Table, open_table

# Names by which the columns of public text data sets usually go; the first that is present is taken.
_TEXT_NAMES = ("text", "sentence", "content", "passage", "document")
_ID_NAMES = ("id", "_id")


@Parameter(name="*", group=Group("Input", sort_key=1))
@dataclasses.dataclass(frozen=True, kw_only=True)
class InputOptions:
    """How to read a table of texts.

    Attributes:
        text_column: Column of the texts; by default text, sentence, content, passage or document, or the only one.
        instruction_column: Column of the instructions; by default "instruction", where no option gives one for all.
        id_column: Column of the ids; by default id or _id, where the file has one.
        format: How to read the file; by default its suffix decides (standard input: txt, one text a line).
        header: Whether the first record of .csv and .tsv names the columns; without, they are called 1, 2, 3.
        quotes: Whether quotation marks of .csv and .tsv enclose fields; without, they are plain characters.
    """

    text_column: str | None = None
    instruction_column: str | None = None
    id_column: str | None = None
    format: Annotated[FormatName | None, Parameter(name="--format")] = None
    header: bool = True
    quotes: bool = True

    def open(self, path: Path) -> Table:
        """Open a file the way these options say; see `open_table`."""
        return open_table(path, format=self.format, header=self.header, quotes=self.quotes)


class TextRow(NamedTuple):
    """One row: its text, and its instruction and id where the table has such columns."""

    text: str
    instruction: str | None
    id: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class TextBlock:
    """A fixed range of the rows of one input, the unit that is encoded by one call.

    Attributes:
        index: number of the block, from 0.
        first_row: number of its first row, from 0.
        texts: the texts, one for each row.
        instructions: one for each row, or None where the table has no such column.
        ids: one for each row, or None where the table has no such column.
    """

    index: int
    first_row: int
    texts: list[str]
    instructions: list[str] | None
    ids: list[str] | None

    def sentences(self) -> list[str] | list[list[str]]:
        """What `Instructor.encode` takes: texts, or pairs where every row has its own instruction."""
        if self.instructions is None:
            return self.texts
        return [[instruction, text] for instruction, text in zip(self.instructions, self.texts, strict=True)]

    def digest(self) -> str:
        """Hash of everything in the block; equal blocks have equal digests on every machine."""
        digest = hashlib.blake2b(digest_size=16)
        for column in (self.texts, self.instructions, self.ids):
            values = [value.encode("utf-8") for value in column or ()]
            # With the lengths before them the joined bytes can be read in one way only.
            digest.update(np.array([column is not None, *map(len, values)], dtype="<i8").tobytes())
            digest.update(b"".join(values))
        return digest.hexdigest()


def read_texts(table: Table, options: InputOptions, *, own_instructions: bool = True) -> Iterator[TextRow]:
    """The rows of a table.

    Args:
        table: an opened table; its records are consumed.
        options: which column is which.
        own_instructions: take a column `instruction` even where no option names it.

    Raises:
        ValueError: a column is missing or ambiguous, or a value is no text; with the file, the line and the value.
    """
    columns = [_text_column(table, options.text_column)]
    instruction = _find(table, options.instruction_column, ("instruction",) if own_instructions else ())
    identifier = _find(table, options.id_column, _ID_NAMES)
    columns += [column for column in (instruction, identifier) if column is not None]

    def rows() -> Iterator[TextRow]:
        for number, values in table.records(columns):
            own = values[1] if instruction is not None else ""
            name = values[-1] if identifier is not None else ""
            name = str(name) if type(name) is int else name
            if type(values[0]) is not str or type(own) is not str or type(name) is not str:
                raise ValueError(_not_text(table, number, columns, values))
            yield TextRow(values[0], own if instruction is not None else None, name if identifier is not None else None)

    return rows()


def text_blocks(rows: Iterable[TextRow], size: int) -> Iterator[TextBlock]:
    """Cut rows into blocks of `size`; the last one may be shorter.

    Raises:
        ValueError: size < 1.
    """
    if size < 1:
        raise ValueError(f"part size={size} must be at least 1")
    index, texts, instructions, ids = 0, [], [], []

    def block() -> TextBlock:
        return TextBlock(index, index * size, texts, instructions or None, ids or None)

    for text, instruction, identifier in rows:
        texts.append(text)
        if instruction is not None:
            instructions.append(instruction)
        if identifier is not None:
            ids.append(identifier)
        if len(texts) == size:
            yield block()
            index, texts, instructions, ids = index + 1, [], [], []
    if texts:
        yield block()


def _find(table: Table, named: str | None, usual: Sequence[str]) -> str | None:
    if named is None:
        return next((name for name in usual if name in table.columns), None)
    if named not in table.columns:
        raise ValueError(f"{table.name}: has no column {named!r}; its columns: {', '.join(table.columns)}")
    return named


def _text_column(table: Table, named: str | None) -> str:
    column = _find(table, named, _TEXT_NAMES)
    others = [name for name in table.columns if name not in ("instruction", *_ID_NAMES)]
    if column is None and len(others) == 1:
        column = others[0]
    if column is None:
        raise ValueError(
            f"{table.name}: which column holds the texts? name one by --text-column: {', '.join(table.columns)}"
        )
    return column


def _not_text(table: Table, number: int, columns: Sequence[str], values: Sequence[Any]) -> str:
    column, value = next((c, v) for c, v in zip(columns, values, strict=True) if type(v) is not str)
    shown = "nothing" if value is None else f"{str(value)[:60]!r} of type {type(value).__name__}"
    return f"{table.name}, {table.unit} {number}: column {column!r} must hold text, got {shown}"
