"""`instructor-jax search`: the nearest rows of a corpus for each query, for a person to read or as JSON or HTML.

One pass over the corpus, block by block; its vectors are computed on the way, or read from a file that `encode` made.
"""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from tqdm import tqdm

from instructor_jax.commands.console import say, say_json, terminal_width
from instructor_jax.commands.encode_files import read_summary
from instructor_jax.commands.nearest import Hit, NearestRows
from instructor_jax.commands.read_ahead import read_ahead
from instructor_jax.commands.search_page import is_search_page, search_page
from instructor_jax.commands.similarity import require_finite
from instructor_jax.commands.text_files import InputOptions, TextBlock, read_texts, text_blocks, text_columns
from instructor_jax.commands.vector_files import open_npy
from instructor_jax.io.atomic import require_new_or_replaceable, whole_file
from instructor_jax.io.bounds import HITS, TEXTS_CHARACTERS
from instructor_jax.io.tables.records import Table
from instructor_jax.model_options import (
    BATCH_SIZE,
    DIMENSIONS,
    Embedder,
    ModelOptions,
    load_model,
    model_name,
    require_count,
)
from instructor_jax.text.excerpts import one_line

logger: logging.Logger = logging.getLogger(__name__)

_BLOCK = 8192  # rows of the corpus in memory at a time


def search(
    corpus: Path,
    queries: Path | None = None,
    /,
    *,
    query: Annotated[list[str] | None, Parameter(name=["--query", "-q"], negative="")] = None,
    top_k: Annotated[int, Parameter(name=["--top-k", "-k"])] = 10,
    query_instruction: str | None = None,
    corpus_instruction: str | None = None,
    corpus_vectors: Path | None = None,
    query_column: str | None = None,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
    html: Path | None = None,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    batch_size: int | None = None,
    truncate_dim: int | None = None,
    reading: InputOptions = InputOptions(),  # noqa: B008 - frozen
    model: ModelOptions = ModelOptions(),  # noqa: B008
) -> None:
    """Find the nearest rows of a corpus for each query.

    The corpus is encoded on the way:

      instructor-jax search articles.txt --query "who painted the night watch" \\
          --model hkunlp/instructor-base \\
          --query-instruction "Represent the Wikipedia question for retrieval: " \\
          --corpus-instruction "Represent the Wikipedia document for retrieval: "

    For a corpus that is searched often, encode it once:

      instructor-jax encode articles.txt -o articles.npy -m ./my-model \\
          --instruction "Represent the Wikipedia document for retrieval: "
      instructor-jax search articles.txt questions.txt -m ./my-model \\
          --corpus-vectors articles.npy --html found.html \\
          --query-instruction "Represent the Wikipedia question for retrieval: "

    Args:
        corpus: The texts to search in: .txt (one a line), .jsonl, .csv, .tsv, .parquet.
        queries: The texts to search for, a file of the same kinds.
        query: A text to search for; may be repeated.
        top_k: How many rows to find for each query.
        query_instruction: Instruction for the queries.
        corpus_instruction: Instruction for the corpus.
        corpus_vectors: The corpus's vectors, a float32 .npy of `instructor-jax encode`, instead of computing them.
        query_column: Column of the texts in the file of queries; found as the corpus's is.
        json_output: Print JSON for machines.
        html: Also write a page for a browser; an earlier page of this command is replaced.
        overwrite: Let --html replace a file that is no page of this command.
        batch_size: Most texts in one call of the device; by default the number of tokens decides.
        truncate_dim: Compare only so many leading dimensions.
        reading: See InputOptions.
        model: See ModelOptions.
    """
    name = model_name(model)
    require_count("--top-k", top_k, HITS)
    require_count("--batch-size", batch_size, BATCH_SIZE)
    require_count("--truncate-dim", truncate_dim, DIMENSIONS)
    if corpus_vectors is not None and corpus_instruction is not None:
        raise ValueError(
            "--corpus-vectors are encoded already, under an instruction of their own; leave --corpus-instruction out"
        )
    if not query and queries is None:
        raise ValueError('nothing to search for; give --query "a text", or a file of queries')
    if html is not None:
        read = [path for path in (corpus, queries, corpus_vectors, Path(name)) if path is not None]
        require_new_or_replaceable(html, is_search_page, inputs=read, overwrite=overwrite)
    sought = _read_queries(list(query or []), queries, query_column, reading, own=query_instruction is None)
    texts = [text for block in sought for text in block.texts]
    if not texts:
        raise ValueError(f"{queries}: holds no queries")
    if len(texts) * top_k > HITS:
        raise ValueError(f"--top-k {top_k} for {len(texts):,} queries are more than {HITS:,} hits; ask for fewer")
    encoder = _Encoder(model, batch_size, truncate_dim)
    with reading.open(corpus) as table:
        own = corpus_instruction is None
        columns = text_columns(table, reading, own_instructions=own)
        blocks = read_ahead(text_blocks(read_texts(table, reading, own_instructions=own), _BLOCK))
        stored = None if corpus_vectors is None else _open_vectors(corpus_vectors, name, truncate_dim)
        vectors = [encoder.encode(block, query_instruction, "query") for block in sought]
        nearest = NearestRows(np.concatenate(vectors), top_k)
        rows = 0
        for block in _with_progress(blocks, table):
            rows += len(block.texts)
            found = (
                _slice(stored, block, corpus_vectors)
                if stored is not None
                else encoder.encode(block, corpus_instruction, f"{table.name}, row")
            )
            names = block.ids or [None] * len(block.texts)
            nearest.add(found, block.first_row, list(zip(names, block.texts, strict=True)))
    if not rows:
        raise ValueError(f"{table.name}: holds no rows")
    if stored is not None and len(stored) != rows:
        raise ValueError(
            f"{corpus_vectors}: holds {len(stored):,} vectors, the corpus has {rows:,} rows; encode the corpus again"
        )
    if columns.title is not None or columns.left_out is not None:
        logger.warning("%s: the text is %s", table.name, columns.described())
    hits = nearest.hits()
    if html is not None:
        with whole_file(html) as beside:
            beside.write_text(search_page(texts, hits, corpus=table.name, model=name), encoding="utf-8")
    if json_output:
        say_json(_as_json(texts, hits, name, table.name))
    else:
        say("\n\n".join(hits_text(*found, terminal_width()) for found in zip(texts, hits, strict=True)))


