"""Blocks of rows of text: the unit that is encoded by one call, kept as one part, and told apart by a hash."""

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
