"""The stored mixture: a tensorflow-datasets builder `medi` in ArrayRecord files, read without TensorFlow.

Rows lie task after task, tasks in the order of their names; the metadata holds each task's range, its instructions,
licence and counts, and a fingerprint of all rows. `tfds.builder_from_directory(folder)` opens the folder too, and where
it is called `.../medi/1.0.0`, so does `tfds.builder("medi", data_dir=...)`. `MediStore` reads the files itself: that is
faster, and tensorflow-datasets imports whatever Python module a folder's `features.json` names.
"""

import dataclasses
import functools
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from instructor_jax.io.bounds import INDEX_BYTES
from instructor_jax.io.json_files import Fields, read_json, shown_value
from instructor_jax.io.own_files import TEMPORARY, refuse_strangers, remove_own
from instructor_jax.io.printable import one_line

from ..data.examples import Example
from .staging import Staging, TaskEntry, array_record_data_source, array_record_writer
from .stored_rows import features, from_bytes, tensorflow_datasets

VERSION = "1.0.0"  # of the format of a row and of the metadata
SHARD_BYTES = 256 * 2**20  # size of a file, before compression
INFO, METADATA = "dataset_info.json", "metadata.json"
_SPLIT = "train"
_FILE = rf"medi-{_SPLIT}\.array_record-\d{{5}}-of-\d{{5}}"
_OURS = re.compile(rf"{_FILE}|shard-\d+|{INFO}|{METADATA}|features\.json|LICENSE|{TEMPORARY}")
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")  # becomes part of file names


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


class MediStore:
    """Random access to the rows of a store. May be pickled (workers reopen the files) and read from several threads."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Opens a store.

        Raises:
            FileNotFoundError: There is no store in the folder.
            ValueError: It is another data set, a version that this code does not know, or damaged.
        """
        self.folder = Path(folder)
        if not (self.folder / INFO).is_file():
            raise FileNotFoundError(
                f"{self.folder} holds no mixture; make one with 'instructor-jax medi build' or 'medi import'."
            )
        info = Fields(read_json(self.folder / INFO, limit=INDEX_BYTES), self.folder / INFO)
        path = self.folder / METADATA
        self.metadata: dict[str, Any] = read_json(path, limit=INDEX_BYTES) if path.is_file() else {}
        if info.any("name") != "medi" or "ranges" not in self.metadata:
            raise ValueError(
                f"{self.folder} holds the data set {shown_value(info.any('name'))}, not a mixture written by "
                "'instructor-jax medi'."
            )
        if info.any("version") != VERSION:
            raise ValueError(
                f"{self.folder} has version {info.any('version')}, but this program reads {VERSION}; build it again."
            )
        self._size = _checked_size(self.metadata, path)

    @property
    def fingerprint(self) -> str:
        """Returns a hash of every example; equal for stores of equal content."""
        return self.metadata["fingerprint"]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Returns names of the tasks, in the order of their rows."""
        return tuple(self.metadata["ranges"])

    def rows(self, task: str) -> range:
        """Returns the numbers of the examples of a task.

        Raises:
            ValueError: There is no such task.
        """
        if task not in self.metadata["ranges"]:
            raise ValueError(f"task {task!r} is not in {self.folder}; 'instructor-jax medi inspect' lists its tasks.")
        return range(*self.metadata["ranges"][task])

    def entry(self, task: str) -> dict[str, Any]:
        """Returns what is known of a task: rows, digest, instructions, negatives, about (licence, source, counts)."""
        self.rows(task)
        return self.metadata["tasks"][task]

    def __len__(self) -> int:
        return self._size

    def read(self, rows: Sequence[int]) -> list[Example]:
        """Returns the examples of the given numbers, in the order asked for.

        Raises:
            IndexError: A row is not in [0, number of rows).
            ValueError: The files are damaged.
        """
        rows = [int(row) for row in rows]
        if rows and not (min(rows) >= 0 and max(rows) < len(self)):
            raise IndexError(f"rows {min(rows)} to {max(rows)} must be in [0, {len(self)}).")
        if not rows:
            return []
        source = self._source
        try:
            return [from_bytes(stored) for stored in source.__getitems__(rows)]
        except Exception as error:  # whatever the libraries meet in damaged files
            raise self._damaged(f"{type(error).__name__}: {error}") from error

    def stream(self, rows: range | None = None, at_once: int = 1024) -> Iterator[Example]:
        """Yields the examples of a range of numbers (None: of all), a thousand at a time in memory."""
        rows = range(len(self)) if rows is None else rows
        for start in range(0, len(rows), at_once):
            yield from self.read(rows[start : start + at_once])

    def __reduce__(self) -> tuple[Any, ...]:
        return MediStore, (self.folder,)

    @functools.cached_property
    def _source(self) -> Any:
        files = sorted(path for path in self.folder.iterdir() if re.fullmatch(_FILE, path.name))
        if not files or not all(path.name.endswith(f"-of-{len(files):05}") for path in files):
            raise self._damaged(f"{len(files)} files of rows, others than their names say")
        try:
            source = array_record_data_source(files)
        except ImportError:
            raise
        except Exception as error:  # a file without rows, or of another kind
            raise self._damaged(f"{type(error).__name__}: {error}") from error
        if len(source) != self._size:
            raise self._damaged(f"its files hold {len(source)} rows of {self._size}")
        return source

    def _damaged(self, reason: str) -> ValueError:
        return ValueError(f"the mixture {self.folder} is damaged ({one_line(reason, 200)}); build or import it again.")


def _checked_size(metadata: Mapping[str, Any], path: Path) -> int:
    """Returns the number of examples, after a check of everything of the metadata that others rely on.

    Raises:
        ValueError: Something is not as `write_store` writes it.
    """
    fields = Fields(metadata, path)
    if not _FINGERPRINT.fullmatch(fields.text("fingerprint")):
        raise ValueError(f"{path} has fingerprint={shown_value(fields.text('fingerprint'))}; it must be 16 hex digits.")
    ranges, tasks = Fields(fields.any("ranges"), path), Fields(fields.any("tasks"), path)
    end = 0
    for task in ranges.content:
        bounds = ranges.any(task)
        whole = isinstance(bounds, list) and len(bounds) == 2 and all(type(one) is int for one in bounds)
        if not whole or bounds[0] != end or bounds[1] <= end:
            raise ValueError(f"{path}: the rows of task {task!r} must begin at {end}, where those before it end.")
        end = bounds[1]
        entry = Fields(tasks.any(task), f"{path}, task {task!r}")
        listed = entry.any("instructions")
        if not isinstance(listed, list) or not listed or not all(_is_instruction(one) for one in listed):
            raise ValueError(f"{path}, task {task!r}: instructions must be a list of [query, document, rows].")
        negatives = Fields(entry.any("negatives"), f"{path}, negatives of task {task!r}")
        for number in negatives.content:
            negatives.whole(number, most=2**40)
            if not number.isdecimal():
                raise ValueError(f"{path}, task {task!r}: negatives must be counted by number, not {number!r}.")
        Fields(entry.any("about"), f"{path}, about of task {task!r}")
        entry.whole("rows", least=1, most=2**40)
    if not end:
        raise ValueError(f"{path} names no task; build or import the mixture again.")
    return end


def _is_instruction(value: Any) -> bool:
    kinds = [type(one) for one in value] if isinstance(value, list) else []
    return kinds == [str, str, int]


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
