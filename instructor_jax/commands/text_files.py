"""Rows of text with their instructions and ids, read from a table; which column is which, by option or by its name.

A row that cannot be used (no text, a number where text should be) stops the reading with its place in the file; rows
are never skipped, because the vectors must stay aligned with them.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from instructor_jax.commands.table_options import InputOptions
from instructor_jax.commands.text_blocks import TextRow
from instructor_jax.io.printable import one_line
from instructor_jax.io.tables.places import Place
from instructor_jax.io.tables.records import Table, listed

# Names by which the columns of public text data sets usually go; the first that is present is taken.
_TEXT_NAMES = ("text", "sentence", "content", "passage", "document")
_ID_NAMES = ("id", "_id")
_TITLE = "title"
# The columns by which a corpus of BEIR is known (its corpus.jsonl); its texts are read as BEIR reads them.
_BEIR = ("_id", "text", _TITLE)


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


def read_texts(
    table: Table, options: InputOptions, *, own_instructions: bool = True, start: Place | None = None
) -> Iterator[TextRow]:
    """The rows of a table.

    Args:
        table: an opened table; its records are consumed.
        options: which column is which.
        own_instructions: take a column `instruction` even where no option names it.
        start: where in the table to begin; its records are then not consumed.

    Raises:
        ValueError: a column is missing or ambiguous, or a value is no text; with the file, the line and the value.
    """
    chosen = text_columns(table, options, own_instructions=own_instructions)
    columns = [name for name in (chosen.text, chosen.title, chosen.instruction, chosen.id) if name is not None]

    def rows() -> Iterator[TextRow]:
        for number, values in table.records(columns, [chosen.title] if chosen.title else (), start):
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
