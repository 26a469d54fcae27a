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

from instructor_jax.io.bounds import PART_CHARACTERS, ROWS
from instructor_jax.io.printable import one_line
from instructor_jax.io.tables.records import Table, listed
from instructor_jax.io.tables.tables import FormatName, format_of, open_table

# Names by which the columns of public text data sets usually go; the first that is present is taken.
_TEXT_NAMES = ("text", "sentence", "content", "passage", "document")
_ID_NAMES = ("id", "_id")
_TITLE = "title"
# The columns by which a corpus of BEIR is known (its corpus.jsonl); its texts are read as BEIR reads them.
_BEIR = ("_id", "text", _TITLE)


@Parameter(name="*", group=Group("Input", sort_key=1))
@dataclasses.dataclass(frozen=True, kw_only=True)
class TableOptions:
    """How to read a table.

    Attributes:
        format: How to read the file; by default its suffix decides (standard input: txt, one text a line).
        header: Whether the first record of .csv and .tsv names the columns; without, they are called 1, 2, 3.
        quotes: Whether quotation marks of .csv and .tsv enclose fields; without, they are plain characters.
        delimiter: Between the fields of .csv and .tsv: a character, or comma, semicolon, tab, pipe; found by default.
    """

    format: Annotated[FormatName | None, Parameter(name="--format")] = None
    header: bool = True
    quotes: bool = True
    delimiter: str | None = None

    def open(self, path: Path) -> Table:
        """Open a file the way these options say; see `open_table`."""
        return open_table(path, format=self.format, header=self.header, quotes=self.quotes, delimiter=self.delimiter)


@Parameter(name="*", group=Group("Input", sort_key=1))
@dataclasses.dataclass(frozen=True, kw_only=True)
class InputOptions(TableOptions):
    """How to read a table of texts.

    Attributes:
        text_column: Column of the texts; by default text, sentence, content, passage or document, or the only one.
        title_column: Column of titles, each joined before its text; by default "title" of a BEIR corpus (_id, title,
            text), as BEIR joins it: title, a blank, text.
        title: Whether titles are joined; --no-title leaves those of a BEIR corpus out.
        instruction_column: Column of the instructions; by default "instruction", where no option gives one for all.
        id_column: Column of the ids; by default id or _id, where the file has one.
        format: How to read the file; by default its suffix decides (standard input: txt, one text a line).
        header: Whether the first record of .csv and .tsv names the columns; without, they are called 1, 2, 3.
        quotes: Whether quotation marks of .csv and .tsv enclose fields; without, they are plain characters.
        delimiter: Between the fields of .csv and .tsv: a character, or comma, semicolon, tab, pipe; found by default.
    """

    text_column: str | None = None
    title_column: str | None = None
    title: bool = True
    instruction_column: str | None = None
    id_column: str | None = None

    def for_queries(self, path: Path, text_column: str | None) -> "InputOptions":
        """How to read a file of queries beside a corpus that is read like this."""
        delimited = format_of(path) in ("csv", "tsv")
        return InputOptions(
            text_column=text_column,
            header=self.header,
            quotes=self.quotes,
            delimiter=self.delimiter if delimited else None,
        )


@dataclasses.dataclass(frozen=True)
class TextColumns:
    """Which column of a table is which.

    Attributes:
        text: of the texts.
        title: of the titles that are joined before them; None where none are.
        instruction: of instructions, or None.
        id: of ids, or None.
        left_out: the titles' column, where there is one and it is not joined.
    """

    text: str
    title: str | None
    instruction: str | None
    id: str | None
    left_out: str | None

    def described(self) -> str:
        """What is read as the text, for people."""
        name = one_line(self.text, 60)
        if self.title is not None:
            return f"{one_line(self.title, 60)} + {name}, joined by a blank (--no-title leaves the titles out)"
        note = f"; {self.left_out} is not read (--title-column {self.left_out} joins it)" if self.left_out else ""
        return name + note


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


