"""What `encode` tells about its texts: token counts, which were cut, how much padding was computed."""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int32

from instructor_jax.inference.stages import Finished, Prepared
from instructor_jax.text.tokenization import OnOverflow


class TruncationWarning(UserWarning):
    """Texts were longer than the model reads."""


@dataclasses.dataclass(frozen=True)
class EncodeInfo:
    """What happened in one `encode`.

    Attributes:
        token_counts: per text, tokens of instruction and text before truncation, end-of-sequence included.
        truncated: per text, whether tokens were cut off.
        padding: share of the computed tokens that were padding, 0 to 1.
        calls: device calls made.
    """

    token_counts: Int32[np.ndarray, "texts"]
    truncated: Bool[np.ndarray, "texts"]
    padding: float
    calls: int


def encode_info(finished: Sequence[Finished]) -> EncodeInfo:
    """Sums up the chunks of one call."""
    computed = sum(chunk.computed_tokens for chunk in finished)
    return EncodeInfo(
        token_counts=np.concatenate([chunk.token_counts for chunk in finished]),
        truncated=np.concatenate([chunk.truncated for chunk in finished]),
        padding=1.0 - sum(chunk.real_tokens for chunk in finished) / computed if computed else 0.0,
        calls=sum(chunk.calls for chunk in finished),
    )


def prepared_info(prepared: Prepared) -> EncodeInfo:
    """The same for a chunk whose vectors nobody asked for."""
    padding = 1.0 - prepared.real_tokens / prepared.computed_tokens if prepared.computed_tokens else 0.0
    return EncodeInfo(prepared.token_counts, prepared.truncated, padding, len(prepared.calls))


def warn_of_truncation(info: EncodeInfo, max_length: int, on_overflow: OnOverflow, offset: int = 0) -> None:
    """Warns when texts were cut and the caller did not ask for it; other libraries cut in silence.

    Args:
        info: about these texts.
        max_length: the limit they exceeded.
        on_overflow: what the caller asked for.
        offset: how many texts of the caller came before these.
    """
    count = int(info.truncated.sum())
    if count and on_overflow == "warn":
        first = int(np.flatnonzero(info.truncated)[0])
        message = (
            f"{count} of {len(info.truncated)} texts were cut to {max_length} tokens (text {offset + first} has "
            f"{info.token_counts[first]}); see on_overflow for other ways."
        )
        warnings.warn(message, TruncationWarning, stacklevel=3)
