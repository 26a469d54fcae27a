"""The two records that carry text to the model: ragged `TokenizedTexts` on the host, static `TokenBatch` on devices."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Int, Int32, Int64


@dataclasses.dataclass(frozen=True)
class TokenizedTexts:
    """Token ids of many texts, end to end in one array; text i is `tokens[offsets[i]:offsets[i + 1]]`.

    Attributes:
        tokens: ids of all texts, EOS included, truncated to the length limit.
        offsets: where each text begins; one more than there are texts.
        unpooled: per text, how many leading tokens (its instruction) are read but not pooled.
        full_lengths: per text, its number of tokens before truncation.
    """

    tokens: Int32[np.ndarray, "tokens"]
    offsets: Int64[np.ndarray, "texts_plus_1"]
    unpooled: Int32[np.ndarray, "texts"]
    full_lengths: Int32[np.ndarray, "texts"]

    def __len__(self) -> int:
        return len(self.unpooled)

    @property
    def lengths(self) -> Int64[np.ndarray, "texts"]:
        """Number of tokens of each text, after truncation."""
        return np.diff(self.offsets)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TokenBatch:
    """Packed rows of static shape. Every group is packed on its own, so that nothing crosses from group to group.

    Attributes:
        tokens: token ids; 0 where there is padding.
        segments: the text of the row a token belongs to, 0 .. segments_per_row - 1; -1 is padding.
        pooled: whether the token counts in its text's mean.
        slots: where each text of the group landed, row * segments_per_row + segment; -1 where there is no text.
        segments_per_row: static; how many texts a row can hold.
    """

    tokens: Int[Any, "groups rows len"]
    segments: Int[Any, "groups rows len"]
    pooled: Bool[Any, "groups rows len"]
    slots: Int[Any, "groups texts"]
    segments_per_row: int = dataclasses.field(metadata={"static": True})
