"""Comma-, semicolon- or tab-separated values, and which of them a file has.

A table that is read with the wrong delimiter has one column in which everything is joined, and would be embedded
without a word. So the first lines are looked at: where another delimiter fits them and the usual one does not, the
other is taken; where both may be meant, the file is refused until --delimiter says which.
"""

import csv
import itertools
import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any

from instructor_jax.io.bounds import COLUMNS, LINE_BYTES
from instructor_jax.io.tables.gzip_files import open_bytes
from instructor_jax.io.tables.places import Place, is_wanted
from instructor_jax.io.tables.records import LineBased, Record, listed, require_names
from instructor_jax.io.tables.text_lines import TextLines

logger = logging.getLogger(__name__)

_NAMED = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "bar": "|", "space": " "}
_CANDIDATES = (",", ";", "\t", "|")
_MARK = b"\xef\xbb\xbf"  # that some programs write before UTF-8
_SHOWN = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "pipe"}
# So many lines and characters are looked at.
_HEAD_LINES, _HEAD_CHARACTERS = 50, 1 << 20


def delimiter_named(name: str) -> str:
    """The character that --delimiter means: a character itself, or comma, semicolon, tab, pipe, space.

    Raises:
        ValueError: it is none of these, or a character that cannot separate fields.
    """
    character = _NAMED.get(name.lower(), name)
    if len(character) != 1 or character in '"\r\n\0\ufeff':
        raise ValueError(
            f"--delimiter {name!r} must be one character, or comma, semicolon, tab, pipe or space; "
            "a line break or quotation mark cannot be one"
        )
    return character


class DelimitedTable(LineBased):
    """Delimited values; a record's number is the line it begins on. Blank lines are no records.

    Args:
        lines: the file's lines with their ends.
        delimiter: between the fields; None finds it out.
        usual: the delimiter that the file's name promises.
        header: the first record names the columns; otherwise they are called 1, 2, ...
        quotes: fields may be quoted; otherwise a quotation mark is a character like any other.

    Raises:
        ValueError: there is no record, two columns have one name, or the delimiter is not clear.
    """

    def __init__(self, lines: TextLines, *, delimiter: str | None, usual: str, header: bool, quotes: bool) -> None:
        super().__init__(lines)
        head = _head(lines)
        quoting: Any = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
        if delimiter is None:
            delimiter = _delimiter_of(head, usual, header, quoting, self.name)
        csv.field_size_limit(LINE_BYTES)  # of the whole process; Python's default of 131,072 is a long article
        self._delimiter, self._quoting, self._header = delimiter, quoting, header
        self._fields = self._parse(itertools.chain(head, lines))
        first = next(self._fields, None)
        if first is None:
            raise ValueError(f"{self.name}: holds no record")
        if header:
            self.columns = tuple(first[1])
        else:
            self.columns = tuple(str(k + 1) for k in range(min(len(first[1]), COLUMNS + 1)))
            self._fields = itertools.chain([first], self._fields)
        require_names(self.name, self.columns, " (--no-header if it has no header)")

    def _parse(self, lines: Iterable[str], before: int = 0) -> Iterator[tuple[int, list[str]]]:
        """Line number and fields of each record; `before` lines lie before the first."""
        in_record = 0  # characters since the record's beginning, the line breaks in its quotes included

        def counted() -> Iterator[str]:
            # A quotation mark that is never closed must not swallow the rest of the file into memory.
            nonlocal in_record
            for line in lines:
                in_record += len(line)
                if in_record > LINE_BYTES:
                    raise csv.Error(f"the record that begins here has more than {LINE_BYTES:,} characters")
                yield line

        reader = csv.reader(counted(), delimiter=self._delimiter, quoting=self._quoting, strict=True)
        while True:
            number = before + reader.line_num + 1
            in_record = 0
            try:
                fields = next(reader, None)
            except csv.Error as error:
                hint = "if quotation marks are plain characters in this file, give --no-quotes"
                raise ValueError(f"{self.name}, line {number}: {error}; {hint}") from error
            if fields is None:
                return
            if fields:
                yield number, fields

    def places(self, step: int, first: int = 0) -> Generator[Place, None, int]:
        """See `Table`."""
        lines, _ = self._again()
        compressed = lines.path.suffix.lower() == ".gz"
        with open_bytes(lines.path) as file:
            offset = len(_MARK) if file.read(len(_MARK)) == _MARK else 0  # which `lines` leave out

        def measured() -> Iterator[str]:  # csv takes a line when it needs one: between records, all it took is read
            nonlocal offset
            for line in lines:
                offset += len(line) if line.isascii() else len(line.encode("utf-8", "surrogateescape"))
                yield line

        row, begins, before = -1 if self._header else 0, offset, 0
        for _ in self._parse(measured()):
            if row >= 0 and is_wanted(row, step, first):
                yield Place(row, None if compressed else begins, before)
            row, begins, before = row + 1, offset, lines.number
        return max(row, 0)

    def records(
        self, columns: Sequence[str], optional: Sequence[str] = (), start: Place | None = None
    ) -> Iterator[Record]:
        """See `Table`."""
        width, chosen = len(self.columns), [self.columns.index(column) for column in columns]
        found = self._fields
        if start is not None:
            lines, left_out = self._again(start)
            left_out += self._header if start.offset is None else 0
            found = itertools.islice(self._parse(lines, lines.number), left_out, None)
        for number, fields in found:
            if len(fields) != width:
                raise ValueError(
                    f"{self.name}, line {number}: has {len(fields)} fields, must have {width} like the first record"
                )
            yield number, tuple([fields[k] for k in chosen])


