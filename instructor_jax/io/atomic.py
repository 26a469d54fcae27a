"""Files that are either whole or absent: written beside under another name, forced to disk, then renamed.

The other name is new and cannot be guessed, and the file is made by an open that follows no link, so that nothing that
somebody put there is written to. While a process writes it holds a lock on the file; what a killed one left behind has
no lock, and the next writer of the same file removes it.
"""

import contextlib
import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from instructor_jax.io.file_lock import lock

_LONGEST_NAME = 200  # bytes; file systems allow 255, and the temporary name is longer than the file's
_TOKEN = r"[0-9a-f]{16}\.partial"
TEMPORARY = rf"\..*\.{_TOKEN}"  # fits the names of temporary files; for patterns of the names in a folder of ours


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`; the file written there becomes `path` when the block succeeds.

    The bytes reach the disk before the name does: after a power cut a file system may otherwise keep the new name with
    no content. A block that raises leaves `path` as it was and removes the temporary file. Where `path` is a link, the
    link is replaced; what it points to stays.

    Raises:
        ValueError: `path` is a folder, a device or a pipe, which a file cannot replace.
        OSError: the file cannot be written; with its name.
    """
    require_plain_file(path)
    try:
        _remove_left_behind(path)
        beside, lock = _new_file(path)
        try:
            yield beside
            with open(beside, "rb") as written:
                os.fsync(written.fileno())
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        finally:
            os.close(lock)
    except OSError as error:
        if error.filename is None and error.errno is not None:  # a full disk is told without the name of a file
            error.filename = os.fspath(path)
        raise


def require_plain_file(path: Path) -> None:
    """Refuse what no file can take the place of.

    Raises:
        ValueError: `path` is a folder, a device, a pipe, or a name of a standard stream: a link in /dev, which
            root could replace for the whole machine.
    """
    folder = os.path.realpath(path.parent)
    stream = path.is_symlink() and (folder == "/dev" or folder.startswith("/proc/"))
    if stream or (path.exists() and not path.is_file()):
        kind = "a folder" if path.is_dir() else "no plain file but a device, a pipe or a standard stream"
        raise ValueError(f"{path} is {kind}; name a file that can be written.")


def is_temporary_name(name: str, of: str | None = None) -> bool:
    """Returns whether `whole_file` gives such names to temporary files; with `of`, to those of a file of that name."""
    if of is not None:
        return name.startswith(_prefix(of)) and re.fullmatch(_TOKEN, name[len(_prefix(of)) :]) is not None
    return re.fullmatch(TEMPORARY, name, re.DOTALL) is not None


def _new_file(path: Path) -> tuple[Path, int]:
    """Create an empty file under a new name; returns the name and a file descriptor that holds its lock."""
    while True:
        beside = path.with_name(f"{_prefix(path.name)}{secrets.token_hex(8)}.partial")
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with contextlib.suppress(OSError):  # a file system without locks: nothing is removed there either
            lock(descriptor)
        if _is_open_file(beside, descriptor):
            return beside, descriptor
        os.close(descriptor)  # removed by another writer before the lock was there


def _remove_left_behind(path: Path) -> None:
    """Remove temporary files of `path` whose writers are gone."""
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        names = [entry.name for entry in entries if is_temporary_name(entry.name, path.name)]
        for name in names:
            left = path.with_name(name)
            with contextlib.suppress(OSError):
                descriptor = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    lock(descriptor)
                    if _is_open_file(left, descriptor):
                        left.unlink()
                finally:
                    os.close(descriptor)


def _is_open_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return False
        raise


def _prefix(name: str) -> str:
    encoded = os.fsencode(name)
    if len(encoded) > _LONGEST_NAME:
        name = hashlib.sha256(encoded).hexdigest()
    return f".{name}."
