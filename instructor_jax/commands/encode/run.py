"""The pass of `encode` over its input: a missing part is encoded while the one before it is written."""

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from tqdm import tqdm

from instructor_jax.commands.encode.options import VectorOptions
from instructor_jax.commands.encode.parts import PartStore
from instructor_jax.commands.encode.probe import require_same_model
from instructor_jax.commands.text_blocks import TextBlock
from instructor_jax.io.tables.records import Table
from instructor_jax.model_options import Embedder, ModelOptions, load_model


class EncodeRun:
    """One pass over the input: parts that are missing are encoded, with a progress bar.

    Args:
        store: where the parts are kept.
        table: the input, for messages and for how much of it is read.
        model: which model; loaded for the first part that is missing.
        vectors: what the vectors are like.
        instruction: of all texts, where the blocks bring none.
    """

    def __init__(
        self, store: PartStore, table: Table, model: ModelOptions, vectors: VectorOptions, instruction: str | None
    ) -> None:
        self._store, self._table = store, table
        self._model, self._vectors, self._instruction = model, vectors, instruction

    def encode_all(self, blocks: Iterator[TextBlock]) -> int:
        """Encodes the blocks whose parts are missing; returns the number of all blocks.

        A part is written by another thread while the next one is encoded.
        """
        embedder: Embedder | None = None
        written: Future[None] | None = None
        count = 0
        with self._progress() as bar, ThreadPoolExecutor(1, "write-part") as writer:
            for block in blocks:
                count += 1
                if self._store.holds(block):
                    bar.initial += len(block.texts)  # not counted in rows/s
                else:
                    embedder = embedder or self._load()
                    vectors, info = self._encode(embedder, block)
                    if written is not None:
                        written.result()
                    tokens, truncated = int(np.sum(info.token_counts)), int(np.sum(info.truncated))
                    written = writer.submit(self._store.write, block, vectors, tokens=tokens, truncated=truncated)
                fraction = self._table.fraction_read()
                if fraction:  # how many rows the file has is estimated from its bytes
                    bar.total = round((block.first_row + len(block.texts)) / fraction)
                bar.update(len(block.texts))
            if written is not None:
                written.result()
        return count

    def _progress(self) -> tqdm:
        # In a log file a line every half minute is enough.
        interval = 0.2 if sys.stderr.isatty() else 30.0
        return tqdm(unit=" rows", unit_scale=True, desc="encode", mininterval=interval, dynamic_ncols=True, smoothing=0)

    def _load(self) -> Embedder:
        embedder = load_model(self._model)
        require_same_model(self._store.folder, embedder, self._model.dtype)
        return embedder

    def _encode(self, embedder: Embedder, block: TextBlock) -> tuple[np.ndarray, Any]:
        first, last = block.first_row + 1, block.first_row + len(block.texts)
        try:
            vectors, info = embedder.encode(
                block.sentences(),
                batch_size=self._vectors.batch_size,
                show_progress_bar=False,
                instruction=None if block.instructions is not None else self._instruction,
                truncate_dim=self._vectors.truncate_dim,
                precision=self._vectors.precision,
                on_overflow=self._vectors.on_overflow,
                return_info=True,
            )
        except ValueError as error:
            raise ValueError(
                f"{self._table.name}, in rows {first} to {last} (indices count from row {first}): {error}"
            ) from error
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            row = first + int(np.argmin(finite))
            raise ValueError(
                f"{self._table.name}, row {row}: its vector is not finite; are the model's weights damaged?"
            )
        return vectors, info
