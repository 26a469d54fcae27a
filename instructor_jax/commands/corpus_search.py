"""One pass over a corpus, block by block: its vectors are computed on the way, or read from a file of `encode`."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from instructor_jax.commands.encode.output_files import read_summary
from instructor_jax.commands.encode.vector_files import open_npy
from instructor_jax.commands.nearest import Hit, NearestTexts
from instructor_jax.commands.read_ahead import read_ahead
from instructor_jax.commands.search_options import SearchOptions
from instructor_jax.commands.similarity import require_finite
from instructor_jax.commands.table_options import InputOptions
from instructor_jax.commands.text_blocks import TextBlock, text_blocks
from instructor_jax.commands.text_files import read_texts, text_columns
from instructor_jax.io.bounds import HITS, TEXTS_CHARACTERS
from instructor_jax.io.tables.records import Table
from instructor_jax.model_options import Embedder, ModelOptions, load_model, model_name
from instructor_jax.progress import progress

logger: logging.Logger = logging.getLogger(__name__)

_BLOCK = 8192  # rows of the corpus in memory at a time


class CorpusSearch:
    """One search: the options and the model, which is loaded for the first block that needs it.

    Args:
        asked: what is sought in what.
        reading: how the corpus is read.
        model: which model encodes.
    """

    def __init__(self, asked: SearchOptions, reading: InputOptions, model: ModelOptions) -> None:
        self._asked, self._reading, self._model = asked, reading, model
        self._embedder: Embedder | None = None

    def queries(self, path: Path | None) -> list[TextBlock]:
        """Returns the queries given one by one, then those of a file.

        Raises:
            ValueError: the file cannot be read, is too large to be held in memory, or there are no queries.
        """
        blocks = [TextBlock(0, 0, list(self._asked.query), None, None)] if self._asked.query else []
        if path is not None:
            blocks += self._queries_of(path)
        count = sum(len(block.texts) for block in blocks)
        if not count:
            raise ValueError(f"{path}: holds no queries")
        top_k = self._asked.top_k
        if count * top_k > HITS:
            raise ValueError(f"--top-k {top_k} for {count:,} queries are more than {HITS:,} hits; ask for fewer")
        return blocks

    def _queries_of(self, path: Path) -> list[TextBlock]:
        blocks: list[TextBlock] = []
        options, characters = self._reading.for_queries(path, self._asked.query_column), 0
        own = self._asked.query_instruction is None
        with options.open(path) as table:
            for block in text_blocks(read_texts(table, options, own_instructions=own), _BLOCK):
                blocks.append(block)
                characters += sum(map(len, block.texts))
                if len(blocks) * _BLOCK > HITS or characters > TEXTS_CHARACTERS:
                    raise ValueError(f"{path}: holds too many queries, or too long ones; split the file")
        return blocks

    def run(self, corpus: Path, sought: list[TextBlock]) -> tuple[list[list[Hit]], str]:
        """Returns the hits of every query, and the corpus's name.

        Raises:
            ValueError: the corpus cannot be read or is empty, or its vectors do not belong to it.
        """
        asked, vectors_file = self._asked, self._asked.corpus_vectors
        with self._reading.open(corpus) as table:
            own = asked.corpus_instruction is None
            columns = text_columns(table, self._reading, own_instructions=own)
            blocks = read_ahead(text_blocks(read_texts(table, self._reading, own_instructions=own), _BLOCK))
            stored = None if vectors_file is None else self._stored_vectors(vectors_file)
            vectors = [self._encode(block, asked.query_instruction, "query") for block in sought]
            nearest = NearestTexts(np.concatenate(vectors), asked.top_k)
            rows = 0
            for block in _with_progress(blocks, table):
                rows += len(block.texts)
                if stored is None:
                    found = self._encode(block, asked.corpus_instruction, f"{table.name}, row")
                else:
                    found = _slice(stored, block, vectors_file)
                names = block.ids or [None] * len(block.texts)
                nearest.add(found, block.first_row, list(zip(names, block.texts, strict=True)))
        if not rows:
            raise ValueError(f"{table.name}: holds no rows")
        if stored is not None and len(stored) != rows:
            raise ValueError(
                f"{vectors_file}: holds {len(stored):,} vectors, the corpus has {rows:,} rows; encode the corpus again"
            )
        if columns.title is not None or columns.left_out is not None:
            logger.warning("%s: the text is %s", table.name, columns.described())
        return nearest.hits(), table.name

    def _encode(self, block: TextBlock, instruction: str | None, what: str) -> np.ndarray:
        self._embedder = self._embedder or load_model(self._model)
        vectors = self._embedder.encode(
            block.sentences(),
            batch_size=self._asked.batch_size,
            show_progress_bar=False,
            instruction=None if block.instructions is not None else instruction,
            truncate_dim=self._asked.truncate_dim,
        )
        return require_finite(vectors, what, block.first_row)

    def _stored_vectors(self, path: Path) -> np.ndarray:
        stored, model = open_npy(path), model_name(self._model)
        if stored.ndim != 2 or stored.dtype != np.float32:
            raise ValueError(f"{path}: must hold float32 vectors [rows, dim], got {stored.dtype} {stored.shape}")
        summary = read_summary(path)
        if summary is not None and summary["options"]["model"] != model:
            logger.warning("%s was made by %s, the queries are encoded by %s", path, summary["options"]["model"], model)
        return stored if self._asked.truncate_dim is None else stored[:, : self._asked.truncate_dim]


def _with_progress(blocks: Iterator[TextBlock], table: Table) -> Iterator[TextBlock]:
    with progress("search", None, "row", leave=False) as bar:
        for block in blocks:
            yield block
            if fraction := table.fraction_read():
                bar.total = round((block.first_row + len(block.texts)) / fraction)
            bar.update(len(block.texts))


def _slice(stored: np.ndarray, block: TextBlock, path: Path | None) -> np.ndarray:
    last = block.first_row + len(block.texts)
    if last > len(stored):
        raise ValueError(
            f"{path}: holds {len(stored)} vectors, the corpus has at least {last} rows; encode the corpus again"
        )
    vectors = np.asarray(stored[block.first_row : last])
    return require_finite(vectors, f"{path}, row", block.first_row)
