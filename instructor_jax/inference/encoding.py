"""From (instruction, text) pairs to vectors or token states: the stages of `stages.py`, chunk by chunk."""

import dataclasses
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from instructor_jax.inference.culprits import culprits
from instructor_jax.inference.encode_info import EncodeInfo, encode_info, prepared_info
from instructor_jax.inference.encode_options import EncodeOptions
from instructor_jax.inference.engine import Engine
from instructor_jax.inference.finite import NotFinite
from instructor_jax.inference.pipeline import completed, pipeline
from instructor_jax.inference.progress import progress_bar
from instructor_jax.inference.stages import Finished, Prepared, prepare, run_calls
from instructor_jax.inference.token_outputs import all_outputs, token_states
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.text.tokenization import Pair

CHUNK = 8192  # texts tokenised and packed together
_INLINE = 64  # up to this many texts, starting a thread costs more than it hides


def finished_chunks(
    engine: Engine, folder: ModelFolder, pairs: list[Pair], options: EncodeOptions, progress: bool
) -> Iterator[Finished]:
    """The vectors of all pairs, chunk by chunk, as the model gives them; one empty chunk where there are none."""
    if len(pairs) <= _INLINE:
        prepared = _prepare((0, pairs), engine, options)
        finished = completed(prepared, engine.embed, folder.config.normalize)
        none = np.zeros((0, folder.config.embedding_dim), np.float32)
        yield finished if len(pairs) else dataclasses.replace(finished, vectors=none)
        return
    chunks = ((start, pairs[start : start + CHUNK]) for start in range(0, len(pairs), CHUNK))
    with progress_bar(len(pairs), "encode", "text", progress) as advance:
        for finished in chunk_pipeline(engine, folder, chunks, options):
            advance(len(finished.vectors))
            yield finished


def chunk_pipeline(
    engine: Engine, folder: ModelFolder, chunks: Iterable[tuple[int, list[Pair]]], options: EncodeOptions
) -> Iterator[Finished]:
    """The same for chunks that come with the index of their first text; the next are prepared while one computes."""
    stage_one = partial(_prepare, engine=engine, options=options)
    return pipeline(chunks, stage_one, engine.embed, folder.config.normalize)


def outputs(
    engine: Engine, folder: ModelFolder, pairs: list[Pair], options: EncodeOptions, value: str | None, progress: bool
) -> tuple[Any, EncodeInfo]:
    """Returns the output of all pairs, and what is known about the texts.

    Args:
        engine: computes.
        folder: the model's settings.
        pairs: what to encode.
        options: how.
        value: "sentence_embedding" for vectors [texts, dim]; "token_embeddings" for a list of the states of each
            text's tokens; None for a list of dictionaries of everything.
        progress: show a bar over the texts.
    """
    if value == "sentence_embedding":
        finished = list(finished_chunks(engine, folder, pairs, options, progress))
        vectors = np.concatenate([chunk.vectors for chunk in finished])
        return options.shrink(vectors, folder), encode_info(finished)
    prepared = _prepare((0, pairs), engine, options)
    try:
        states = token_states(prepared, run_calls(prepared, engine.encode_tokens))
    except NotFinite as error:
        raise culprits(prepared, engine.embed, error) from None
    if value is not None:
        return states, prepared_info(prepared)
    vectors = completed(prepared, engine.embed, folder.config.normalize).vectors
    return all_outputs(prepared, states, vectors), prepared_info(prepared)


def _prepare(chunk: tuple[int, list[Pair]], engine: Engine, options: EncodeOptions) -> Prepared:
    first, pairs = chunk
    return prepare(engine.tokenizer, pairs, engine.packing, options.on_overflow, options.batch_size, first)
