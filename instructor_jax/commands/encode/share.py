"""One process of many: it makes its share of the parts, reads nothing but their rows, and joins nothing.

Each part is claimed before it is made. Shares may overlap or be run again, at the same time or later, on any number of
machines that see the same folder: what is there is not made again, and what another process is making is waited for.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator

from instructor_jax.commands.console import say
from instructor_jax.commands.encode.encoder import PartEncoder, encoded_part
from instructor_jax.commands.encode.engines.shards import Shard
from instructor_jax.commands.encode.job import OpenedJob
from instructor_jax.commands.encode.part_claims import claimed
from instructor_jax.commands.encode.part_index import PartIndex
from instructor_jax.commands.encode.parts import PartStore
from instructor_jax.commands.text_blocks import TextBlock, text_blocks
from instructor_jax.commands.text_files import read_texts
from instructor_jax.progress import progress

_PAUSE = 1.0  # seconds between looks at the parts that other processes are making


class PartReader:
    """Reads the rows of single parts; of parts that follow one another each row once.

    Args:
        opened: the job and its input.
        index: where the parts begin.
    """

    def __init__(self, opened: OpenedJob, index: PartIndex) -> None:
        self._opened, self._index = opened, index
        self._next, self._blocks = -1, iter(())

    def blocks(self, part: int) -> Iterator[TextBlock]:
        """The blocks of a part; all of them have to be taken before another part is read."""
        if part != self._next:
            job, place = self._opened.job, self._index.places[part]
            rows = read_texts(self._opened.table, job.reading, own_instructions=job.own_instructions, start=place)
            self._blocks = text_blocks(rows, job.target.part_size, first_part=part)
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
    with progress("encode", rows, "row") as bar:
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


def encode_share(opened: OpenedJob, shard: Shard) -> None:
    """Makes the parts of one shard.

    Raises:
        ValueError: the input cannot be read in shares, or a row cannot be encoded.
    """
    job = opened.job
    size = job.target.part_size
    if job.is_made():
        say(f"{job.target.output}: complete already; --shard {shard.index}/{shard.count} has nothing to do")
        return
    started = time.perf_counter()
    with opened.store(shared=True) as store:
        index = opened.index(store)
        parts = shard.share(len(index.places))
        rows = min(parts.stop * size, index.rows) - parts.start * size if parts else 0
        reader, encoder = PartReader(opened, index), opened.encoder(store)
        made = make_share(parts, rows, store, lambda part: make_part(part, reader, encoder, store))
        done, count = store.parts_there(), len(index.places)
    seconds = time.perf_counter() - started
    say(f"shard        {shard.index} of {shard.count}: {len(parts):,} of {count:,} parts, {rows:,} rows")
    say(f"made         {made:,} rows in {seconds:,.1f} s, {made / seconds:,.0f} rows/s")
    rest = "the same command without --shard joins them" if done == count else "others are still to come"
    say(f"parts        {done:,} of {count:,} are made; {rest}")
