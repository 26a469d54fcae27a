"""One process of many: it makes its share of the parts, reads nothing but their rows, and joins nothing.

Each part is claimed before it is made. Shares may overlap or be run again, at the same time or later, on any number of
machines that see the same folder: what is there is not made again, and what another process is making is waited for.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator

from instructor_jax.commands.encode.encoder import PartEncoder, encoded_part
from instructor_jax.commands.encode.part_claims import claimed
from instructor_jax.commands.encode.part_index import PartIndex
from instructor_jax.commands.encode.parts import PartStore
from instructor_jax.commands.encode.progress import progress
from instructor_jax.commands.table_options import InputOptions
from instructor_jax.commands.text_blocks import TextBlock, text_blocks
from instructor_jax.commands.text_files import read_texts
from instructor_jax.io.tables.records import Table

_PAUSE = 1.0  # seconds between looks at the parts that other processes are making


class PartReader:
    """Reads the rows of single parts; of parts that follow one another each row once.

    Args:
        table: the opened input.
        reading: how its columns are read.
        index: where the parts begin.
        part_size: rows of a part.
        own_instructions: take a column `instruction` even where no option names it.
    """

    def __init__(
        self, table: Table, reading: InputOptions, index: PartIndex, part_size: int, *, own_instructions: bool
    ) -> None:
        self._table, self._reading, self._index = table, reading, index
        self._size, self._own = part_size, own_instructions
        self._next, self._blocks = -1, iter(())

    def blocks(self, part: int) -> Iterator[TextBlock]:
        """The blocks of a part; all of them have to be taken before another part is read."""
        if part != self._next:
            rows = read_texts(self._table, self._reading, own_instructions=self._own, start=self._index.places[part])
            self._blocks = text_blocks(rows, self._size, first_part=part)
        self._next = part + 1
        for block in self._blocks:
            yield block
            if block.ends_part:
                return


def make_part(part: int, reader: PartReader, encoder: PartEncoder, store: PartStore) -> int:
    """Makes one part; returns its rows.

    Raises:
        ValueError: a row cannot be read or encoded.
    """
    digests, pieces = [], []
    for block in reader.blocks(part):
        digests.append(block.digest())
        pieces.append((block, *encoder.encode(block)))
    store.write(encoded_part(pieces, digests))
    return sum(len(block.texts) for block, _, _ in pieces)


def make_share(parts: Iterable[int], rows: int, store: PartStore, make: Callable[[int], int]) -> int:
    """Makes those of the parts that nobody has made; returns how many rows this process made.

    Args:
        parts: numbers of the parts.
        rows: rows of all of them together, for the progress bar.
        store: where the parts are kept.
        make: makes a part and returns its rows.
    """
    made, waiting = 0, list(parts)
    with progress(rows) as bar:
        for turn in itertools.count():
            if turn:  # only other processes' parts are left
                time.sleep(_PAUSE)
            left = []
            for part in waiting:
                if store.holds(part):
                    bar.initial += (there := store.rows_of(part))
                    bar.update(there)
                    continue
                with claimed(store.folder, part) as ours:
                    if ours and not store.holds(part):
                        rows_made = make(part)
                        made += rows_made
                        bar.update(rows_made)
                    else:
                        left.append(part)  # looked at again: its maker may die
            if not left:
                return made
            waiting = left
    raise AssertionError  # pragma: no cover - the loop ends by its return
