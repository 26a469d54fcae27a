"""Which files a command may write or remove: its own, and new ones; never an input, never what somebody else made.

Checked once, before anything is touched. A file is "ours" where something that a command of ours wrote says so (a
summary beside it that names it, a mark within it); a folder is ours where it holds nothing but files that we name. A
link is never ours: to write it would replace it, or what it points to.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path


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


def check_claims(claims: Sequence[Claim], *, inputs: Iterable[Path], overwrite: bool, option: str) -> None:
    """Refuses a command that would write over its input or over somebody else's file.

    Args:
        claims: everything that will be written, replaced or removed.
        inputs: everything that will be read, models included.
        overwrite: whether the user allowed files to be replaced.
        option: how the user does that, for messages, such as "--overwrite".

    Raises:
        ValueError: a claim is an input or contains one; or something is there that is not ours and may not be replaced.
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
        way_out = f", or give {option} to replace {'the link' if is_link else 'it'}" if replaceable else ""
        raise ValueError(f"{claim.path} {kind}; it would be lost. Name another output or move it away{way_out}.")


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
