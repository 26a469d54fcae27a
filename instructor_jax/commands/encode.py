"""`instructor-jax encode`: a file of texts to a file of vectors, in constant memory, resumable.

The input is cut into parts of a fixed number of rows, and every part is encoded by one call of its own. The last bits
of a vector depend on the texts it is packed with, and those are then the same in every run: a run that was killed and
started again writes the bytes of one that was not.
"""

import dataclasses
import itertools
import logging
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Group, Parameter
from tqdm import tqdm

from instructor_jax.commands.console import say
from instructor_jax.commands.encode_files import ids_path, output_claims, parts_folder, read_summary, summary_path
from instructor_jax.commands.parts import PartStore, combined_digest, option_differences
from instructor_jax.commands.read_ahead import read_ahead
from instructor_jax.commands.text_files import (
    InputOptions,
    TextBlock,
    TextColumns,
    read_texts,
    text_blocks,
    text_columns,
)
from instructor_jax.commands.vector_files import vector_format
from instructor_jax.io.atomic import require_plain_file
from instructor_jax.io.owned_files import Claim, check_claims, same_or_inside
from instructor_jax.io.printable import json_text, one_line
from instructor_jax.io.tables.records import Table
from instructor_jax.model_options import (
    BATCH_SIZE,
    DIMENSIONS,
    Embedder,
    ModelOptions,
    Overflow,
    Precision,
    load_model,
    model_name,
    require_count,
)

logger: logging.Logger = logging.getLogger(__name__)

_PROBE = "resume"  # one short word: cheap to encode, and no limit on lengths refuses it
# How far apart, relative to its length, rounding puts the vector of one text on two kinds of device.
_ROUNDING = {"float32": 1e-4, "bfloat16": 2e-2}


@Parameter(name="*", group=Group("Vectors", sort_key=3))
@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorOptions:
    """What the vectors are like.

    Attributes:
        batch_size: Most texts in one call of the device; by default the number of tokens decides.
        precision: Type of the vectors' numbers; int8 and uint8 need the ranges stored with the model.
        truncate_dim: Keep only so many leading dimensions, normalised again.
        on_overflow: What to do with a text longer than the model's limit; the summary counts such texts.
    """

    batch_size: int | None = None
    precision: Precision = "float32"
    truncate_dim: int | None = None
    on_overflow: Overflow = "truncate"


def encode(
    input: Path,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    instruction: Annotated[str | None, Parameter(name=["--instruction", "-i"])] = None,
    part_size: int = 8192,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    reading: InputOptions = InputOptions(),  # noqa: B008
    model: ModelOptions = ModelOptions(),  # noqa: B008
    vectors: VectorOptions = VectorOptions(),
) -> None:
    """Embed a file of texts; resumable, in constant memory.

    Killed at any moment and started again with the same options it goes on, and
    the result is, byte for byte, that of a run that was never interrupted.

      instructor-jax encode texts.txt -o vectors.npy \\
          --model hkunlp/instructor-base \\
          --instruction "Represent the Wikipedia sentence for retrieval: "

      instructor-jax encode articles.csv.gz -o vectors.parquet -m ./my-model \\
          --text-column body --id-column url --instruction "Represent the news: "

      zcat logs.gz | instructor-jax encode - -o vectors.jsonl -m ./my-model

    A .txt file is one text a line; an empty line is an empty text, so that row n
    belongs to line n. Beside OUTPUT lie OUTPUT.json (how it was made), for .npy
    with ids also *.ids.txt, and until all is done the folder OUTPUT.parts. What
    is there under these names and not made by this command is never replaced
    without --overwrite, and a folder, a device or the input never at all. A
    corpus of BEIR (columns _id, title, text) is read as BEIR reads it: each title
    joined before its text by a blank; --no-title leaves the titles out. Of a
    folder of Parquet files, as Spark writes it, the files are read by name.

    Args:
        input: .txt, .jsonl, .csv, .tsv or .parquet, the first four also with .gz; a folder of Parquet files; "-" reads
            standard input.
        output: .npy (ids go beside it), .jsonl or .parquet.
        instruction: Instruction for all texts, as the model was trained with: "Represent the ... for ...: ".
        part_size: Rows of a part, the unit that a restart goes on from.
        overwrite: Replace an output that exists, also one that this command did not make.
        reading: See InputOptions.
        model: See ModelOptions.
        vectors: See VectorOptions.
    """
    format = vector_format(output)
    if instruction is not None and reading.instruction_column is not None:
        raise ValueError("--instruction and --instruction-column exclude each other; give one of them")
    require_count("--batch-size", vectors.batch_size, BATCH_SIZE)
    require_count("--truncate-dim", vectors.truncate_dim, DIMENSIONS)
    _check_output(input, output, Path(model_name(model)), ids_beside=not format.holds_ids)
    with reading.open(input) as table:
        columns = text_columns(table, reading, own_instructions=instruction is None)
        options = _deciding_options(instruction, part_size, reading, columns, model, vectors)
        rows = read_texts(table, reading, own_instructions=instruction is None)
        blocks = read_ahead(text_blocks(rows, part_size))
        if output.is_file() and not overwrite and not parts_folder(output).exists():
            return _require_made_from(output, options, blocks)
        first = next(blocks, None)  # before the model is loaded: a wrong column is then told at once
        if first is None:
            raise ValueError(f"{table.name}: holds no rows")
        started = time.perf_counter()
        with PartStore(output, format, options, overwrite=overwrite) as store:
            kept = store.rows
            run = _Run(store, table, model, vectors, instruction)
            parts = run.encode_all(itertools.chain([first], blocks))
            summary = store.finish(parts)
    shown = "one for each text" if first.instructions else json_text(instruction or "")
    _report(output, summary, table.name, columns, shown, kept, time.perf_counter() - started)
    return None


