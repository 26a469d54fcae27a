"""Data folders made from their origins: each file downloaded, checked, stored as it lies in a data folder."""

import fnmatch
import gzip
import hashlib
import io
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from instructor_jax.io.atomic import whole_file
from instructor_jax.io.bounds import DOCUMENT_BYTES
from instructor_jax.io.ownership import refuse_strangers, remove_own
from instructor_jax.origins.downloads import Downloads
from instructor_jax.origins.records import OriginFile

_DOWNLOADS = ".instructor-jax-downloads"  # within the folder of all data, for what is not whole yet
_OURS = re.compile(r"[0-9a-f]{32}(\.whole)?")


class WrongContentError(ValueError):
    """What was downloaded is not what is known here."""


def place_of(root: Path, file: OriginFile) -> Path:
    """Where a file lies below the folder of all data."""
    return root / file.folder / file.name


def is_present(root: Path, file: OriginFile) -> bool:
    """Whether a file is there, as it is stored or unpacked; not whether it is right."""
    path = place_of(root, file)
    return path.exists() or (path.suffix == ".gz" and path.with_suffix("").exists())


def is_right(root: Path, file: OriginFile) -> bool:
    """Whether a file that is there has the content that is known; True where none is known.

    Raises:
        OSError: it cannot be read.
    """
    if not file.sha256:
        return True
    path = place_of(root, file)
    path = path if path.exists() else path.with_suffix("")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256  # type: ignore[arg-type]
    except (EOFError, gzip.BadGzipFile):
        return False


def fetch_file(root: Path, file: OriginFile, downloads: Downloads, progress: Callable[[int], object]) -> None:
    """Downloads one file to its place; whole or not at all.

    Args:
        root: folder of all data.
        file: what to get.
        downloads: how.
        progress: is told how many bytes arrived.

    Raises:
        ValueError: the content is another one than is known.
        OSError: it cannot be had or written.
    """
    kept = root / _DOWNLOADS
    refuse_strangers(kept, _OURS, "a place for downloads")
    kept.mkdir(parents=True, exist_ok=True)
    waiting = kept / hashlib.sha256(file.address.encode()).hexdigest()[:32]
    plain = file.how in ("file", "link")
    if plain:
        downloads.fetch(file.address, waiting, size=file.bytes, sha256=file.sha256, progress=progress)
    else:  # an archive, of which several files may be made
        whole = waiting.with_suffix(".whole")
        if not whole.exists():
            downloads.fetch(file.address, waiting, progress=progress)
            waiting.replace(whole)
        waiting = whole
    target = place_of(root, file)
    target.parent.mkdir(parents=True, exist_ok=True)
    if plain:
        with waiting.open("rb") as content:
            _store(content, target)
        waiting.unlink()
        return
    try:
        content = _tar_of(waiting, file) if file.how == "archive" else _member_of(waiting, file)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        waiting.unlink(missing_ok=True)
        raise WrongContentError(f"{file.address}: is damaged or another archive ({error}); nothing was kept") from error
    if len(content) != file.bytes or hashlib.sha256(content).hexdigest() != file.sha256:
        waiting.unlink(missing_ok=True)
        raise WrongContentError(
            f"{file.address}: {file.folder}/{file.name} made of it is not what is known here; nothing was kept"
        )
    _store(io.BytesIO(content), target)  # the archive stays for other files of it, until `clean_up`


def clean_up(root: Path) -> None:
    """Removes archives that all files were taken from; to be called when a fetch is done."""
    remove_own(root / _DOWNLOADS, _OURS)


def _store(content: Any, target: Path) -> None:
    with whole_file(target) as beside, beside.open("wb") as raw:
        if target.suffix != ".gz":
            shutil.copyfileobj(content, raw, 1 << 20)
            return
        # Without a name and a time in it, so that equal contents are equal files.
        with gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
            shutil.copyfileobj(content, packed, 1 << 20)


def _tar_of(archive: Path, file: OriginFile) -> bytes:
    """A tar file of the archive's files that fit the patterns, by name, without times and owners."""
    found: dict[str, bytes] = {}
    size = 0
    with tarfile.open(archive, "r|gz") as tar:
        for member in tar:
            name = member.name.partition("/")[2]  # GitHub's archives begin with a folder NAME-REVISION
            if member.isfile() and any(fnmatch.fnmatchcase(name, pattern) for pattern in file.path):
                size += member.size
                if size > DOCUMENT_BYTES:
                    raise ValueError("its files are larger than they can be")
                opened = tar.extractfile(member)
                found[name] = opened.read() if opened is not None else b""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(found):
            member = tarfile.TarInfo(name)
            member.size = len(found[name])
            tar.addfile(member, io.BytesIO(found[name]))
    return made.getvalue()


def _member_of(archive: Path, file: OriginFile) -> bytes:
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            if member.name == file.path[1] and member.isfile() and member.size <= DOCUMENT_BYTES:
                opened = tar.extractfile(member)
                return opened.read() if opened is not None else b""
    raise ValueError(f"it has no {file.path[1]}")
