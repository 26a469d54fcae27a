"""From ragged texts to static rows: which texts share a row, which rows share a device call, and what shape it has.

Texts are taken longest first, each into the fullest row that still has room (best fit decreasing). A finished row is
cut to the shortest bucket length that holds it. Rows of one length then fill device calls from a short ladder of row
counts. So the shapes that a model is ever compiled for are the few that `buckets.bucket_ladder` lists.
"""

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Int, Int64

from instructor_jax.text.batches import TokenBatch, TokenizedTexts
from instructor_jax.text.best_fit import best_fit
from instructor_jax.text.buckets import Bucket, PackingConfig, bucket_ladder, row_lengths
from instructor_jax.text.row_arrays import PlacedTexts, RowArrays, row_arrays

_FEW = 1024  # texts of which the ends matter; of more they are a hundredth, and planning twice would cost as much

Groups = Sequence[Sequence[list[int]]]  # of a call: groups, their rows, and the texts of each row


def pack_rows(
    lengths: Int[np.ndarray, "texts"], config: PackingConfig, shorter: tuple[int, ...] = ()
) -> dict[int, list[list[int]]]:
    """Assigns texts to rows: bucket length -> rows, each a list of text indices.

    Args:
        lengths: tokens of each text.
        config: sizes.
        shorter: lengths below those of bulk to which a finished row may be cut, too.

    Raises:
        ValueError: a text is longer than `max_length`, or empty.
    """
    if len(lengths) and (lengths.max() > config.max_length or lengths.min() < 1):
        worst = lengths.max() if lengths.max() > config.max_length else lengths.min()
        raise ValueError(f"a text of {worst} tokens cannot be packed; allowed are 1 to {config.max_length}.")
    _, bulk = row_lengths(config.max_length)
    ends = (*shorter, *bulk)
    most = np.array([Bucket(length, 1).segments_per_row for length in ends])

    def capacity(length: int) -> int:
        # three texts or more to a row keep its end from being wasted; short rows keep attention cheap
        return next((size for size in bulk if size >= 3 * length), bulk[-1])

    places = best_fit(lengths, capacity, lambda length: Bucket(length, 1).segments_per_row)
    order = np.lexsort((places.segment, places.row))
    counts = np.bincount(places.row, minlength=places.rows)
    last = np.cumsum(counts)
    used = np.bincount(places.row, lengths, places.rows)
    shortest = np.maximum(np.searchsorted(ends, used), np.searchsorted(most, counts))  # bucket that holds the row
    texts, by_length = order.tolist(), {}
    for size, start, end in zip(shortest.tolist(), (last - counts).tolist(), last.tolist(), strict=True):
        by_length.setdefault(ends[size], []).append(texts[start:end])
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
    # The ends of a few texts may go into short rows of their own, or fill up a call of longer ones: whichever is less.
    choices = ((), latency) if config.groups == 1 and len(lengths) <= _FEW else ((),)
    plans = [_planned(pack_rows(lengths, config, shorter), config, max_texts) for shorter in choices]
    yield from min(plans, key=lambda plan: sum(config.call_overhead + call.rows * call.length for call, _ in plan))


def _planned(
    by_length: dict[int, list[list[int]]], config: PackingConfig, max_texts: int | None
) -> list[tuple[Bucket, list[list[list[int]]]]]:
    """Device calls for these rows, the longest first."""
    plan = []
    for length, rows in sorted(by_length.items(), reverse=True):
        for part in _split_by_texts(rows, max_texts):
            start = 0
            for size in _calls(-(-len(part) // config.groups), length, config):
                taken = part[start : start + size * config.groups]
                start += len(taken)
                plan.append((Bucket(length, size), [taken[group :: config.groups] for group in range(config.groups)]))
    return plan


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


def build_batch(texts: TokenizedTexts, bucket: Bucket, groups: Groups) -> TokenBatch:
    """Fills the arrays of one call; the text in slot k of a group is the k-th when its rows are read in order.

    Args:
        texts: the texts that the indices mean.
        bucket: static shape; rows beyond those given are padding.
        groups: for each group its rows, each a list of text indices.
    """
    return build_batches(texts, [(bucket, groups)])[0]


def build_batches(texts: TokenizedTexts, calls: Sequence[tuple[Bucket, Groups]]) -> list[TokenBatch]:
    """Fills the arrays of all calls of a plan; calls in sequence whose rows have one length are filled at once."""
    batches: list[TokenBatch] = []
    for length, alike in itertools.groupby(calls, lambda call: call[0].length):
        batches += _batches_of_one_length(texts, length, list(alike))
    return batches


def _batches_of_one_length(
    texts: TokenizedTexts, length: int, calls: Sequence[tuple[Bucket, Groups]]
) -> Iterator[TokenBatch]:
    per_row = Bucket(length, 1).segments_per_row
    text, sizes, number, place = [], [], [], []  # of each text; of each row; of each row; of each row in its group
    rows = 0
    for bucket, groups in calls:
        for own in groups:
            for members in own:
                text += members
            sizes += map(len, own)
            number += range(rows, rows + len(own))
            place += range(len(own))
            rows += bucket.rows
    first_slot = np.array(place, np.int64) * per_row
    filled, slots = _filled(texts, (rows, length), np.array(text, np.int64), sizes, number, first_slot)
    row = taken = 0
    for bucket, groups in calls:
        slots_of = np.full((len(groups), bucket.rows * per_row), -1, np.int32)
        for group, own in enumerate(groups):
            count = sum(map(len, own))
            slots_of[group, :count] = slots[taken : taken + count]
            taken += count
        end, shape = row + len(groups) * bucket.rows, (len(groups), bucket.rows, length)
        whole = (filled.tokens, filled.segments, filled.pooled)
        tokens, segments, pooled = (array[row:end].reshape(shape) for array in whole)
        yield TokenBatch(tokens, segments, pooled, slots_of, per_row)
        row = end


def _filled(
    texts: TokenizedTexts,
    shape: tuple[int, int],
    text: Int64[np.ndarray, "texts"],
    sizes: list[int],
    number: list[int],
    first_slot: Int64[np.ndarray, "rows"],
) -> tuple[RowArrays, Int64[np.ndarray, "texts"]]:
    """The arrays of all rows, and the slot of each text."""
    kept = texts.lengths[text]
    count = np.array(sizes, np.int64)
    first = np.cumsum(count) - count  # of each row's texts
    before = np.append(0, np.cumsum(kept))
    segment = np.arange(len(text)) - np.repeat(first, count)
    begin = np.repeat(np.array(number, np.int64) * shape[1] - before[first], count) + before[:-1]
    placed = PlacedTexts(texts.tokens, texts.offsets[text], kept, texts.unpooled[text], begin, segment)
    return row_arrays(*shape, placed), np.repeat(first_slot, count) + segment
