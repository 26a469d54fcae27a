"""The options by which a command reads a table: its format, and which of its columns are texts, titles and ids."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from instructor_jax.io.remote.stored_file import Source
from instructor_jax.io.tables.many_files import ManyTables
from instructor_jax.io.tables.records import Table
from instructor_jax.io.tables.tables import FormatName, format_of, open_table


@Parameter(name="*", group=Group("Input", sort_key=1))
@dataclasses.dataclass(frozen=True, kw_only=True)
class TableOptions:
    """How to read a table.

    Attributes:
        format: How to read the file; by default its suffix decides (standard input: txt, one text a line).
        header: Whether the first record of .csv and .tsv names the columns; without, they are called 1, 2, 3.
        quotes: Whether quotation marks of .csv and .tsv enclose fields; without, they are plain characters.
        delimiter: Between fields of .csv and .tsv: comma, semicolon, tab, pipe, space, any character; found by default.
    """

    format: Annotated[FormatName | None, Parameter(name="--format")] = None
    header: bool = True
    quotes: bool = True
    delimiter: str | None = None

    def open(self, path: Source) -> Table:
        """Open a file the way these options say; see `open_table`."""
        return open_table(path, format=self.format, header=self.header, quotes=self.quotes, delimiter=self.delimiter)

    def open_all(self, paths: Sequence[Source]) -> Table:
        """Open one file or several, one after the other as one table; see `open_table`."""
        return self.open(paths[0]) if len(paths) == 1 else ManyTables(paths, self.open)


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
        delimiter: Between fields of .csv and .tsv: comma, semicolon, tab, pipe, space, any character; found by default.
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
