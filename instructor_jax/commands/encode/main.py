"""`instructor-jax encode`: files of texts to a file of vectors, in constant memory, resumable.

The input is cut into parts of a fixed number of rows, and every part is encoded by calls of its own. The last bits
of a vector depend on the texts it is packed with, and those are then the same in every run: a run that was killed and
started again writes the bytes of one that was not.
"""

import dataclasses
import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from instructor_jax.commands.console import say
from instructor_jax.commands.encode.encoder import PartEncoder
from instructor_jax.commands.encode.input_files import input_files
from instructor_jax.commands.encode.joining import join_parts
from instructor_jax.commands.encode.options import OutputOptions, VectorOptions, deciding_options
from instructor_jax.commands.encode.output_files import (
    ids_path,
    output_claims,
    parts_folder,
    read_summary,
    summary_path,
    tidy_output_folder,
)
from instructor_jax.commands.encode.part_index import part_index
from instructor_jax.commands.encode.part_records import combined_digest, option_differences, part_digest
from instructor_jax.commands.encode.parts import PartStore
from instructor_jax.commands.encode.run import encode_all
from instructor_jax.commands.encode.shards import Shard, shard_named
from instructor_jax.commands.encode.share import PartReader, make_part, make_share
from instructor_jax.commands.encode.vector_files import VectorFormat, vector_format
from instructor_jax.commands.read_ahead import read_ahead
from instructor_jax.commands.table_options import InputOptions
from instructor_jax.commands.text_blocks import TextBlock, text_blocks
from instructor_jax.commands.text_files import read_texts, text_columns
from instructor_jax.io.atomic import require_plain_file
from instructor_jax.io.ownership import Claim, check_claims, same_or_inside
from instructor_jax.io.printable import json_text, one_line
from instructor_jax.io.tables.records import Table
from instructor_jax.model_options import BATCH_SIZE, DIMENSIONS, ModelOptions, model_name, require_count


def encode(
    inputs: Annotated[list[Path], Parameter(consume_multiple=True)],
    /,
    *,
    instruction: Annotated[str | None, Parameter(name=["--instruction", "-i"])] = None,
    target: OutputOptions,
    reading: InputOptions = InputOptions(),  # noqa: B008 - frozen
    model: ModelOptions = ModelOptions(),  # noqa: B008 - frozen
    vectors: VectorOptions = VectorOptions(),  # noqa: B008 - frozen
) -> None:
    """Embed files of texts; resumable, in constant memory, on one machine or many.

    Killed at any moment and started again with the same options it goes on, and
    the result is, byte for byte, that of a run that was never interrupted.

      instructor-jax encode texts.txt -o vectors.npy \\
          --model hkunlp/instructor-base \\
          --instruction "Represent the Wikipedia sentence for retrieval: "

      instructor-jax encode articles.csv.gz -o vectors.parquet -m ./my-model \\
          --text-column body --id-column url --instruction "Represent the news: "

      zcat logs.gz | instructor-jax encode - -o vectors.jsonl -m ./my-model

      instructor-jax encode 'pages/*.parquet' -o vectors --parts --shard 3/64

    A .txt file is one text a line; an empty line is an empty text, so that row n
    belongs to line n. Beside OUTPUT lie OUTPUT.json (how it was made), for .npy
    with ids also *.ids.txt, and until all is done the folder OUTPUT.parts. What
    is there under these names and not made by this command is never replaced
    without --overwrite, and a folder, a device or the input never at all. A
    corpus of BEIR (columns _id, title, text) is read as BEIR reads it: each title
    joined before its text by a blank; --no-title leaves the titles out. Of
    several inputs the rows follow one another, files of a folder or a pattern by
    name. With --shard a process makes its share of the parts only; when all are
    made, the same command without --shard checks and joins them.

    Args:
        inputs: .txt, .jsonl, .csv, .tsv or .parquet, the first four also with .gz; folders of such files; patterns in
            quotation marks; data sets on disk (`save_to_disk`); "-" alone reads standard input.
        instruction: Instruction for all texts, as the model was trained with: "Represent the ... for ...: ".
        target: See OutputOptions.
        reading: See InputOptions.
        model: See ModelOptions.
        vectors: See VectorOptions.
    """
    format = vector_format(target.output, as_folder=target.parts)
    shard = None if target.shard is None else shard_named(target.shard)
    if instruction is not None and reading.instruction_column is not None:
        raise ValueError("--instruction and --instruction-column exclude each other; give one of them")
    require_count("--batch-size", vectors.batch_size, BATCH_SIZE)
    require_count("--truncate-dim", vectors.truncate_dim, DIMENSIONS)
    files = input_files(inputs)
    _check_output(files, target.output, Path(model_name(model)), format)
    with reading.open_all(files) as table:
        columns = text_columns(table, reading, own_instructions=instruction is None)
        options = deciding_options(instruction, target.part_size, reading, columns.title, model, vectors)
        job = Job(files, table, reading, instruction, target, format, options, model, vectors)
        if shard is None:
            _encode_all(job, columns.described() if columns.title or columns.left_out else "")
        else:
            _encode_share(job, shard)


