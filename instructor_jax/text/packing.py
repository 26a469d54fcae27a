"""From ragged texts to static rows: which texts share a row, which rows share a device call, and what shape it has.

Texts are taken longest first, each into the fullest row that still has room (best fit decreasing). A finished row is
cut to the shortest bucket length that holds it. Rows of one length then fill device calls from a short ladder of row
counts. So the shapes that a model is ever compiled for are the few that `bucket_ladder` lists.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Int

from instructor_jax.text.batches import TokenBatch, TokenizedTexts

# One row only: a single short query should not pay for a long row. On a CPU the time of a query grows with the length
# of its row (base size: 61 ms for 16 tokens, 73 for 24, 109 for 32), and most queries have 10 to 40.
_LATENCY_LENGTHS = (16, 24, 32, 40, 48, 64)
_BULK_LENGTHS = (128, 256, 384, 512)
_MIN_TOKENS_PER_SEGMENT = 8


@dataclasses.dataclass(frozen=True, order=True)
class Bucket:
    """One static shape of a device call: rows of a length in every group."""

    length: int
    rows: int

    @property
    def segments_per_row(self) -> int:
        """How many texts one row can hold."""
        return max(4, self.length // _MIN_TOKENS_PER_SEGMENT)


@dataclasses.dataclass(frozen=True)
class PackingConfig:
    """How much a device call holds.

    Attributes:
        max_length: the longest text in tokens; the longest row.
        tokens_per_call: size of the largest call per group, in tokens.
        call_overhead: what one more call costs, in tokens' worth of computation; decides between padding a call up to
            the next bucket and making two smaller calls.
        groups: independent packs of a call, one or more per data shard.
    """

    max_length: int = 512
    tokens_per_call: int = 4096
    call_overhead: int = 256
    groups: int = 1

    def __post_init__(self) -> None:
        if self.max_length < 2 or self.tokens_per_call < 1 or self.call_overhead < 0 or self.groups < 1:
            raise ValueError(f"{self}: lengths, tokens and groups must be positive (max_length at least 2).")


@lru_cache
def row_lengths(max_length: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Row lengths for single short calls and for bulk; the last bulk length holds the longest text."""
    top = -(-max_length // 16) * 16
    bulk = [length for length in _BULK_LENGTHS if length < top]
    while bulk and top > 2 * bulk[-1] and bulk[-1] >= 512:  # longer than T5's own limit: double on
        bulk.append(2 * bulk[-1])
    bulk = [length for length in bulk if length < top] + [top]
    return tuple(length for length in _LATENCY_LENGTHS if length < bulk[0]), tuple(bulk)


@lru_cache
def bucket_ladder(config: PackingConfig) -> tuple[Bucket, ...]:
    """Every shape that packing with this configuration can produce, and so every compilation there can be."""
    latency, bulk = row_lengths(config.max_length)
    ladder = [Bucket(length, 1) for length in latency if config.groups == 1]
    for length in bulk:
        most, rows = max(1, config.tokens_per_call // length), 1
        while rows < most:
            ladder.append(Bucket(length, rows))
            rows *= 4
        ladder.append(Bucket(length, most))
    return tuple(sorted(ladder))


def pack_rows(lengths: Int[np.ndarray, "texts"], config: PackingConfig) -> dict[int, list[list[int]]]:
    """Assigns texts to rows: bucket length -> rows, each a list of text indices.

    Raises:
        ValueError: a text is longer than `max_length`, or empty.
    """
    if len(lengths) and (lengths.max() > config.max_length or lengths.min() < 1):
        worst = lengths.max() if lengths.max() > config.max_length else lengths.min()
        raise ValueError(f"a text of {worst} tokens cannot be packed; allowed are 1 to {config.max_length}.")
    _, bulk = row_lengths(config.max_length)
    rows: list[list[int]] = []
    used: list[int] = []
    limit: list[int] = []  # how many texts each row may hold
    open_rows: dict[int, list[int]] = {}  # free tokens -> rows
    free_sizes = 0  # bit n is set when some open row has n free tokens
    for text in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[text])
        fitting = free_sizes >> length
        if fitting:
            free = length + (fitting & -fitting).bit_length() - 1
            row = open_rows[free].pop()
            if not open_rows[free]:
                free_sizes &= ~(1 << free)
        else:
            # three texts or more to a row keep its end from being wasted; short rows keep attention cheap
            capacity = next((size for size in bulk if size >= 3 * length), bulk[-1])
            row, free = len(rows), capacity
            rows.append([])
            used.append(0)
            limit.append(Bucket(capacity, 1).segments_per_row)
        rows[row].append(text)
        used[row] += length
        free -= length
        if free and len(rows[row]) < limit[row]:
            open_rows.setdefault(free, []).append(row)
            free_sizes |= 1 << free
    by_length: dict[int, list[list[int]]] = {}
    for row, tokens in zip(rows, used, strict=True):
        size = next(b for b in bulk if b >= tokens and Bucket(b, 1).segments_per_row >= len(row))
        by_length.setdefault(size, []).append(row)
    return by_length


def _calls(rows: int, length: int, config: PackingConfig) -> list[int]:
    """Row counts of the calls that process `rows` rows per group at the least cost in tokens."""
    first = _first_calls(length, config)
    most = first[-1]
    calls = [most] * -(-max(0, rows - (len(first) - 1)) // most)  # far from the end only the largest call is best
    left = rows - sum(calls)
    while left > 0:
        calls.append(first[left])
        left -= first[left]
    return calls


@lru_cache
def _first_calls(length: int, config: PackingConfig) -> tuple[int, ...]:
    """For 0 to four largest calls' worth of rows per group: the first of the calls that process them at least cost.

    Filled from few rows to many, without recursion: on accelerators a call holds hundreds of rows.
    """
    sizes = [bucket.rows for bucket in bucket_ladder(config) if bucket.length == length]
    cost, first = [0], [0]
    for rows in range(1, 4 * sizes[-1] + 1):
        options = [(config.call_overhead + size * length + cost[max(0, rows - size)], -size) for size in sizes]
        least, negative = min(options)  # of equal ones the larger call first, so that only the last can be padded
        cost.append(least)
        first.append(-negative)
    return tuple(first)


def plan_calls(
    lengths: Int[np.ndarray, "texts"], config: PackingConfig, max_texts: int | None = None
) -> Iterator[tuple[Bucket, list[list[list[int]]]]]:
    """Device calls for these texts, longest rows first: (bucket, for each group its rows of text indices).

    Args:
        lengths: tokens of each text.
        config: sizes.
        max_texts: the most texts in one call; None leaves it to the tokens.
    """
    total = int(lengths.sum())
    latency, bulk = row_lengths(config.max_length)
    short = next((size for size in (*latency, bulk[0]) if size >= total), None)
    if config.groups == 1 and short is not None and 0 < len(lengths) <= min(4, max_texts or 4):
        yield Bucket(short, 1), [[list(range(len(lengths)))]]
        return
    for length, rows in sorted(pack_rows(lengths, config).items(), reverse=True):
        for part in _split_by_texts(rows, max_texts):
            start = 0
            for size in _calls(-(-len(part) // config.groups), length, config):
                taken = part[start : start + size * config.groups]
                start += len(taken)
                yield Bucket(length, size), [taken[group :: config.groups] for group in range(config.groups)]


def _split_by_texts(rows: list[list[int]], max_texts: int | None) -> Iterator[list[list[int]]]:
    """Runs of rows with at most `max_texts` texts; a single row that has more is divided."""
    if max_texts is None:
        yield rows
        return
    part: list[list[int]] = []
    count = 0
    for row in rows:
        for start in range(0, len(row), max_texts):
            piece = row[start : start + max_texts]
            if count + len(piece) > max_texts:
                yield part
                part, count = [], 0
            part.append(piece)
            count += len(piece)
    if part:
        yield part


def build_batch(texts: TokenizedTexts, bucket: Bucket, groups: Sequence[Sequence[Sequence[int]]]) -> TokenBatch:
    """Fills the arrays of one call; the text in slot k of a group is the k-th when its rows are read in order.

    Args:
        texts: the texts that the indices mean.
        bucket: static shape; rows beyond those given are padding.
        groups: for each group its rows, each a list of text indices.
    """
    shape = (len(groups), bucket.rows, bucket.length)
    tokens = np.zeros(shape, np.int32)
    segments = np.full(shape, -1, np.int32)
    pooled = np.zeros(shape, np.bool_)
    slots = np.full((len(groups), bucket.rows * bucket.segments_per_row), -1, np.int32)
    for group, rows in enumerate(groups):
        count = 0
        for row, members in enumerate(rows):
            start = 0
            for segment, text in enumerate(members):
                ids = texts.tokens[texts.offsets[text] : texts.offsets[text + 1]]
                end = start + len(ids)
                tokens[group, row, start:end] = ids
                segments[group, row, start:end] = segment
                pooled[group, row, start + texts.unpooled[text] : end] = True
                slots[group, count] = row * bucket.segments_per_row + segment
                start, count = end, count + 1
    return TokenBatch(tokens, segments, pooled, slots, bucket.segments_per_row)