def text_columns(table: Table, options: InputOptions, *, own_instructions: bool = True) -> TextColumns:
    """Which columns of a table are read.

    Args:
        table: an opened table.
        options: which column is which, where the caller says so.
        own_instructions: take a column `instruction` even where no option names it.

    Raises:
        ValueError: a column is missing or ambiguous.
    """
    if options.title_column is not None and not options.title:
        raise ValueError("--title-column and --no-title exclude each other; give one of them")
    text = _text_column(table, options.text_column)
    is_beir = options.text_column is None and text == "text" and set(_BEIR) <= set(table.columns)
    title = _find(table, options.title_column, (_TITLE,) if is_beir and options.title else ())
    if title == text:
        raise ValueError(f"--title-column {title} is the column of the texts; name another one")
    return TextColumns(
        text,
        title,
        _find(table, options.instruction_column, ("instruction",) if own_instructions else ()),
        _find(table, options.id_column, _ID_NAMES),
        _TITLE if title is None and _TITLE in table.columns and text != _TITLE else None,
    )


def read_texts(table: Table, options: InputOptions, *, own_instructions: bool = True) -> Iterator[TextRow]:
    """The rows of a table.

    Args:
        table: an opened table; its records are consumed.
        options: which column is which.
        own_instructions: take a column `instruction` even where no option names it.

    Raises:
        ValueError: a column is missing or ambiguous, or a value is no text; with the file, the line and the value.
    """
    chosen = text_columns(table, options, own_instructions=own_instructions)
    columns = [name for name in (chosen.text, chosen.title, chosen.instruction, chosen.id) if name is not None]

    def rows() -> Iterator[TextRow]:
        for number, values in table.records(columns, optional=[chosen.title] if chosen.title else ()):
            text, *more = values
            title = more.pop(0) if chosen.title is not None else ""
            own = more.pop(0) if chosen.instruction is not None else ""
            name = more.pop(0) if chosen.id is not None else ""
            title = "" if title is None else title  # a BEIR corpus may lack the title of a document
            name = str(name) if type(name) is int else name
            if type(text) is not str or type(own) is not str or type(name) is not str or type(title) is not str:
                raise ValueError(_not_text(table, number, columns, values))
            if chosen.title is not None:
                text = f"{title} {text}".strip()  # as beir's retrieval models join them
            yield TextRow(
                text, own if chosen.instruction is not None else None, name if chosen.id is not None else None
            )

    return rows()


def text_blocks(rows: Iterable[TextRow], size: int, characters: int = PART_CHARACTERS) -> Iterator[TextBlock]:
    """Cut rows into blocks of `size`; the last one may be shorter, and so is one of very long texts.

    Args:
        rows: the rows.
        size: rows of a block.
        characters: a block ends with the row that reaches so many, so that a block fits into memory.

    Raises:
        ValueError: size is not in [1, `ROWS`].
    """
    if not 1 <= size <= ROWS:
        raise ValueError(f"part size={size} must be at least 1 and at most {ROWS:,}")
    index = first_row = long = 0
    texts, instructions, ids = [], [], []

    def block() -> TextBlock:
        return TextBlock(index, first_row, texts, instructions or None, ids or None)

    for text, instruction, identifier in rows:
        texts.append(text)
        long += len(text)
        if instruction is not None:
            instructions.append(instruction)
            long += len(instruction)
        if identifier is not None:
            ids.append(identifier)
            long += len(identifier)
        if len(texts) == size or long >= characters:
            yield block()
            index, first_row, long = index + 1, first_row + len(texts), 0
            texts, instructions, ids = [], [], []
    if texts:
        yield block()


def _find(table: Table, named: str | None, usual: Sequence[str]) -> str | None:
    if named is None:
        return next((name for name in usual if name in table.columns), None)
    if named not in table.columns:
        raise ValueError(f"{table.name}: has no column {named!r}; its columns: {listed(table.columns)}")
    return named


def _text_column(table: Table, named: str | None) -> str:
    column = _find(table, named, _TEXT_NAMES)
    others = [name for name in table.columns if name not in ("instruction", *_ID_NAMES)]
    if column is None and len(others) == 1:
        column = others[0]
    if column is None:
        raise ValueError(
            f"{table.name}: which column holds the texts? name one by --text-column: {listed(table.columns)}"
        )
    return column


def _not_text(table: Table, number: int, columns: Sequence[str], values: Sequence[Any]) -> str:
    pairs = zip(columns, values, strict=True)
    column, value = next(((c, v) for c, v in pairs if type(v) is not str), (columns[0], values[0]))
    shown = "nothing" if value is None else f"{_shown(value)!r} of type {type(value).__name__}"
    return f"{table.name}, {table.unit} {number}: column {column!r} must hold text, got {shown}"


def _shown(value: Any) -> str:
    try:
        return str(value)[:60]
    except (ValueError, RecursionError):  # an integer of thousands of digits, which Python does not print
        return "a value"
