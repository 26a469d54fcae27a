"""Outputs per token: the hidden states of each text, taken out of the packed rows again."""

from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from instructor_jax.inference.finite import NotFinite
from instructor_jax.inference.stages import Prepared


def token_states(
    prepared: Prepared, hidden: list[Float[np.ndarray, "groups _ _ embed"]]
) -> list[Float32[np.ndarray, "_ embed"]]:
    """For each text the states of its tokens, instruction and end-of-sequence included.

    Args:
        prepared: the chunk.
        hidden: the encoder's output of each of its calls.

    Raises:
        NotFinite: a state has a NaN or an infinity; the message names its text.
    """
    states = [np.empty((0, 0), np.float32)] * len(prepared.texts)
    for call, output in zip(prepared.calls, hidden, strict=True):
        for group, members in enumerate(call.texts):
            for text, slot in zip(members, call.batch.slots[group], strict=False):
                row, segment = divmod(int(slot), call.bucket.segments_per_row)
                own = call.batch.segments[group, row] == segment
                states[text] = output[group, row][own].astype(np.float32)
    broken = [text for text, own in enumerate(states) if not np.isfinite(own).all()]
    if broken:
        raise NotFinite(broken, prepared.first)
    return states


def all_outputs(
    prepared: Prepared, states: list[Float32[np.ndarray, "_ embed"]], vectors: Float32[np.ndarray, "texts dim"]
) -> list[dict[str, Any]]:
    """Per text its vector, token states, token ids and which tokens were pooled."""
    texts = prepared.texts
    return [
        {
            "sentence_embedding": vectors[text],
            "token_embeddings": states[text],
            "input_ids": texts.tokens[texts.offsets[text] : texts.offsets[text + 1]],
            "pooled": np.arange(texts.lengths[text]) >= texts.unpooled[text],
        }
        for text in range(len(texts))
    ]
