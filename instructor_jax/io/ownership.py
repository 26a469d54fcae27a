"""Which files a command may write, replace or remove: its own and new ones; no input, and nothing of somebody else's.

Checked before anything is touched. A file is "ours" where something that a command of ours wrote says so (a summary
beside it that names it, a mark within it). A folder is ours where it holds nothing but regular files with the names
that we give. A link is never ours: to write it would replace it, or what it points to, and who plants one would decide
what is overwritten.
"""

import contextlib
import dataclasses
import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from instructor_jax.io.atomic import require_plain_file

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


@dataclasses.dataclass(frozen=True)
class Claim:
    """One path that a command wants to write, replace or remove.

    Attributes:
        path: a file, or a folder with everything in it.
        is_ours: whether what lies there now was made by the same command; asked only where something lies there.
        replaceable: whether the command's option to overwrite covers it; a stranger's folder is never covered.
    """

    path: Path
    is_ours: Callable[[Path], bool]
    replaceable: bool = True


class NotOursError(FileExistsError, ValueError):
    """Something lies where a command wants to write that was not made by it."""


def check_claims(
    claims: Sequence[Claim], *, inputs: Iterable[Path] = (), overwrite: bool = False, option: str = ""
) -> None:
    """Refuses a command that would write over its input or over somebody else's file.

    Args:
        claims: everything that will be written, replaced or removed.
        inputs: everything that will be read, models included.
        overwrite: whether the user allowed files to be replaced.
        option: how the user does that, for messages, such as "--overwrite"; empty where the command has no such option.

    Raises:
        ValueError: a claim is an input or contains one.
        NotOursError: something is there that is not ours and may not be replaced; a `ValueError` too.
    """
    read = [path for path in inputs if os.path.lexists(path)]
    present = [claim for claim in claims if os.path.lexists(claim.path)]
    for claim in present:
        for path in read:
            if same_or_inside(path, claim.path):
                raise ValueError(
                    f"{claim.path} is the input, and would be written over; name another output."
                    if os.fspath(path) == os.fspath(claim.path)
                    else f"{claim.path} would be written over, but the input {path} is that or lies there; "
                    "name another output."
                )
    for claim in present:
        is_link = claim.path.is_symlink()
        if not is_link and claim.is_ours(claim.path):
            continue
        replaceable = claim.replaceable and (is_link or claim.path.is_file())
        if overwrite and replaceable:
            continue
        kind = "is a link" if is_link else "exists and is not known to be made by this command"
        way_out = f", or give {option} to replace {'the link' if is_link else 'it'}" if replaceable and option else ""
        raise NotOursError(f"{claim.path} {kind}; it would be lost. Name another output or move it away{way_out}.")


def require_new_or_replaceable(
    path: Path,
    is_ours: Callable[[Path], bool],
    *,
    inputs: Iterable[Path] = (),
    overwrite: bool = False,
    option: str = "",
) -> None:
    """Refuses a file that could not be written in the end, or would cost the user another; before the work is done.

    Args:
        path: what will be written.
        is_ours: whether a file was made by the same command.
        inputs: everything that is read.
        overwrite: whether the user allowed files to be replaced.
        option: how the user does that, such as "--overwrite"; empty where the command has no such option.

    Raises:
        ValueError: see `require_plain_file` and `check_claims`.
        OSError: its folder does not exist or cannot be written.
    """
    require_plain_file(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder to write into", str(path.parent))
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path.parent))
    check_claims([Claim(path, is_ours)], inputs=inputs, overwrite=overwrite, option=option)


def same_or_inside(path: Path, claimed: Path) -> bool:
    """Whether `path` is `claimed`, also by another name (link, case), or lies in it where it is a folder."""
    try:
        if path.samefile(claimed):
            return True
        if not claimed.is_dir():
            return False
        whole = path.resolve()
        return any(parent.samefile(claimed) for parent in whole.parents)
    except OSError:
        return False


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
    """Opens a file of ours to append to and to cut back; made if it is not there.

    Raises:
        ValueError: it is a link.
    """
    if path.is_symlink():
        raise ValueError(f"{path} is a link, and what it leads to would be overwritten; remove it.")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _NOFOLLOW, 0o666)
    with os.fdopen(descriptor, "ab") as file:
        yield file
