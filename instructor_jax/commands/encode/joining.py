"""From finished parts to the output: one file with its summary beside it, or the parts themselves with a manifest."""

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from instructor_jax.commands.encode.output_files import (
    LAYOUT,
    MANIFEST,
    identity,
    ids_are_ours,
    ids_path,
    leaving_folder,
    remove_parts_folder,
    summary_path,
    tidy_output_folder,
    written_files,
)
from instructor_jax.commands.encode.part_records import PartRecord, combined_digest, damaged_run, write_json
from instructor_jax.commands.encode.parts import PartStore
from instructor_jax.commands.encode.vector_files import join_bytes
from instructor_jax.io.atomic import whole_file

logger: logging.Logger = logging.getLogger(__name__)


def join_parts(store: PartStore, parts: int) -> dict[str, Any]:
    """Makes the output of the parts, writes its summary and removes what is needed no longer.

    Args:
        store: the parts.
        parts: how many parts the input has.

    Returns:
        the summary, as `read_summary` gives it later.

    Raises:
        ValueError: there are more parts than the input has, a part is damaged, or a file that was not there at the
            start is in the way.
    """
    records = store.joined(parts)
    names = [store.path(index, ".ids.txt") for index in range(parts)]
    ids = ids_path(store.output) if names[0].exists() else None
    summary = {
        "layout": LAYOUT,
        "options": store.options,
        "rows": sum(record.rows for record in records),
        "tokens": sum(record.tokens for record in records),
        "truncated": sum(record.truncated for record in records),
        "input": combined_digest([record.input for record in records]),
        "ids": ids and ids.name,
    }
    if store.format.as_folder:
        return _publish(store, records, summary)
    if ids is not None:
        with _beside_parts(store, ids) as beside:
            join_bytes(names, beside)
    elif not store.format.holds_ids:
        _remove_ids_of_before(store.output)
    with _beside_parts(store, store.output) as beside:
        try:
            store.format.join([store.path(index, store.format.suffix) for index in range(parts)], beside)
        except ValueError as error:
            raise damaged_run(store.folder, str(error)) from error
    write_json(summary_path(store.output), summary)
    # All at once: half a folder would be taken for an unfinished run.
    os.replace(store.folder, leaving_folder(store.output))
    remove_parts_folder(leaving_folder(store.output))
    return summary


def _publish(store: PartStore, records: Sequence[PartRecord], summary: dict[str, Any]) -> dict[str, Any]:
    """Gives the folder of parts the output's name, in one step, with a manifest that names its files."""
    first, described = 0, []
    for index, record in enumerate(records):
        name = store.path(index, store.format.suffix).name
        described.append({"file": name, "first_row": first, "rows": record.rows, "bytes": record.bytes})
        first += record.rows
    summary = {**summary, "parts": described}
    write_json(store.folder / MANIFEST, summary)
    if store.output.is_dir():  # an older one of ours, which may be replaced
        remove_parts_folder(store.output)
    os.replace(store.folder, store.output)
    tidy_output_folder(store.output)
    return summary


@contextlib.contextmanager
def _beside_parts(store: PartStore, path: Path) -> Iterator[Path]:
    """Like `whole_file`; what is written is noted among the parts before it gets its name."""
    with whole_file(path) as beside:
        yield beside
        written = written_files(store.output)
        written[path.name] = [*written.get(path.name, []), identity(beside)]
        write_json(store.folder / "written.json", written)


def _remove_ids_of_before(output: Path) -> None:
    path = ids_path(output)
    if not os.path.lexists(path):
        return
    if ids_are_ours(output):
        path.unlink()
    else:  # only with --overwrite, but there is nothing to replace it by
        logger.warning("%s was not made by this command and stays; it does not belong to %s", path, output)