@dataclasses.dataclass(frozen=True)
class Job:
    """What is to be encoded, how, and where to: the options of the command and what was opened for them."""

    files: list[Path]
    table: Table
    reading: InputOptions
    instruction: str | None
    target: OutputOptions
    format: VectorFormat
    options: dict[str, Any]
    model: ModelOptions
    vectors: VectorOptions

    @property
    def own_instructions(self) -> bool:
        """Whether a column of instructions is taken by its name."""
        return self.instruction is None

    def store(self, *, shared: bool = False) -> PartStore:
        """The parts of the output."""
        target = self.target
        return PartStore(target.output, self.format, self.options, overwrite=target.overwrite, shared=shared)

    def encoder(self, store: PartStore) -> PartEncoder:
        """What makes vectors of blocks."""
        return PartEncoder(store.folder, self.table, self.model, self.vectors, self.instruction)

    def is_made(self) -> bool:
        """Whether the output is there, and nothing of an unfinished run."""
        target = self.target
        made = target.output.is_dir() if self.format.as_folder else target.output.is_file()
        return made and not target.overwrite and not parts_folder(target.output).exists()


def _encode_all(job: Job, text: str) -> None:
    """Encodes what is missing, checks every part against its rows, and joins them."""
    output = job.target.output
    rows = read_texts(job.table, job.reading, own_instructions=job.own_instructions)
    blocks = read_ahead(text_blocks(rows, job.target.part_size))
    if job.is_made():
        _require_made_from(output, job.options, blocks)
        return
    first = next(blocks, None)  # before the model is loaded: a wrong column is then told at once
    if first is None:
        raise ValueError(f"{job.table.name}: holds no rows")
    started = time.perf_counter()
    with job.store() as store:
        kept = store.rows
        count = encode_all(store, job.encoder(store), job.table, itertools.chain([first], blocks))
        summary = join_parts(store, count)
    told = {"input": job.table.name, "text": text}
    told["instruction"] = "one for each text" if first.instructions else json_text(job.instruction or "")
    _report(output, summary, told, kept, time.perf_counter() - started)


def _encode_share(job: Job, shard: Shard) -> None:
    """Encodes this process's share of the parts."""
    output, size = job.target.output, job.target.part_size
    if job.is_made():
        say(f"{output}: complete already; --shard {shard.index}/{shard.count} has nothing to do")
        return
    started = time.perf_counter()
    with job.store(shared=True) as store:
        index = part_index(store.folder, job.files, job.table, size)
        parts = shard.share(len(index.places))
        rows = min(parts.stop * size, index.rows) - parts.start * size if parts else 0
        reader = PartReader(job.table, job.reading, index, size, own_instructions=job.own_instructions)
        encoder = job.encoder(store)
        made = make_share(parts, rows, store, lambda part: make_part(part, reader, encoder, store))
        done = store.parts_there()
    seconds = time.perf_counter() - started
    say(f"shard        {shard.index} of {shard.count}: {len(parts):,} of {len(index.places):,} parts, {rows:,} rows")
    say(f"made         {made:,} rows in {seconds:,.1f} s, {made / seconds:,.0f} rows/s")
    rest = "the same command without --shard joins them" if done == len(index.places) else "others are still to come"
    say(f"parts        {done:,} of {len(index.places):,} are made; {rest}")


def _check_output(inputs: Sequence[Path], output: Path, model: Path, format: VectorFormat) -> None:
    """Refuse an output that would cost the user a file; before anything is read or made.

    What exists and is not ours is refused by `PartStore`, once it is known that the output is not complete already.
    """
    if not format.as_folder:
        require_plain_file(output)
    # Which of them may be replaced is asked later: here only that none is an input.
    claims = output_claims(output, ids_beside=not format.holds_ids, as_folder=format.as_folder)
    claims = [Claim(claim.path, lambda path: True) for claim in claims]
    check_claims(claims, inputs=[*inputs, model], overwrite=True, option="--overwrite")
    for read in inputs:
        if read.is_dir() and same_or_inside(output.parent, read):
            raise ValueError(f"{output} would be written into {read}, which is read; name another output")


def _require_made_from(output: Path, options: dict[str, Any], blocks: Iterator[TextBlock]) -> None:
    """Accept a finished output that this very command would make again: a run may be killed just after its end."""
    summary = read_summary(output)
    if summary is None:
        raise ValueError(f"{output} exists, and nothing tells how it was made; give --overwrite to replace it")
    if differences := option_differences(summary["options"], options):
        raise ValueError(f"{output} exists, made with other options ({differences}); give --overwrite to replace it")
    digests, of_part = [], []
    for block in blocks:
        of_part.append(block.digest())
        if block.ends_part:
            digests.append(part_digest(of_part))
            of_part = []
    if combined_digest(digests) != summary["input"]:
        raise ValueError(f"{output} exists, made from another input; give --overwrite to replace it")
    if output.is_dir():
        tidy_output_folder(output)
    say(f"{output}: complete already, from the same input with the same options (--overwrite makes it again)")


def _report(output: Path, summary: dict[str, Any], told: dict[str, str], kept: int, seconds: float) -> None:
    """Prints what was done: what is told of the input, and what the summary holds."""
    rows, options = summary["rows"], summary["options"]
    speed = f", {(rows - kept) / seconds:,.0f} rows/s" if rows > kept else ""
    lines = {
        "input": told["input"],
        "text": told["text"],
        "output": ", ".join(str(path) for path in _made(output, summary)),
        "model": f"{options['model']} ({options['dtype']})",
        "instruction": told["instruction"],
        "rows": f"{rows:,}" + (f" ({kept:,} of them from an earlier run)" if kept else ""),
        "time": f"{seconds:,.1f} s{speed}",
        "tokens": f"{summary['tokens']:,}",
        "truncated": f"{summary['truncated']:,} texts longer than the model's limit",
    }
    for name, value in lines.items():
        if value:
            say(f"{name:<12} {one_line(value)}")


def _made(output: Path, summary: dict[str, Any]) -> list[Path]:
    return [output, *([ids_path(output)] if summary["ids"] else []), summary_path(output)]
