"""Blocks of rows of text: what is encoded by one call and told apart by a hash.

A part of a bulk job is a fixed range of rows, whatever they hold; it is one block, or several where its texts are very
long. So the rows of a part are known before anything is read.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from instructor_jax.io.bounds import PART_CHARACTERS, ROWS


class TextRow(NamedTuple):
    """One row: its text, and its instruction and id where the table has such columns."""

    text: str
    instruction: str | None
    id: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class TextBlock:
    """Rows of one input that follow one another, the unit that is encoded by one call.

    Attributes:
        index: number of the part that the rows belong to, from 0.
        first_row: number of its first row, from 0.
        texts: the texts, one for each row.
        instructions: one for each row, or None where the table has no such column.
        ids: one for each row, or None where the table has no such column.
        ends_part: whether it holds the part's last row; another block of the part follows otherwise.
    """

    index: int
    first_row: int
    texts: list[str]
    instructions: list[str] | None
    ids: list[str] | None
    ends_part: bool = True

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


def text_blocks(
    rows: Iterable[TextRow], size: int, characters: int = PART_CHARACTERS, *, first_part: int = 0
) -> Iterator[TextBlock]:
    """Cut rows into parts of `size`, the last one maybe shorter, and parts of very long texts into several blocks.

    Args:
        rows: the rows.
        size: rows of a part.
        characters: a block ends with the row that reaches so many, so that a block fits into memory.
        first_part: number of the part that begins with the first of these rows.

    Raises:
        ValueError: size is not in [1, `ROWS`].
    """
    if not 1 <= size <= ROWS:
        raise ValueError(f"part size={size} must be at least 1 and at most {ROWS:,}")
    first_row, long, last = first_part * size, 0, 0
    texts, instructions, ids = [], [], []
    waiting: TextBlock | None = None  # whether it ends its part is known at the next row, or at the end

    for text, instruction, identifier in rows:
        if waiting is not None:
            yield waiting
            waiting = None
        texts.append(text)
        long += len(text)
        if instruction is not None:
            instructions.append(instruction)
            long += len(instruction)
        if identifier is not None:
            ids.append(identifier)
            long += len(identifier)
        last = first_row + len(texts)
        if last % size == 0 or long >= characters:
            ends = last % size == 0
            block = TextBlock(first_row // size, first_row, texts, instructions or None, ids or None, ends)
            first_row, long = last, 0
            texts, instructions, ids = [], [], []
            if ends:
                yield block
            else:
                waiting = block
    if waiting is not None:
        yield dataclasses.replace(waiting, ends_part=True)
    elif texts:
        yield TextBlock(first_row // size, first_row, texts, instructions or None, ids or None)
