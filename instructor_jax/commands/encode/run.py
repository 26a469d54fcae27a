"""The pass of `encode` over its whole input: a missing part is encoded while the one before it is written."""

import dataclasses
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from instructor_jax.commands.encode.encoder import PartEncoder, encoded_part
from instructor_jax.commands.encode.part_records import part_digest
from instructor_jax.commands.encode.parts import PartStore
from instructor_jax.commands.text_blocks import TextBlock
from instructor_jax.io.tables.records import Table
from instructor_jax.progress import progress


def encode_all(store: PartStore, encoder: PartEncoder, table: Table, blocks: Iterator[TextBlock]) -> int:
    """Encodes the parts that are missing, with a progress bar; returns the number of all parts.

    A part is written by another thread while the next one is encoded. Parts that are there are compared with the rows.

    Args:
        store: where the parts are kept.
        encoder: makes vectors.
        table: the input, for how much of it is read.
        blocks: all of its rows, in order.

    Raises:
        ValueError: a finished part was made from other rows, or a text cannot be encoded.
    """
    written: Future[None] | None = None
    count, there = 0, False
    digests: list[str] = []
    pieces: list[tuple[TextBlock, np.ndarray, Any]] = []
    with progress("encode", None, "row") as bar, ThreadPoolExecutor(1, "write-part") as writer:
        for block in blocks:
            if not digests:
                there = store.holds(block.index)
            digests.append(block.digest())
            if there:
                bar.initial += len(block.texts)  # not counted in rows/s
            else:
                # Of a part that is being collected the texts are needed no more.
                pieces.append((dataclasses.replace(block, texts=[], instructions=None), *encoder.encode(block)))
            if block.ends_part:
                count += 1
                if there:
                    store.require_made_from(block.index, part_digest(digests), block.first_row + len(block.texts))
                else:
                    if written is not None:
                        written.result()
                    written = writer.submit(store.write, encoded_part(pieces, digests))
                digests, pieces = [], []
            fraction = table.fraction_read()
            if fraction:  # how many rows the file has is estimated from its bytes
                bar.total = round((block.first_row + len(block.texts)) / fraction)
            bar.update(len(block.texts))
        if written is not None:
            written.result()
    return count
