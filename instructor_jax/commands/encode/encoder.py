"""From the rows of a part to what is written of it: the one place where `encode` calls the model.

Whoever makes a part (a plain run, one of many processes, a worker of an engine) makes it here, so that its bytes are a
function of rows, model and options alone.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from instructor_jax.commands.encode.options import VectorOptions
from instructor_jax.commands.encode.part_records import EncodedPart, part_digest
from instructor_jax.commands.encode.parts import PartStore
from instructor_jax.commands.encode.probe import require_same_model
from instructor_jax.commands.text_blocks import TextBlock
from instructor_jax.io.tables.records import Table
from instructor_jax.model_options import Embedder, ModelOptions, load_model


class PartEncoder:
    """Encodes parts; loads the model for the first one.

    Args:
        store: the parts, among which the model's vector of a fixed text is kept and compared.
        table: the input, for messages.
        model: which model.
        vectors: what the vectors are like.
        instruction: of all texts, where the blocks bring none.
    """

    def __init__(
        self, store: PartStore, table: Table, model: ModelOptions, vectors: VectorOptions, instruction: str | None
    ) -> None:
        self._store, self._table = store, table
        self._model, self._vectors, self._instruction = model, vectors, instruction
        self._embedder: Embedder | None = None

    def encode(self, block: TextBlock) -> tuple[np.ndarray, Any]:
        """Vectors [rows, dim] of a block, and what `Instructor.encode` tells of its texts.

        Raises:
            ValueError: the model is not the one that began the parts, or a text cannot be encoded; with its row.
        """
        if self._embedder is None:
            self._embedder = load_model(self._model)
            require_same_model(self._store, self._embedder, self._model.dtype)
        first, last = block.first_row + 1, block.first_row + len(block.texts)
        try:
            vectors, info = self._embedder.encode(
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


def encoded_part(blocks: Sequence[tuple[TextBlock, np.ndarray, Any]], digests: Sequence[str]) -> EncodedPart:
    """Joins the blocks of a part, which is nearly always one.

    Args:
        blocks: each block without its texts being needed any more, its vectors, and what `encode` told of it.
        digests: hash of each block.
    """
    first = blocks[0][0]
    ids = None if first.ids is None else [name for block, _, _ in blocks for name in block.ids or ()]
    return EncodedPart(
        first.index,
        first.first_row,
        blocks[0][1] if len(blocks) == 1 else np.concatenate([vectors for _, vectors, _ in blocks]),
        ids,
        part_digest(digests),
        tokens=sum(int(np.sum(info.token_counts)) for _, _, info in blocks),
        truncated=sum(int(np.sum(info.truncated)) for _, _, info in blocks),
    )