def _read_queries(
    asked: list[str], path: Path | None, column: str | None, reading: InputOptions, *, own: bool
) -> list[TextBlock]:
    """The queries given one by one, then those of a file.

    Raises:
        ValueError: the file cannot be read, or is too large to be held in memory.
    """
    blocks = [TextBlock(0, 0, asked, None, None)] if asked else []
    if path is None:
        return blocks
    options, characters = reading.for_queries(path, column), 0
    with options.open(path) as table:
        for block in text_blocks(read_texts(table, options, own_instructions=own), _BLOCK):
            blocks.append(block)
            characters += sum(map(len, block.texts))
            if len(blocks) * _BLOCK > HITS or characters > TEXTS_CHARACTERS:
                raise ValueError(f"{path}: holds too many queries, or too long ones; split the file")
    return blocks


def hits_text(query: str, hits: list[Hit], width: int) -> str:
    """One query and its hits, a line each: rank, score, row from 1 or id, text cut to `width` characters."""
    names = [f"row {hit.row + 1}" if hit.payload[0] is None else one_line(hit.payload[0], 24) for hit in hits]
    widest = max(map(len, names), default=0)
    lines = [one_line(query, width)]
    for rank, (hit, name) in enumerate(zip(hits, names, strict=True), start=1):
        start = f"{rank:4}  {hit.score:7.4f}  {name:<{widest}}  "
        lines.append(start + one_line(hit.payload[1], max(width - len(start), 20)))
    return "\n".join(lines)


class _Encoder:
    """Encodes blocks; the model is loaded for the first one."""

    def __init__(self, model: ModelOptions, batch_size: int | None, truncate_dim: int | None) -> None:
        self._model, self._batch_size, self._truncate_dim = model, batch_size, truncate_dim
        self._embedder: Embedder | None = None

    def encode(self, block: TextBlock, instruction: str | None, what: str) -> np.ndarray:
        self._embedder = self._embedder or load_model(self._model)
        vectors = self._embedder.encode(
            block.sentences(),
            batch_size=self._batch_size,
            show_progress_bar=False,
            instruction=None if block.instructions is not None else instruction,
            truncate_dim=self._truncate_dim,
        )
        return require_finite(vectors, what, block.first_row)


def _with_progress(blocks: Iterator[TextBlock], table: Table) -> Iterator[TextBlock]:
    interval = 0.2 if sys.stderr.isatty() else 30.0
    with tqdm(
        unit=" rows", unit_scale=True, desc="search", mininterval=interval, dynamic_ncols=True, leave=False
    ) as bar:
        for block in blocks:
            yield block
            if fraction := table.fraction_read():
                bar.total = round((block.first_row + len(block.texts)) / fraction)
            bar.update(len(block.texts))


def _open_vectors(path: Path, model: str, truncate_dim: int | None) -> np.ndarray:
    stored = open_npy(path)
    if stored.ndim != 2 or stored.dtype != np.float32:
        raise ValueError(f"{path}: must hold float32 vectors [rows, dim], got {stored.dtype} {stored.shape}")
    summary = read_summary(path)
    if summary is not None and summary["options"]["model"] != model:
        logger.warning("%s was made by %s, the queries are encoded by %s", path, summary["options"]["model"], model)
    return stored if truncate_dim is None else stored[:, :truncate_dim]


def _slice(stored: np.ndarray, block: TextBlock, path: Path | None) -> np.ndarray:
    last = block.first_row + len(block.texts)
    if last > len(stored):
        raise ValueError(
            f"{path}: holds {len(stored)} vectors, the corpus has at least {last} rows; encode the corpus again"
        )
    vectors = np.asarray(stored[block.first_row : last])
    return require_finite(vectors, f"{path}, row", block.first_row)


def _as_json(texts: list[str], hits: list[list[Hit]], model: str, corpus: str) -> dict:
    results = [
        {
            "query": text,
            "hits": [
                {
                    "rank": rank,
                    "score": round(hit.score, 6),
                    "row": hit.row,
                    "id": hit.payload[0],
                    "text": hit.payload[1],
                }
                for rank, hit in enumerate(found, start=1)
            ],
        }
        for text, found in zip(texts, hits, strict=True)
    ]
    return {"model": model, "corpus": corpus, "results": results}
