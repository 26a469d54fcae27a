"""`instructor-jax encode`: a file of texts to a file of vectors, in constant memory, resumable.

The input is cut into parts of a fixed number of rows, and every part is encoded by one call of its own. The last bits
of a vector depend on the texts it is packed with, and those are then the same in every run: a run that was killed and
started again writes the bytes of one that was not.
"""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from instructor_jax.commands.console import say
from instructor_jax.commands.encode.options import OutputOptions, VectorOptions, deciding_options
from instructor_jax.commands.encode.output_files import (
    ids_path,
    output_claims,
    parts_folder,
    read_summary,
    summary_path,
)
from instructor_jax.commands.encode.part_records import combined_digest, option_differences
from instructor_jax.commands.encode.parts import PartStore
from instructor_jax.commands.encode.run import EncodeRun
from instructor_jax.commands.encode.vector_files import vector_format
from instructor_jax.commands.read_ahead import read_ahead
from instructor_jax.commands.table_options import InputOptions
from instructor_jax.commands.text_blocks import TextBlock, text_blocks
from instructor_jax.commands.text_files import read_texts, text_columns
from instructor_jax.io.atomic import require_plain_file
from instructor_jax.io.ownership import Claim, check_claims, same_or_inside
from instructor_jax.io.printable import json_text, one_line
from instructor_jax.model_options import BATCH_SIZE, DIMENSIONS, ModelOptions, model_name, require_count


def encode(
    input: Path,
    /,
    *,
    instruction: Annotated[str | None, Parameter(name=["--instruction", "-i"])] = None,
    target: OutputOptions,
    reading: InputOptions = InputOptions(),  # noqa: B008 - frozen
    model: ModelOptions = ModelOptions(),  # noqa: B008 - frozen
    vectors: VectorOptions = VectorOptions(),  # noqa: B008 - frozen
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
        instruction: Instruction for all texts, as the model was trained with: "Represent the ... for ...: ".
        target: See OutputOptions.
        reading: See InputOptions.
        model: See ModelOptions.
        vectors: See VectorOptions.
    """
    output, overwrite = target.output, target.overwrite
    format = vector_format(output)
    if instruction is not None and reading.instruction_column is not None:
        raise ValueError("--instruction and --instruction-column exclude each other; give one of them")
    require_count("--batch-size", vectors.batch_size, BATCH_SIZE)
    require_count("--truncate-dim", vectors.truncate_dim, DIMENSIONS)
    _check_output(input, output, Path(model_name(model)), ids_beside=not format.holds_ids)
    with reading.open(input) as table:
        columns = text_columns(table, reading, own_instructions=instruction is None)
        options = deciding_options(instruction, target.part_size, reading, columns, model, vectors)
        rows = read_texts(table, reading, own_instructions=instruction is None)
        blocks = read_ahead(text_blocks(rows, target.part_size))
        if output.is_file() and not overwrite and not parts_folder(output).exists():
            return _require_made_from(output, options, blocks)
        first = next(blocks, None)  # before the model is loaded: a wrong column is then told at once
        if first is None:
            raise ValueError(f"{table.name}: holds no rows")
        started = time.perf_counter()
        with PartStore(output, format, options, overwrite=overwrite) as store:
            kept = store.rows
            run = EncodeRun(store, table, model, vectors, instruction)
            summary = store.finish(run.encode_all(itertools.chain([first], blocks)))
    told = {"input": table.name, "text": columns.described() if columns.title or columns.left_out else ""}
    told["instruction"] = "one for each text" if first.instructions else json_text(instruction or "")
    _report(target.output, summary, told, kept, time.perf_counter() - started)
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
