"""From finished parts to the output: one file with its summary beside it, or the parts themselves with a manifest."""

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from instructor_jax.commands.encode.lance_files import remove_lance
from instructor_jax.commands.encode.output_files import (
    LAYOUT,
    MANIFEST,
    coming_folder,
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
    return joined_here(store, records)


def joined_here(store: PartStore, records: Sequence[PartRecord]) -> dict[str, Any]:
    """Makes the output of parts that all lie in the folder of this machine; see `join_parts`."""
    parts = len(records)
    names = [store.path(index, ".ids.txt") for index in range(parts)]
    ids = ids_path(store.output) if names[0].exists() else None
    summary = summary_of(store, records, ids and ids.name)
    if store.format.commit is not None:
        return _make_dataset(store, records, summary)
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
    _leave_parts(store)
    return summary


def _leave_parts(store: PartStore) -> None:
    # All at once: half a folder would be taken for an unfinished run.
    os.replace(store.folder, leaving_folder(store.output))
    remove_parts_folder(leaving_folder(store.output))


def _make_dataset(store: PartStore, records: Sequence[PartRecord], summary: dict[str, Any]) -> dict[str, Any]:
    """Makes a dataset of the parts beside the output, which then gets its name in one step; no row is copied."""
    coming, paths = coming_folder(store.output), [store.path(n, store.format.suffix) for n in range(len(records))]
    remove_lance(coming)
    (coming / "data").mkdir(parents=True)
    for path in paths:
        try:
            os.link(path, coming / "data" / path.name)
        except OSError:  # a file system without links
            shutil.copyfile(path, coming / "data" / path.name)
    assert store.format.commit is not None
    described = described_parts(store, records)
    try:
        store.format.commit(coming, [(part["file"], part["rows"], part["bytes"]) for part in described], paths[0])
    except ValueError as error:
        raise damaged_run(store.place, str(error)) from error
    summary = {**summary, "parts": described}
    write_json(summary_path(store.output), summary)  # before the dataset, which is ours by it
    remove_lance(store.output)  # an older one of ours, which may be replaced
    os.replace(coming, store.output)
    _leave_parts(store)
    return summary


def _publish(store: PartStore, records: Sequence[PartRecord], summary: dict[str, Any]) -> dict[str, Any]:
    """Gives the folder of parts the output's name, in one step, with a manifest that names its files."""
    summary = {**summary, "parts": described_parts(store, records)}
    write_json(store.folder / MANIFEST, summary)
    if store.output.is_dir():  # an older one of ours, which may be replaced
        remove_parts_folder(store.output)
    os.replace(store.folder, store.output)
    tidy_output_folder(store.output)
    return summary


def summary_of(store: PartStore, records: Sequence[PartRecord], ids: str | None) -> dict[str, Any]:
    """What the summary of an output says; `ids` is the name of its file of ids."""
    return {
        "layout": LAYOUT,
        "options": store.options,
        "rows": sum(record.rows for record in records),
        "tokens": sum(record.tokens for record in records),
        "truncated": sum(record.truncated for record in records),
        "input": combined_digest([record.input for record in records]),
        "ids": ids,
    }


def described_parts(store: PartStore, records: Sequence[PartRecord]) -> list[dict[str, Any]]:
    """What the manifest of a folder says of each of its files."""
    first, described = 0, []
    for index, record in enumerate(records):
        name = store.path(index, store.format.suffix).name
        described.append({"file": name, "first_row": first, "rows": record.rows, "bytes": record.bytes})
        first += record.rows
    return described


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