def _head(lines: TextLines) -> list[str]:
    head, characters = [], 0
    for line in lines:
        head.append(line)
        characters += len(line)
        if len(head) == _HEAD_LINES or characters > _HEAD_CHARACTERS:
            break
    return head


def _delimiter_of(head: Sequence[str], usual: str, header: bool, quoting: Any, name: str) -> str:
    """The delimiter of a file from its first lines.

    Raises:
        ValueError: two may be meant.
    """
    widths = {character: _widths(head, character, quoting) for character in (usual, *_CANDIDATES)}
    first = widths[usual][0] if widths[usual] else 1
    fits = {character: _fits(found) for character, found in widths.items()}
    others = [character for character in _CANDIDATES if character != usual and fits[character]]
    if header and not others and first == 1:
        # The header has another delimiter, but not all records agree with it.
        others = [c for c in _CANDIDATES if c != usual and widths[c] and widths[c][0] > 1 and len(widths[c]) > 1]
    if not others or (first > 1 and (fits[usual] or not header) and not _splits_header(head, others, header)):
        return usual
    if header and len(others) == 1 and not fits[usual] and fits[others[0]] and len(widths[others[0]]) > 1:
        logger.warning("%s: its fields are separated by %s; read so", name, _shown(others[0]))
        return others[0]
    options = " or ".join(f"--delimiter {_shown(character)}" for character in (usual, *others))
    raise ValueError(
        f"{name}: are its fields separated by {_shown(usual)} or by {' or '.join(map(_shown, others))}? Its first "
        f"record is {listed([head[0].strip()])!r}; say so: {options}"
    )


def _splits_header(head: Sequence[str], others: Sequence[str], header: bool) -> bool:
    return header and any(character in head[0] for character in others)


def _widths(head: Sequence[str], delimiter: str, quoting: Any) -> list[int]:
    """Number of fields of each record in the head; what cannot be parsed ends the list."""
    widths = []
    try:
        for fields in csv.reader(head, delimiter=delimiter, quoting=quoting, strict=True):
            if fields:
                widths.append(len(fields))
    except csv.Error:  # also a record that goes on behind the head
        pass
    return widths


def _fits(widths: Sequence[int]) -> bool:
    return len(widths) > 0 and widths[0] > 1 and len(set(widths)) == 1


def _shown(character: str) -> str:
    return _SHOWN.get(character, repr(character))
