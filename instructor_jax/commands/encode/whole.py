"""A whole job in one process: what is missing is encoded, every part is checked against its rows, all are joined."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructor_jax.commands.console import say
from instructor_jax.commands.encode.job import Job, OpenedJob
from instructor_jax.commands.encode.joining import join_parts
from instructor_jax.commands.encode.output_files import ids_path, read_summary, summary_path, tidy_output_folder
from instructor_jax.commands.encode.part_records import combined_digest, option_differences, part_digest
from instructor_jax.commands.encode.run import encode_all
from instructor_jax.commands.encode.stores.joining import join_stored
from instructor_jax.commands.encode.stores.output import StoredOutput
from instructor_jax.commands.encode.stores.parts import StoredParts
from instructor_jax.commands.read_ahead import read_ahead
from instructor_jax.commands.text_blocks import TextBlock, text_blocks
from instructor_jax.commands.text_files import read_texts
from instructor_jax.io.printable import json_text, one_line


def encode_whole(opened: OpenedJob) -> None:
    """Makes the output of a job, whatever of it is there already.

    Raises:
        ValueError: the output is there and was made otherwise, or a part was made from other rows; see `encode_all`.
    """
    job, columns = opened.job, opened.columns
    rows = read_texts(opened.table, job.reading, own_instructions=job.own_instructions)
    blocks = read_ahead(text_blocks(rows, job.target.part_size))
    if job.is_made():
        _require_made_from(opened, blocks)
        return
    first = next(blocks, None)  # before the model is loaded: a wrong column is then told at once
    if first is None:
        raise ValueError(f"{opened.table.name}: holds no rows")
    started = time.perf_counter()
    with opened.store() as store:
        kept = store.rows
        count = encode_all(store, opened.encoder(store), opened.table, itertools.chain([first], blocks))
        summary = join_stored(store, count) if isinstance(store, StoredParts) else join_parts(store, count)
    told = {"input": opened.table.name, "text": columns.described() if columns.title or columns.left_out else ""}
    told["instruction"] = "one for each text" if first.instructions else json_text(job.instruction or "")
    _report(opened, summary, told, kept, time.perf_counter() - started)


def _require_made_from(opened: OpenedJob, blocks: Iterator[TextBlock]) -> None:
    """Accept a finished output that this very command would make again: a run may be killed just after its end."""
    output = opened.job.target.output
    stored = None if isinstance(output, Path) else StoredOutput(output, opened.job.format)
    summary = stored.read_summary() if stored else read_summary(Path(output))
    if summary is None and isinstance(output, Path) and output.is_dir():  # which is never replaced
        raise ValueError(f"{output} exists, and nothing tells that this command made it; give another --output")
    if summary is None:
        raise ValueError(f"{output} exists, and nothing tells how it was made; give --overwrite to replace it")
    if differences := option_differences(summary["options"], opened.options):
        raise ValueError(f"{output} exists, made with other options ({differences}); give --overwrite to replace it")
    digests, of_part = [], []
    for block in blocks:
        of_part.append(block.digest())
        if block.ends_part:
            digests.append(part_digest(of_part))
            of_part = []
    if combined_digest(digests) != summary["input"]:
        raise ValueError(f"{output} exists, made from another input; give --overwrite to replace it")
    if stored:
        stored.remove_state()  # what a late process put there
    elif Path(output).is_dir():
        tidy_output_folder(Path(output))
    say(f"{output}: complete already, from the same input with the same options (--overwrite makes it again)")


def _report(opened: OpenedJob, summary: dict[str, Any], told: dict[str, str], kept: int, seconds: float) -> None:
    """Prints what was done: what is told of the input, and what the summary holds."""
    rows, options = summary["rows"], summary["options"]
    speed = f", {(rows - kept) / seconds:,.0f} rows/s" if rows > kept else ""
    lines = {
        "input": told["input"],
        "text": told["text"],
        "output": ", ".join(_made(opened.job, summary)),
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


def _made(job: Job, summary: dict[str, Any]) -> list[str]:
    """What was written: the output, its ids, its summary."""
    output = job.target.output
    if isinstance(output, Path):
        ids, told = ids_path(output), summary_path(output)
    else:
        stored = StoredOutput(output, job.format)
        ids, told = stored.ids_url, stored.summary_url
    return [str(output), *([str(ids)] if summary["ids"] else []), str(told)]