def _check_output(input: Path, output: Path, model: Path, *, ids_beside: bool) -> None:
    """Refuse an output that would cost the user a file; before anything is read or made.

    What exists and is not ours is refused by `PartStore`, once it is known that the output is not complete already.
    """
    require_plain_file(output)
    # Which of them may be replaced is asked later: here only that none is an input.
    claims = [Claim(claim.path, lambda path: True) for claim in output_claims(output, ids_beside=ids_beside)]
    check_claims(claims, inputs=[input, model], overwrite=True, option="--overwrite")
    if input.is_dir() and same_or_inside(output.parent, input):
        raise ValueError(f"{output} would be written into {input}, which is read; name another output")


class _Run:
    """One pass over the input: parts that are missing are encoded, with a progress bar."""

    def __init__(
        self, store: PartStore, table: Table, model: ModelOptions, vectors: VectorOptions, instruction: str | None
    ) -> None:
        self._store, self._table = store, table
        self._model, self._vectors, self._instruction = model, vectors, instruction

    def encode_all(self, blocks: Iterator[TextBlock]) -> int:
        """Encode the blocks whose parts are missing; returns the number of all blocks.

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
        probe = np.asarray(embedder.encode([_PROBE], show_progress_bar=False))[0]
        if not self._store.require_probe(probe, tolerance=_ROUNDING[self._model.dtype]):
            logger.warning(
                "this machine rounds differently from the one that began %s; the result will be right, "
                "but not byte for byte that of one machine",
                self._store.folder,
            )
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


def _deciding_options(
    instruction: str | None,
    part_size: int,
    reading: InputOptions,
    columns: TextColumns,
    model: ModelOptions,
    vectors: VectorOptions,
) -> dict[str, Any]:
    """Everything but the rows and the files' names that decides the bytes of the output, as plain JSON values."""
    chosen = {
        "model": model_name(model),
        "revision": model.revision,
        "dtype": model.dtype,
        "max_length": model.max_length,
    }
    how_read = dataclasses.asdict(reading)
    del how_read["title"]  # whether titles are joined is told by which: null, as in summaries before there were titles
    return {
        **chosen,
        "instruction": instruction,
        "part_size": part_size,
        **dataclasses.asdict(vectors),
        **how_read,
        "title_column": columns.title,
    }


def _require_made_from(output: Path, options: dict[str, Any], blocks: Iterator[TextBlock]) -> None:
    """Accept a finished output that this very command would make again: a run may be killed just after its end."""
    summary = read_summary(output)
    if summary is None:
        raise ValueError(f"{output} exists, and nothing tells how it was made; give --overwrite to replace it")
    if differences := option_differences(summary["options"], options):
        raise ValueError(f"{output} exists, made with other options ({differences}); give --overwrite to replace it")
    if combined_digest([block.digest() for block in blocks]) != summary["input"]:
        raise ValueError(f"{output} exists, made from another input; give --overwrite to replace it")
    say(f"{output}: complete already, from the same input with the same options (--overwrite makes it again)")


def _report(
    output: Path,
    summary: dict[str, Any],
    source: str,
    columns: TextColumns,
    instruction: str,
    kept: int,
    seconds: float,
) -> None:
    rows, options = summary["rows"], summary["options"]
    speed = f", {(rows - kept) / seconds:,.0f} rows/s" if rows > kept else ""
    lines = {
        "input": source,
        **({"text": columns.described()} if columns.title or columns.left_out else {}),
        "output": ", ".join(str(path) for path in _made(output, summary)),
        "model": f"{options['model']} ({options['dtype']})",
        "instruction": instruction,
        "rows": f"{rows:,}" + (f" ({kept:,} of them from an earlier run)" if kept else ""),
        "time": f"{seconds:,.1f} s{speed}",
        "tokens": f"{summary['tokens']:,}",
        "truncated": f"{summary['truncated']:,} texts longer than the model's limit",
    }
    for name, value in lines.items():
        say(f"{name:<12} {one_line(value)}")


def _made(output: Path, summary: dict[str, Any]) -> list[Path]:
    return [output, *([ids_path(output)] if summary["ids"] else []), summary_path(output)]
