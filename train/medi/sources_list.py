"""`medi sources` and `medi fetch`: where the data come from, what of them is there, and how to get the rest."""

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from instructor_jax.io.printable import printable
from instructor_jax.markdown import table
from instructor_jax.origins.downloads import Downloads
from instructor_jax.origins.folders import clean_up, fetch_file, is_present, is_right, place_of
from instructor_jax.origins.records import OriginFile, OriginFolder, chosen_folders
from instructor_jax.progress import progress


def sources(
    data: Path | None = None,
    /,
    *,
    only: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    missing: Annotated[bool, Parameter(negative="")] = False,
    files: Annotated[bool, Parameter(negative="")] = False,
    check: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """List where the data of training and evaluation come from, and what of them is there; asks no network.

    For example:

      instructor-jax medi sources

      instructor-jax medi sources data/raw --missing

      instructor-jax medi sources data/raw --only gsm8k 'eval_*' --files --check

    Args:
        data: Folder of the sources, a sub-folder for each; without, nothing is said to be there or not.
        only: Folders, as names or patterns, or the words training, evaluation.
        missing: Only what is not there, and how to get it.
        files: A line for each file, with its address, size and digest.
        check: Read every file that is there and compare it with its digest.
    """
    if data is None and (missing or check):
        raise ValueError("--missing and --check compare with a folder; give it: instructor-jax medi sources DATA")
    chosen = chosen_folders(only or ["all"])
    wrong = [
        file
        for folder in chosen
        for file in folder.files
        if check and data and is_present(data, file) and not is_right(data, file)
    ]
    rows = []
    for folder in chosen:
        there = [file for file in folder.files if data is not None and is_present(data, file)]
        if missing and len(there) == len(folder.files):
            continue
        if files:
            rows += [_file_row(file, data, wrong) for file in folder.files if not (missing and file in there)]
        else:
            rows.append(_folder_row(folder, None if data is None else len(there)))
    header = _FILE_HEADER if files else _FOLDER_HEADER
    print(printable(table(header, rows)) if rows else "nothing is missing")
    if missing and rows:
        names = " ".join(sorted({row[0] for row in rows}))
        print(printable(f"\nto get them: instructor-jax medi fetch {names} --to {data}"))
    if wrong:
        names = ", ".join(str(place_of(data or Path(), file)) for file in wrong)
        raise ValueError(f"{len(wrong)} files have another content than their origin: {names}")


def fetch(
    folders: Annotated[list[str], Parameter(consume_multiple=True)],
    /,
    *,
    to: Path,
    only: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    unverified: Annotated[bool, Parameter(negative="")] = False,
    mirror: str | None = None,
    pause: float = 0.2,
) -> None:
    """Download data folders from their origins; resumable, every file compared with its digest.

    Files are stored as `medi build` and `evaluate` read them. What is there and right is left alone; what is
    there with another content is never replaced. Licences are listed by `medi sources`: mind them.

      instructor-jax medi fetch gsm8k nli_datasets --to data/raw

      instructor-jax medi fetch training evaluation --to data/raw

      instructor-jax medi fetch super_natural_instructions --to data/raw \\
          --only 'tasks/task1*'

    Args:
        folders: Names or patterns, or the words training, evaluation, all.
        to: Folder of all sources; each folder is made in it.
        only: Files of the folders, as names or patterns.
        unverified: Also fetch files whose digest is not known here.
        mirror: Address of a copy of the origins: MIRROR/HOST/PATH is asked instead of https://HOST/PATH.
        pause: Seconds between two requests.
    """
    if not 0 <= pause <= 60:
        raise ValueError(f"--pause {pause} must be between 0 and 60 seconds")
    if mirror is not None and not mirror.startswith(("https://", "http://")):
        raise ValueError(f"--mirror {mirror!r} must begin with https:// or http://")
    wanted = [file for folder in chosen_folders(folders) for file in folder.files if _is_chosen(file, only)]
    if not wanted:
        raise ValueError(
            f"no file of these folders fits --only {' '.join(only or ())}; `medi sources --files` lists them"
        )
    if to.exists() and not to.is_dir():
        raise ValueError(f"--to {to} is a file; name a folder")
    absent = _absent(to, wanted)
    by_hand = [file for file in absent if file.how == "by hand"]
    unknown = [file for file in absent if file.how == "link" and not unverified]
    plain = [file for file in absent if file not in by_hand and file not in unknown]
    _fetch_all(to, plain, Downloads(mirror, pause))
    print(printable(f"{to}: {len(plain):,} files fetched, {len(wanted) - len(absent):,} were there"))
    left = [f"{file.folder}/{file.name} must be got by hand ({file.address})" for file in by_hand]
    left += [f"{file.folder}/{file.name} has no known digest (--unverified fetches it)" for file in unknown]
    if left:
        raise ValueError(f"not fetched: {'; '.join(left)}")


def _fetch_all(to: Path, files: Sequence[OriginFile], downloads: Downloads) -> None:
    total = sum(file.bytes for file in files)
    with progress("fetch", total, "B", shown=bool(files)) as bar:
        for file in files:
            bar.set_postfix_str(f"{file.folder}/{file.name}"[-40:], refresh=False)
            fetch_file(to, file, downloads, bar.update)
    if files:
        clean_up(to)


def _absent(to: Path, wanted: Sequence[OriginFile]) -> list[OriginFile]:
    """The files that are not there.

    Raises:
        ValueError: one is there with another content, which is never replaced.
    """
    absent = [file for file in wanted if not is_present(to, file)]
    for file in wanted:
        if file not in absent and not is_right(to, file):
            raise ValueError(f"{place_of(to, file)} has another content than its origin; move it away to fetch it")
    return absent


def _is_chosen(file: OriginFile, only: Sequence[str] | None) -> bool:
    return not only or any(fnmatch.fnmatch(file.name, pattern) for pattern in only)


_FOLDER_HEADER = ("folder", "files", "KiB", "there", "licence", "from", "note")
_FILE_HEADER = ("folder", "file", "there", "bytes", "sha256", "licence", "address")


def _folder_row(folder: OriginFolder, there: int | None) -> tuple[str, ...]:
    size = sum(file.bytes for file in folder.files)
    repositories = sorted({f"{file.repository}@{file.revision[:12]}" for file in folder.files})
    return (
        folder.name,
        str(len(folder.files)),
        f"{size / 1024:,.0f}" if all(file.bytes for file in folder.files) else "not known",
        "" if there is None else "all" if there == len(folder.files) else str(there),
        f"{folder.licence} ({folder.licence_link})",
        ", ".join(repositories),
        folder.note,
    )


def _file_row(file: OriginFile, data: Path | None, wrong: Sequence[OriginFile]) -> tuple[str, ...]:
    there = "" if data is None else "wrong" if file in wrong else "yes" if is_present(data, file) else "no"
    size, digest = (f"{file.bytes:,}", file.sha256) if file.sha256 else ("not known", "not known")
    name = file.name if file.how in ("file", "link") else f"{file.name} ({file.how})"
    return file.folder, name, there, size, digest, _licence(file), file.address


def _licence(file: OriginFile) -> str:
    return chosen_folders([file.folder])[0].licence
