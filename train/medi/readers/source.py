"""How a source is read: `read_source` gives the rows of a task, cleaned.

A source gives finished `Example` rows, or `Instance` rows (labelled or free-text) from which pairs are mined later.
Readers only say what the files hold; white space, empty texts, copies and duplicates are handled and counted here.
"""

import dataclasses
import functools
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from instructor_jax.io.printable import one_line
from instructor_jax.text.instructions import Instruction

from ...data.examples import Example, Side
from ..files.raw_files import refuse_evaluation
from ..files.records import Instance, Licence, Row, Source
from .plain_text import group_id, squeeze

logger: logging.Logger = logging.getLogger(__name__)

MAX_NEGATIVES = 4  # hard negatives kept per row; the first ones, since readers list the nearest first


def pair_source(
    name: str,
    folder: str,
    reader: Callable[[Path], Iterator[Row]],
    query: Instruction,
    document: Instruction | None,
    licence: Licence,
) -> Source:
    """Returns a source whose reader gives finished pairs; without a document instruction it is symmetric."""
    return Source(
        name,
        folder,
        query,
        document or query,
        functools.partial(_examples, reader, name, str(query), str(document or query)),
        mined=False,
        kind="asymmetric" if document else "symmetric",
        licence=licence.text,
        redistributable=licence.redistributable,
    )


def labelled_source(
    name: str,
    folder: str,
    reader: Callable[[Path], Iterator[Instance]],
    query: Instruction,
    licence: Licence,
) -> Source:
    """Returns a source of labelled texts: texts of equal label are to be mined as positives."""
    return Source(name, folder, query, query, reader, True, "classification", *licence)


def read_source(source: Source, root: Path) -> Iterator[Example] | Iterator[Instance]:
    """Yields the rows of a source below the data root, cleaned; what was dropped is logged at level INFO.

    White space around texts goes; empty texts, positives that only repeat their query, and repeated rows are dropped;
    negatives that equal the query or the positive go, and at most `MAX_NEGATIVES` stay.

    Raises:
        ValueError: The folder is evaluation data, a row is malformed (with file and row), or a row id occurs twice.
        FileNotFoundError: A file of the source is absent.
    """
    refuse_evaluation(root / source.folder)
    dropped: Counter[str] = Counter()
    clean_row = _CleanRows(source, dropped)
    for row in _rows(source, root):
        cleaned = clean_row(row)
        if cleaned is not None:
            yield cleaned  # pyright: ignore[reportReturnType] # a source gives one of the two kinds throughout
    kept = len(clean_row.row_ids)
    logger.info("%s: %d rows kept, dropped %s", source.name, kept, dict(sorted(dropped.items())) or "none")


def _rows(source: Source, root: Path) -> Iterator[Example | Instance]:
    """Yields the rows of a source; tells what its reader misses in a file that is not as its authors published it."""
    place, read = root / source.folder, 0
    try:
        for row in source.read(place):
            read += 1
            yield row
    except (
        LookupError,
        TypeError,
        AttributeError,
        OverflowError,
    ) as error:  # a reader took for granted what is not there
        raise ValueError(
            f"task {source.name!r}: after {read} rows a file of {place} is not as its authors publish it "
            f"({type(error).__name__}: {one_line(str(error), 200)}); get it again, or leave the task out."
        ) from error


class _CleanRows:
    """Cleans one row after the other, remembering 8-byte hashes of the rows it has passed."""

    def __init__(self, source: Source, dropped: Counter[str]):
        self.source, self.dropped = source, dropped
        self.row_ids: set[str] = set()
        self.seen: set[str] = set()

    def __call__(self, row: Example | Instance) -> Example | Instance | None:
        cleaned = _clean_example(row) if isinstance(row, Example) else _clean_instance(row)
        reason = cleaned if isinstance(cleaned, str) else self._repeated(cleaned)
        if reason:
            self.dropped[reason] += 1
            return None
        assert not isinstance(cleaned, str)
        if cleaned.row_id in self.row_ids:
            raise ValueError(
                f"row id {cleaned.row_id!r} occurs twice in task {self.source.name!r}; ids must be unique."
            )
        self.row_ids.add(cleaned.row_id)
        return cleaned

    def _repeated(self, row: Example | Instance) -> str:
        texts = [row.query.text, row.positive.text] if isinstance(row, Example) else [row.input, row.output]
        if self.source.kind == "symmetric" and isinstance(row, Example):
            texts.sort()  # b -> a says nothing that a -> b has not said
        key = group_id(*texts)
        if key in self.seen:
            return "repeated"
        self.seen.add(key)
        return ""


def _clean_example(row: Example) -> Example | str:
    query, positive = (Side(side.instruction, side.text.strip()) for side in (row.query, row.positive))
    if not query.text or not positive.text:
        return "empty"
    if _same(query.text) == _same(positive.text):
        return "positive repeats the query"
    negatives: dict[str, Side] = {}
    taken = _same(query.text), _same(positive.text)
    for side in row.negatives:
        if len(negatives) == MAX_NEGATIVES:
            break
        if side.text.strip() and (key := _same(side.text)) not in taken:
            negatives.setdefault(key, Side(side.instruction, side.text.strip()))
    return dataclasses.replace(row, query=query, positive=positive, negatives=tuple(negatives.values()))


def _clean_instance(row: Instance) -> Instance | str:
    cleaned = dataclasses.replace(row, input=row.input.strip(), output=row.output.strip())
    return cleaned if cleaned.input and cleaned.output else "empty"


def _same(text: str) -> str:
    return squeeze(text).casefold()


def _examples(
    reader: Callable[[Path], Iterator[Row]], task: str, query: str, document: str, folder: Path
) -> Iterator[Example]:
    for row in reader(folder):
        negatives = tuple(Side(document, text) for text in row.negatives)
        sides = Side(query, row.query), Side(document, row.positive)
        yield Example(*sides, negatives, task, row.row_id, score=row.score, label=row.label)
