"""From finished parts in a store to the output there: a folder by copies within the store, a file by way of here.

The summary or the manifest comes last. Whoever finds it finds a whole output.
"""

import tempfile
from pathlib import Path
from typing import Any

from instructor_jax.commands.encode.joining import described_parts, joined_here, summary_of
from instructor_jax.commands.encode.lance_files import lance_names
from instructor_jax.commands.encode.output_files import ids_path, summary_path
from instructor_jax.commands.encode.part_records import PartRecord, write_json
from instructor_jax.commands.encode.stores.output import AT_ONCE, PUBLISHING
from instructor_jax.commands.encode.stores.parts import StoredParts
from instructor_jax.io.remote.folders import told


def join_stored(store: StoredParts, parts: int) -> dict[str, Any]:
    """Makes the output of the parts, writes its summary and removes what is needed no longer.

    Args:
        store: the parts.
        parts: how many parts the input has.

    Returns:
        the summary.

    Raises:
        ValueError: there are more parts than the input has, a part is damaged, or a file that was not there at the
            start is in the way.
        OSError: the store cannot be read or written.
    """
    records = store.joined(parts)
    with told(store.stored.url):
        store.stored.state.write(PUBLISHING, b"{}\n")  # what is found at the output's names is ours from here on
    summary = _copy_folder(store, records) if store.format.as_folder else _join_file(store, records)
    store.stored.remove_state()
    return summary


def _copy_folder(store: StoredParts, records: list[PartRecord]) -> dict[str, Any]:
    output, fs = store.stored, store.stored.folder.fs
    described = described_parts(store, records)
    summary = {**summary_of(store, records, None), "parts": described}
    names, inside = [part["file"] for part in described], "data/" if store.format.commit is not None else ""
    with told(output.url):
        if fs.exists(output.path(output.summary_url)):
            fs.rm_file(output.path(output.summary_url))
        kept = {f"{inside}{name}" for name in names}
        # of an older output, which is not whole from here on; a dataset's versions first
        left = sorted((name for name in output.folder.files() if name not in kept), key=_is_version, reverse=True)
        for name in left:
            output.folder.remove(name)
        for first in range(0, len(names), AT_ONCE):
            some = names[first : first + AT_ONCE]
            fs.copy([output.state.path(name) for name in some], [output.folder.path(inside + name) for name in some])
        if store.format.commit is not None:
            _put_dataset(store, described)
        _put_json(store, summary)
    return summary


def _put_dataset(store: StoredParts, described: list[dict[str, Any]]) -> None:
    """Makes the dataset's own files on this machine, which need none of the data but a sample, and puts them there."""
    assert store.format.commit is not None
    fs, folder = store.stored.folder.fs, store.stored.folder
    store.fetch_parts(1)
    store.format.commit(
        store.output,
        [(part["file"], part["rows"], part["bytes"]) for part in described],
        store.path(0, store.format.suffix),
    )
    # the version last of all, and a hint of it after it
    for name in sorted(lance_names(store.output), key=lambda name: (_is_version(name), name.endswith(".json"))):
        fs.put_file(str(store.output / name), folder.path(name))


def _is_version(name: str) -> bool:
    return name.startswith("_versions/")


def _join_file(store: StoredParts, records: list[PartRecord]) -> dict[str, Any]:
    output, fs = store.stored, store.stored.folder.fs
    store.fetch_parts(len(records))
    before = (output.read_summary() or {}).get("ids")
    summary = joined_here(store, records)
    with told(output.url):
        if summary["ids"]:
            fs.put_file(str(ids_path(store.output)), output.path(output.ids_url))
        elif before:
            fs.rm_file(output.path(output.ids_url))
        fs.put_file(str(store.output), output.path(output.url))
        fs.put_file(str(summary_path(store.output)), output.path(output.summary_url))
    return summary


def _put_json(store: StoredParts, summary: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory(prefix="instructor_jax.") as scratch:
        write_json(Path(scratch) / "summary.json", summary)
        store.stored.folder.fs.put_file(
            str(Path(scratch) / "summary.json"), store.stored.path(store.stored.summary_url)
        )
