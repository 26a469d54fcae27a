"""The shapes that a model is compiled for: a short list of row lengths, and for each a few numbers of rows."""

import dataclasses
from functools import lru_cache

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
