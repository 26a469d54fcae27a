"""Files and folders that a command made itself, told from those of others: only they are replaced, removed or extended.

A folder is ours where it holds nothing but regular files with the names that we give; a link is never followed to be
written to, because whoever plants one decides what is overwritten.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

TEMPORARY = r"\..*\.partial"  # what `whole_file` calls its drafts
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


def refuse_strangers(folder: Path, ours: re.Pattern[str], what: str) -> None:
    """Refuses a folder that somebody else uses; one that is not there is fine.

    Args:
        folder: what will be written to or removed.
        ours: fits the names of our files in it.
        what: the folder's use, for the message.

    Raises:
        ValueError: it is a link or a file, or holds something that is not ours.
    """
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise ValueError(f"{folder} is needed as {what}, but is no folder of ours; move it away.")
    for path in sorted(folder.iterdir()):
        if not ours.fullmatch(path.name) or path.is_symlink() or not path.is_file():
            raise ValueError(
                f"{folder} is needed as {what}, but holds {path.name!r}, which this program did not write; it would be "
                "lost. Move it away."
            )


def remove_own(folder: Path, ours: re.Pattern[str]) -> None:
    """Removes our files of a folder, and the folder if nothing else is in it; a link to a folder loses only itself."""
    if folder.is_symlink():
        folder.unlink()
        return
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if ours.fullmatch(path.name) and (path.is_symlink() or path.is_file()):
            path.unlink()
    with contextlib.suppress(OSError):  # somebody else's files keep it
        folder.rmdir()


@contextlib.contextmanager
def extended(path: Path) -> Iterator[BinaryIO]:
    """A file of ours to append to and to cut back; made if it is not there.

    Raises:
        ValueError: it is a link.
    """
    if path.is_symlink():
        raise ValueError(f"{path} is a link, and what it leads to would be overwritten; remove it.")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _NOFOLLOW, 0o666)
    with os.fdopen(descriptor, "ab") as file:
        yield file
