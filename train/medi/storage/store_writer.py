"""Writes finished tasks as a store, a tensorflow-datasets builder, without TensorFlow.

The folder appears whole or not at all, and what is replaced was checked to be a store before anything is written.
"""

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from instructor_jax.io.atomic import TEMPORARY
from instructor_jax.io.json_files import read_json
from instructor_jax.io.ownership import refuse_strangers, remove_own
from instructor_jax.progress import progress

from .array_records import ArrayRecordWriter
from .metadata import metadata_of
from .staging import Staging
from .store import FILE, INFO, METADATA, SPLIT, VERSION
from .stored_rows import features, tensorflow_datasets
from .task_entry import TaskEntry

SHARD_BYTES = 256 * 2**20  # size of a file, before compression
_OURS = re.compile(rf"{FILE}|shard-\d+|{INFO}|{METADATA}|features\.json|LICENSE|{TEMPORARY}")


@dataclasses.dataclass(frozen=True)
class NewStore:
    """A store that is about to be written.

    Attributes:
        folder: Folder of the store.
        staging: Folder of its tasks on their way.
        replace: Whether a store that is there may be replaced.
    """

    folder: Path
    staging: Staging
    replace: bool

    @staticmethod
    def beside(folder: Path, replace: bool) -> "NewStore":
        """Opens the folder for tasks on their way that lies beside a store."""
        return NewStore(folder, Staging(folder.with_name(f"{folder.name}.partial")), replace)

    def write(self, tasks: Sequence[str], about: Mapping[str, Any]) -> None:
        """Writes the store of these finished tasks, and removes what was staged."""
        write_store(self.folder, self.staging, tasks, about, self.replace)
        self.staging.remove()


def write_store(
    folder: Path,
    staging: Staging,
    tasks: Iterable[str] | None = None,
    about: Mapping[str, Any] | None = None,
    replace: bool = False,
) -> None:
    """Writes finished tasks as a store. The folder appears whole or not at all; the staged tasks stay as they are.

    Args:
        folder: Folder of the builder, e.g. `data/medi`.
        staging: Folder of the finished tasks.
        tasks: Names of the tasks to take; None takes all.
        about: What the metadata says about the whole mixture, e.g. the settings it was made with.
        replace: Whether a store that is there may be replaced.

    Raises:
        FileExistsError: The folder is there and must not be replaced, or is not a store.
        ValueError: No tasks, or one that is not finished.
    """
    entries = _chosen(staging, tasks)
    refuse_existing(folder, replace)
    beside, old = _beside(folder)
    remove_own(beside, _OURS)
    beside.mkdir(parents=True)
    lengths, size = _write_shards(beside, entries, staging)
    _dataset_info(beside, entries, lengths, size, about or {}).write_to_directory(beside)
    if folder.exists():
        remove_own(old, _OURS)
        os.replace(folder, old)
    os.replace(beside, folder)
    remove_own(old, _OURS)


def refuse_existing(folder: Path, replace: bool) -> None:
    """Refuses a folder that a store cannot be written to, or beside which something lies in the way.

    Raises:
        FileExistsError: A store is there that may not be replaced, or something that is none.
        ValueError: A folder that would be used on the way is somebody else's.
    """
    if (folder / INFO).is_file():
        if not replace:
            raise FileExistsError(f"{folder} holds a mixture already; give another place, or --replace it.")
        others = [path.name for path in folder.iterdir() if not (_OURS.fullmatch(path.name) and path.is_file())]
        if others or not _says_medi(folder / INFO):
            found = f"also holds {others[0]!r}" if others else "is another data set"
            raise FileExistsError(f"{folder} {found}, which --replace would lose; give another place.")
    elif os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists and is not a mixture; give another place.")
    for path in _beside(folder):
        refuse_strangers(path, _OURS, "a place on the way to the mixture")


def _beside(folder: Path) -> tuple[Path, Path]:
    """Returns where a store is written before it takes its place, and where the one before it goes."""
    return folder.with_name(f"{folder.name}.writing"), folder.with_name(f"{folder.name}.old")


def _says_medi(path: Path) -> bool:
    try:
        return read_json(path).get("name") == "medi"
    except (ValueError, OSError):
        return False


def _chosen(staging: Staging, tasks: Iterable[str] | None) -> list[TaskEntry]:
    finished = staging.finished()
    names = sorted(finished if tasks is None else set(tasks))
    if absent := [name for name in names if name not in finished]:
        raise ValueError(f"tasks {absent[:5]} are not finished in {staging.folder}.")
    if not names:
        raise ValueError(f"{staging.folder} holds no finished task; a store needs at least one.")
    return [finished[name] for name in names]


def _write_shards(folder: Path, entries: Sequence[TaskEntry], staging: Staging) -> tuple[list[int], int]:
    """Writes the files of a store, named when all are written; returns examples of each file, and bytes of all."""
    files: list[Path] = []
    lengths: list[int] = []
    size = room = 0
    writer: Any = None
    with progress("writing", sum(entry.rows for entry in entries), "row") as bar:
        for entry in entries:
            for stored in staging.stored(entry):
                if writer is None or room < len(stored):
                    if writer is not None:
                        writer.close()
                    files.append(folder / f"shard-{len(files)}")
                    lengths.append(0)
                    writer, room = ArrayRecordWriter(files[-1]), SHARD_BYTES
                writer.write(stored)
                lengths[-1] += 1
                size, room = size + len(stored), room - len(stored)
                bar.update()
    if writer is not None:
        writer.close()
    for i, file in enumerate(files):
        os.replace(file, folder / f"medi-{SPLIT}.array_record-{i:05}-of-{len(files):05}")
    return lengths, size


def _dataset_info(
    folder: Path, entries: Sequence[TaskEntry], lengths: list[int], size: int, about: Mapping[str, Any]
) -> Any:
    """Builds the info that tensorflow-datasets reads directly, because its usual way looks for the builder's code."""
    tfds = tensorflow_datasets()
    identity = tfds.core.dataset_info.DatasetIdentity(
        name="medi", version=tfds.core.Version(VERSION), data_dir=os.fspath(folder), module_name="medi"
    )
    info = tfds.core.DatasetInfo(
        builder=identity,
        description="Multitask mixture of (instruction, text) pairs for instruction-following text embeddings.",
        features=features(),
        license="per task, see metadata.json",
        disable_shuffling=True,
        metadata=tfds.core.MetadataDict(metadata_of(entries, about)),
    )
    info.set_file_format(tfds.core.FileFormat.ARRAY_RECORD)
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder, dataset_name="medi", split=SPLIT, filetype_suffix="array_record"
    )
    split = tfds.core.SplitInfo(name=SPLIT, shard_lengths=lengths, num_bytes=size, filename_template=template)
    info.set_splits(tfds.core.splits.SplitDict([split]))
    return info
