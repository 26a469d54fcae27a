"""The stored mixture: a tensorflow-datasets builder `medi` in ArrayRecord files, read without TensorFlow.

Rows lie task after task, tasks in the order of their names; the metadata holds each task's range, its instructions,
licence and counts, and a fingerprint of all rows. `tfds.builder_from_directory(folder)` opens the folder too, and where
it is called `.../medi/1.0.0`, so does `tfds.builder("medi", data_dir=...)`; `MediStore` reads it faster.
"""

import dataclasses
import functools
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..examples import Example
from .staging import Staging, TaskEntry, array_record_writer
from .stored_rows import features, from_bytes, tensorflow_datasets

VERSION = "1.0.0"  # of the format of a row and of the metadata
SHARD_BYTES = 256 * 2**20  # size of a file, before compression
_SPLIT = "train"


def write_store(
    folder: Path,
    staging: Staging,
    tasks: Iterable[str] | None = None,
    about: Mapping[str, Any] | None = None,
    replace: bool = False,
) -> None:
    """Writes finished tasks as a store. The folder appears whole or not at all; the staged tasks stay as they are.

    Args:
        folder: the builder's folder, e.g. `data/medi`.
        staging: the finished tasks.
        tasks: names of those to take; None takes all.
        about: what the metadata says about the whole mixture, e.g. the settings it was made with.
        replace: whether a store that is there may be replaced.

    Raises:
        FileExistsError: the folder is there and must not be replaced, or is not a store.
        ValueError: no tasks, or one that is not finished.
    """
    entries = _chosen(staging, tasks)
    refuse_existing(folder, replace)
    beside = folder.with_name(f"{folder.name}.writing")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    lengths, size = _write_shards(beside, entries, staging)
    _dataset_info(beside, entries, lengths, size, about or {}).write_to_directory(beside)
    old = folder.with_name(f"{folder.name}.old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
    os.replace(beside, folder)
    shutil.rmtree(old, ignore_errors=True)


def refuse_existing(folder: Path, replace: bool) -> None:
    """FileExistsError if a store cannot be written to the folder."""
    if (folder / "dataset_info.json").is_file():
        if not replace:
            raise FileExistsError(f"{folder} holds a mixture already; give another place, or --replace it.")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists and is not a mixture; give another place.")


class MediStore:
    """Random access to the rows of a store. May be pickled (workers reopen the files) and read from several threads."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Opens a store.

        Raises:
            FileNotFoundError: there is no store in the folder.
            ValueError: it is another data set, or a version that this code does not know.
        """
        self.folder = Path(folder)
        if not (self.folder / "dataset_info.json").is_file():
            raise FileNotFoundError(
                f"{self.folder} holds no mixture; make one with 'instructor-jax medi build' or 'medi import'."
            )
        info = self._builder.info
        self.metadata: dict[str, Any] = dict(info.metadata or {})
        if info.name != "medi" or "ranges" not in self.metadata:
            raise ValueError(
                f"{self.folder} holds the data set {info.name!r}, not a mixture written by 'instructor-jax medi'."
            )
        if str(info.version) != VERSION:
            raise ValueError(
                f"{self.folder} has version {info.version}, but this program reads {VERSION}; build it again."
            )

    @property
    def fingerprint(self) -> str:
        """Hash of every row: equal for stores of equal content."""
        return self.metadata["fingerprint"]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in the order of their rows."""
        return tuple(self.metadata["ranges"])

    def rows(self, task: str) -> range:
        """The rows of a task.

        Raises:
            ValueError: there is no such task.
        """
        if task not in self.metadata["ranges"]:
            raise ValueError(f"task {task!r} is not in {self.folder}; 'instructor-jax medi inspect' lists its tasks.")
        return range(*self.metadata["ranges"][task])

    def entry(self, task: str) -> dict[str, Any]:
        """What is known about a task: rows, digest, instructions, negatives, about (licence, source, counts)."""
        self.rows(task)
        return self.metadata["tasks"][task]

    def __len__(self) -> int:
        return len(self._source)

    def read(self, rows: Sequence[int]) -> list[Example]:
        """The examples of the given rows, in the order asked for.

        Raises:
            IndexError: a row is not in [0, number of rows).
        """
        rows = [int(row) for row in rows]
        if rows and not (min(rows) >= 0 and max(rows) < len(self)):
            raise IndexError(f"rows {min(rows)} to {max(rows)} must be in [0, {len(self)}).")
        return [from_bytes(stored) for stored in self._source.__getitems__(rows)]

    def stream(self, rows: range | None = None, at_once: int = 1024) -> Iterator[Example]:
        """The examples of a range of rows (None: of all), a thousand at a time in memory."""
        rows = range(len(self)) if rows is None else rows
        for start in range(0, len(rows), at_once):
            yield from self.read(rows[start : start + at_once])

    def __reduce__(self) -> tuple[Any, ...]:
        return MediStore, (self.folder,)

    @functools.cached_property
    def _builder(self) -> Any:
        return tensorflow_datasets().builder_from_directory(self.folder)

    @functools.cached_property
    def _source(self) -> Any:
        raw = tensorflow_datasets().decode.DeserializeMethod.RAW_BYTES
        return self._builder.as_data_source(split=_SPLIT, deserialize_method=raw)


def _chosen(staging: Staging, tasks: Iterable[str] | None) -> list[TaskEntry]:
    finished = staging.finished()
    names = sorted(finished if tasks is None else set(tasks))
    if absent := [name for name in names if name not in finished]:
        raise ValueError(f"tasks {absent[:5]} are not finished in {staging.folder}.")
    if not names:
        raise ValueError(f"{staging.folder} holds no finished task; a store needs at least one.")
    return [finished[name] for name in names]


def _write_shards(folder: Path, entries: Sequence[TaskEntry], staging: Staging) -> tuple[list[int], int]:
    """Rows of each file, and bytes of all rows. Files are named when their number is known."""
    files: list[Path] = []
    lengths: list[int] = []
    size = room = 0
    writer: Any = None
    with tqdm(total=sum(entry.rows for entry in entries), desc="writing", unit="row", disable=None) as bar:
        for entry in entries:
            for stored in staging.stored(entry):
                if writer is None or room < len(stored):
                    if writer is not None:
                        writer.close()
                    files.append(folder / f"shard-{len(files)}")
                    lengths.append(0)
                    writer, room = array_record_writer(files[-1]), SHARD_BYTES
                writer.write(stored)
                lengths[-1] += 1
                size, room = size + len(stored), room - len(stored)
                bar.update()
    if writer is not None:
        writer.close()
    for i, file in enumerate(files):
        os.replace(file, folder / f"medi-{_SPLIT}.array_record-{i:05}-of-{len(files):05}")
    return lengths, size


def _dataset_info(
    folder: Path, entries: Sequence[TaskEntry], lengths: list[int], size: int, about: Mapping[str, Any]
) -> Any:
    """The info that tensorflow-datasets reads; built directly, because its usual way looks for the builder's code."""
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
        metadata=tfds.core.MetadataDict(_metadata(entries, about)),
    )
    info.set_file_format(tfds.core.FileFormat.ARRAY_RECORD)
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder, dataset_name="medi", split=_SPLIT, filetype_suffix="array_record"
    )
    split = tfds.core.SplitInfo(name=_SPLIT, shard_lengths=lengths, num_bytes=size, filename_template=template)
    info.set_splits(tfds.core.splits.SplitDict([split]))
    return info


def _metadata(entries: Sequence[TaskEntry], about: Mapping[str, Any]) -> dict[str, Any]:
    ranges, tasks, start = {}, {}, 0
    digest = hashlib.sha256()
    for entry in entries:
        ranges[entry.name] = [start, start + entry.rows]
        start += entry.rows
        told = dataclasses.asdict(entry)
        tasks[entry.name] = {name: told[name] for name in ("rows", "digest", "instructions", "negatives", "about")}
        digest.update(f"{entry.name}\0{entry.digest}\n".encode())
    return {"fingerprint": digest.hexdigest()[:16], "about": dict(about), "ranges": ranges, "tasks": tasks}
