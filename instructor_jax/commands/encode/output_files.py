"""The files of `encode` beside its output: their names, what in them says that they are ours, and what may be replaced.

OUTPUT.json, the summary, says how OUTPUT was made and names its file of ids. OUTPUT.parts holds the finished parts of a
run that is not finished. What neither of them names is somebody else's.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructor_jax.commands.encode.lance_files import is_our_lance, lance_names
from instructor_jax.io.atomic import is_temporary_name
from instructor_jax.io.bounds import DOCUMENT_BYTES
from instructor_jax.io.json_files import Fields, read_json
from instructor_jax.io.ownership import Claim

MANIFEST = "_manifest.json"  # of an output that is a folder; readers of folders of Parquet leave such names out
LANCE = ".lance"  # suffix of an output that is a dataset
LAYOUT = 1  # of the folder and the summary; raised when they change
_PART = re.compile(r"part-[0-9]{6,9}(\.npy|\.jsonl|\.parquet|\.lance|\.ids\.txt|\.json|\.claim)")
_NAMES = ("lock", "options.json", "probe.npy", "written.json", "index.json", "_manifest.json")


def parts_folder(output: Path) -> Path:
    """Where the parts of an unfinished output lie."""
    return output.with_name(output.name + ".parts")


def leaving_folder(output: Path) -> Path:
    """Where the parts of a finished output lie while they are removed."""
    return output.with_name(f".{output.name}.parts.finished")


def coming_folder(output: Path) -> Path:
    """Where an output that is a dataset is made before it gets its name."""
    return output.with_name(f".{output.name}.coming")


def summary_path(output: Path) -> Path:
    """The small JSON file that says how an output was made: beside it, or within one that is a folder."""
    if output.is_dir() and output.suffix != LANCE:
        return output / MANIFEST
    return output.with_name(output.name + ".json")


def ids_path(output: Path) -> Path:
    """The ids of an output that has no place for them, one a line."""
    return output.with_name(output.stem + ".ids.txt")


def read_summary(output: Path) -> dict[str, Any] | None:
    """How an output was made; None where there is no summary of `encode` beside it."""
    return summary_in(summary_path(output))


def summary_in(path: Path) -> dict[str, Any] | None:
    """The summary that a file holds; None where it is not there, or is none."""
    if not path.is_file():
        return None
    with contextlib.suppress(ValueError):
        content = read_json(path, limit=DOCUMENT_BYTES)  # a manifest has a line for each of maybe a million parts
        fields = Fields(content, path)
        fields.whole("layout", least=1)
        fields.text("input")
        for count in ("rows", "tokens", "truncated"):
            fields.whole(count, most=1 << 62)
        Fields(fields.any("options"), path).text("model")
        return content
    return None


def output_claims(output: Path, *, ids_beside: bool, as_folder: bool = False) -> list[Claim]:
    """Everything that making `output` may write, replace or remove.

    Args:
        output: the file that will be made.
        ids_beside: whether ids go to a file of their own.
        as_folder: whether it will be a folder of parts.
    """
    parts = Claim(parts_folder(output), is_parts_folder, replaceable=False)
    if as_folder and output.suffix != LANCE:
        return [parts, Claim(output, is_output_folder, replaceable=False)]

    def replaceable(path: Path) -> bool:
        return is_of_this_run(output, path) or may_overwrite(output)

    claims = [
        Claim(summary_path(output), lambda path: read_summary(output) is not None or replaceable(path)),
        parts,
        Claim(leaving_folder(output), is_parts_folder, replaceable=False),
    ]
    if as_folder:
        new = Claim(coming_folder(output), is_lance_dataset, replaceable=False)
        return [Claim(output, lambda path: is_our_dataset(path), replaceable=False), new, *claims]
    claims.insert(0, Claim(output, replaceable))
    ids = Claim(ids_path(output), lambda path: ids_are_ours(output) or replaceable(path))
    return [*claims, ids] if ids_beside else claims


def ids_are_ours(output: Path) -> bool:
    """Whether the file of ids is named by the summary of the output, or was written by a run that is not finished."""
    path = ids_path(output)
    summary = read_summary(output)
    return is_of_this_run(output, path) or (summary is not None and summary.get("ids") == path.name)


def is_of_this_run(output: Path, path: Path) -> bool:
    """Whether an unfinished run wrote `path`."""
    folder = parts_folder(output)
    return is_parts_folder(folder) and identity(path) in written_files(output).get(path.name, [])


def may_overwrite(output: Path) -> bool:
    """Whether an unfinished run was allowed to replace what is there."""
    folder = parts_folder(output)
    with contextlib.suppress(ValueError, OSError):
        return is_parts_folder(folder) and read_json(folder / "options.json").get("overwrite") is True
    return False


def written_files(output: Path) -> dict[str, list[list[int]]]:
    """What an unfinished run wrote beside its parts: by name, the `identity` of each file that it gave the name."""
    with contextlib.suppress(ValueError, OSError):
        content = read_json(parts_folder(output) / "written.json")
        return {name: value for name, value in content.items() if isinstance(value, list)}
    return {}


def identity(path: Path) -> list[int]:
    """Size and time of the last change, which a renamed file keeps, and a file that replaces it does not have."""
    status = path.lstat()
    return [status.st_size, status.st_mtime_ns]


def is_parts_folder(folder: Path) -> bool:
    """Whether a folder holds parts of `encode` and nothing else: no other name, no link, no folder."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        found = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}
    if not all(is_file and is_our_name(name) for name, is_file in found.items()):
        return False
    # Without options.json only what is made before it may be there.
    return "options.json" in found or all(name == "lock" or is_temporary_name(name) for name in found)


def is_output_folder(folder: Path) -> bool:
    """Whether a folder is a finished output of `encode`: a manifest, parts, and nothing else."""
    if folder.is_symlink() or not folder.is_dir() or read_summary(folder) is None:
        return False
    with os.scandir(folder) as entries:
        return all(entry.is_file(follow_symlinks=False) and is_our_name(entry.name) for entry in entries)


def is_our_dataset(folder: Path) -> bool:
    """Whether a folder is a Lance dataset with a summary of `encode` beside it, as it was when it was made."""
    return read_summary(folder) is not None and is_lance_dataset(folder)


def is_lance_dataset(folder: Path) -> bool:
    """Whether a folder holds what `encode` makes a Lance dataset of, and nothing else."""
    return not folder.is_symlink() and folder.is_dir() and is_our_lance(lance_names(folder))


def tidy_output_folder(folder: Path) -> None:
    """Remove from a finished output folder what only an unfinished one needs."""
    for name in [path.name for path in folder.iterdir()]:
        if name != MANIFEST and not name.endswith(".parquet") and is_our_name(name):
            (folder / name).unlink(missing_ok=True)


def remove_parts_folder(folder: Path) -> None:
    """Remove our files and the folder; what somebody else put there stays, and the folder with it."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for name in [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]:
            if is_our_name(name):
                (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def part_numbers(folder: Path) -> Iterator[int]:
    """Numbers of the parts that have a record, that is, are finished."""
    for path in folder.glob("part-*.json"):
        yield int(path.stem.removeprefix("part-"))


def is_our_name(name: str) -> bool:
    """Whether `encode` gives such names to files among the parts."""
    return name in _NAMES or _PART.fullmatch(name) is not None or is_temporary_name(name)
