"""Texts of several requests, packed together into device calls, and where each call's vectors belong."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from instructor_jax.inference.stages import packed_calls
from instructor_jax.server.device.jobs import Job
from instructor_jax.server.device.token_queue import Taken
from instructor_jax.text.batches import TokenBatch, TokenizedTexts
from instructor_jax.text.buckets import PackingConfig

Place = tuple[Job, int]  # a job and the index of one of its texts


@dataclasses.dataclass(frozen=True)
class PackedCall:
    """One device call.

    Attributes:
        batch: Arrays of the call.
        places: For each group, which text lies in each of its slots.
        tokens: Number of tokens that are no padding.
    """

    batch: TokenBatch
    places: list[list[Place]]
    tokens: int

    @property
    def texts(self) -> Iterator[Place]:
        """All texts of the call."""
        return (place for group in self.places for place in group)


def pack(taken: Taken, packing: PackingConfig) -> list[PackedCall]:
    """Packs what the queue gave into as few device calls as fit it."""
    places = [(job, index) for job, first, end in taken for index in range(first, end)]
    texts = _together(taken)
    lengths = texts.lengths
    return [
        PackedCall(
            call.batch,
            [[places[text] for text in group] for group in call.texts],
            int(sum(lengths[group].sum() for group in call.texts if group)),
        )
        for call in packed_calls(texts, packing)
    ]


def _together(taken: Taken) -> TokenizedTexts:
    """Returns the slices of several jobs as one ragged record."""
    tokens = [job.texts.tokens[job.texts.offsets[first] : job.texts.offsets[end]] for job, first, end in taken]
    lengths = np.concatenate([job.texts.lengths[first:end] for job, first, end in taken])
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return TokenizedTexts(
        np.concatenate(tokens),
        offsets,
        np.concatenate([job.texts.unpooled[first:end] for job, first, end in taken]),
        np.concatenate([job.texts.full_lengths[first:end] for job, first, end in taken]),
    )
