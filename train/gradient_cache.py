"""Encoding a batch larger than memory: chunks of rows one after another, each computed again in the backward pass.

A contrastive loss needs the vectors of the whole batch at once, but not the activations behind them (Gao et al. 2021,
Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup). JAX does the bookkeeping: mapping a
checkpointed function over chunks keeps one chunk's activations and everybody's vectors. Dropout repeats itself in the
second computation, because a row's key depends on nothing but (seed, step, number of the row).
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from instructor_jax.config import ModelConfig
from instructor_jax.nn.compute import FLOAT32, Compute
from instructor_jax.nn.model import Params, embed
from instructor_jax.nn.pooling import gather_slots
from instructor_jax.sharding import constrain
from instructor_jax.text.batches import TokenBatch


def embed_in_chunks(
    config: ModelConfig,
    params: Params,
    texts: TokenBatch,
    row_keys: Key[Array, "groups rows"] | None = None,
    *,
    chunks: int = 1,
    compute: Compute = FLOAT32,
) -> Float[Array, "groups texts dim"]:
    """Returns the same vectors as `embed`, computed for a part of every group's sequences at a time.

    Args:
        config: Configuration of the model.
        params: Parameters of the model.
        texts: Texts of the whole batch.
        row_keys: Random key for each sequence's dropout; None for none.
        chunks: Number of parts into which the sequences of a group are cut; 1 keeps all activations.
        compute: How a chunk is computed, with the layers stacked; its `remat` counts within a chunk.

    Raises:
        ValueError: The rows cannot be cut into so many equal parts.
    """
    if chunks == 1:
        return embed(config, params, texts, compute=compute, row_keys=row_keys)
    groups, rows, _ = texts.tokens.shape
    if rows % chunks:
        raise ValueError(f"chunks={chunks} must divide the {rows} rows of a group; {_advice(rows, chunks)}.")
    places = rows // chunks * texts.segments_per_row  # slots of a chunk: a text's slot is a place among all rows

    def encode(part: tuple[Any, ...]) -> Float[Array, "groups texts dim"]:
        """Returns the vectors of the chunk's texts, zeros for the texts of other chunks."""
        number, (tokens, segments, pooled, keys) = part
        every_place = jnp.broadcast_to(jnp.arange(places, dtype=jnp.int32), (groups, places))
        chunk = dataclasses.replace(texts, tokens=tokens, segments=segments, pooled=pooled, slots=every_place)
        found = embed(config, params, chunk, compute=compute, row_keys=keys)
        own = texts.slots - number * places
        return gather_slots(found, jnp.where((own >= 0) & (own < places), own, -1))

    def cut(x: Array) -> Array:
        # groups stay where they are: every device works on a part of its own rows
        return x.reshape(groups, chunks, rows // chunks, *x.shape[2:]).swapaxes(0, 1)

    def add(vectors: Array, part: tuple[Any, ...]) -> tuple[Any, None]:
        # a sum: stacking the chunks' results would hold every place of every row, most of them empty
        return vectors + jax.checkpoint(encode, prevent_cse=False)(part), None

    parts = jax.tree.map(cut, (texts.tokens, texts.segments, texts.pooled, row_keys))
    none = jnp.zeros((*texts.slots.shape, config.embedding_dim), jnp.float32)
    numbers = jnp.arange(chunks, dtype=jnp.int32)
    return jax.lax.scan(add, constrain(none, "batch", None, None), (numbers, parts))[0]


def dropout_keys(seed: int, step: Int[Array, ""], groups: int, rows: int) -> Key[Array, "groups rows"]:
    """Returns a random key for every sequence of the global batch, whatever devices and chunks it is spread over."""
    key = jax.random.fold_in(jax.random.key(seed), step)
    number = jnp.arange(groups * rows).reshape(groups, rows)
    return jax.vmap(jax.vmap(lambda n: jax.random.fold_in(key, n)))(number)


def _advice(rows: int, chunks: int) -> str:
    divisors = [n for n in range(1, rows + 1) if rows % n == 0]
    return f"try {min(divisors, key=lambda n: (abs(n - chunks), n))}"
