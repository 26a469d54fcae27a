"""Texts and token ids of a request -> ragged token ids, in the threads that do nothing else."""

import numpy as np

from instructor_jax.server.device.item import Item
from instructor_jax.server.device.served_model import ServedModel
from instructor_jax.server.refusals import Refusal
from instructor_jax.text.batches import TokenizedTexts
from instructor_jax.text.tokenization import Pair


def tokenized(model: ServedModel, items: list[Item], *, truncate: bool) -> TokenizedTexts:
    """Returns the token ids of the items, cut to the model's limit.

    Args:
        model: The model.
        items: Texts, or token ids, not mixed.
        truncate: Whether texts that are too long are cut; otherwise they are refused.

    Raises:
        Refusal: 400 where a text cannot be tokenised, 422 where it is too long and must not be cut.
    """
    tokenizer = model.engine.tokenizer
    try:
        if all(item.text is not None for item in items):
            texts = tokenizer([Pair(item.instruction, item.text or "") for item in items])
        elif all(item.ids is not None for item in items):
            texts = tokenizer.of_ids([(item.instruction, item.ids or ()) for item in items])
        else:
            raise Refusal(400, "texts and token ids cannot be mixed in one request; send two.", param="input")
    except ValueError as error:
        raise Refusal(400, str(error), param="input") from None
    if not truncate:
        long = np.flatnonzero(texts.full_lengths > tokenizer.max_length)
        if len(long):
            raise Refusal(
                422,
                f"text {long[0]} has {texts.full_lengths[long[0]]} tokens with its instruction, more than "
                f"{tokenizer.max_length}; shorten it, or let it be cut (truncate).",
                param="input",
                code="context_length_exceeded",
            )
    return texts
