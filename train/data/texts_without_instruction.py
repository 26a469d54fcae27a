"""The texts of a token cache without their instructions: hashes by text number, and the texts themselves on demand.

A token cache numbers (instruction, text) sides task by task, so one text has as many numbers as it has instructions and
tasks. What a teacher or a comparison with evaluation data sees is the text without instruction, once. Which numbers are
one text follows from the mixture alone, takes one pass over its rows, and is kept beside the token caches.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, UInt64

from instructor_jax.io.array_files import read_array
from instructor_jax.io.atomic import whole_file
from instructor_jax.io.file_lock import one_process
from instructor_jax.progress import Progress, progress

from .contamination import SHORTEST, comparable, text_hash
from .examples import Side
from .token_cache import FORMAT, ExampleSource, TokenCache

logger: logging.Logger = logging.getLogger(__name__)

_ROWS_AT_ONCE = 2048


def text_hashes(source: ExampleSource, cache: TokenCache) -> UInt64[np.ndarray, "texts two"]:
    """Returns two hashes of every cached text: of the text without instruction, and of its form for decontamination.

    The second is 0 for texts too short to be compared (`medi.contamination`).

    Args:
        source: Mixture of the texts.
        cache: Token cache of the mixture.
    """
    parent = cache.folder.parent
    path = parent / f"texts-{FORMAT}-{source.fingerprint}.npy"
    if not path.is_file():
        with one_process(parent / f"{path.name}.lock"):
            if not path.is_file():
                _write(path, source, cache)
    return read_array(path, np.uint64, (len(cache.array("text_ends")), 2), "it")


def texts_without_instruction(
    source: ExampleSource, cache: TokenCache, wanted: Bool[np.ndarray, "texts"]
) -> Iterator[tuple[int, str]]:
    """Yields number and text of each wanted text, in the order of the examples; examples without one are not read."""
    left = wanted.copy()
    for number, side in _sides(source, cache, _rows_with(cache, wanted)):
        if left[number]:
            left[number] = False
            yield number, without_instruction(side)


def without_instruction(side: Side) -> str:
    """Returns the text as it is read without an instruction; the tokenizer strips it too."""
    return side.text.strip()


def rows_with_any(cache: TokenCache, texts: Bool[np.ndarray, "texts"]) -> Bool[np.ndarray, "rows"]:
    """Returns whether the query, the positive or a negative of each example is one of these texts."""
    found = texts[cache.array("query")] | texts[cache.array("positive")]
    listed = np.append(0, np.cumsum(texts[cache.array("negative")]))
    ends = cache.array("negative_ends")
    return found | (listed[ends] > listed[np.append(0, ends[:-1])])


def texts_of(cache: TokenCache, rows: Int64[np.ndarray, "rows"], negatives: bool = True) -> Bool[np.ndarray, "texts"]:
    """Returns which texts occur in these examples, with or without all of their negatives."""
    found = np.zeros(len(cache.array("text_ends")), bool)
    found[cache.array("query")[rows]] = True
    found[cache.array("positive")[rows]] = True
    if not negatives:
        return found
    ends = cache.array("negative_ends")
    starts = np.where(rows > 0, ends[rows - 1], 0)
    counts = ends[rows] - starts
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    found[cache.array("negative")[np.repeat(starts, counts) + within]] = True
    return found


def _write(path: Path, source: ExampleSource, cache: TokenCache) -> None:
    rows = np.arange(len(cache.rows))
    hashes = np.zeros((len(cache.array("text_ends")), 2), np.uint64)
    seen = bytearray(len(hashes))
    with progress("hashing texts", len(rows), "row") as bar:
        for number, side in _sides(source, cache, rows, bar):
            if not seen[number]:
                seen[number] = 1
                text = without_instruction(side)
                plain = comparable(text)
                hashes[number] = text_hash(text), text_hash(plain) if len(plain) >= SHORTEST else 0
    assert all(seen)
    with whole_file(path) as draft, draft.open("wb") as file:
        np.save(file, hashes)
    logger.info("%s: %d texts, %d without their instructions", os.fspath(path), len(hashes), _distinct(hashes[:, 0]))


def _rows_with(cache: TokenCache, texts: Bool[np.ndarray, "texts"]) -> Int64[np.ndarray, "rows"]:
    return np.flatnonzero(rows_with_any(cache, texts))


def _sides(
    source: ExampleSource, cache: TokenCache, rows: Int64[np.ndarray, "rows"], bar: Progress | None = None
) -> Iterator[tuple[int, Side]]:
    """Yields number and side of every text of the examples, as often as it occurs."""
    # as plain arrays: every slice of a memory map is an object of its own, which takes longer than the slice
    names = ("query", "positive", "negative_ends", "negative")
    query, positive, ends, negative = (np.asarray(cache.array(name)) for name in names)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        numbers = (column[part].tolist() for column in (query, positive, ends))
        for one, other, end, example in zip(*numbers, source.read(part.tolist()), strict=True):
            yield one, example.query
            yield other, example.positive
            listed = negative[end - len(example.negatives) : end].tolist()
            yield from zip(listed, example.negatives, strict=True)
        if bar is not None:
            bar.update(len(part))


def _distinct(hashes: UInt64[np.ndarray, "texts"]) -> int:
    return len(np.unique(hashes))
