"""`instructor-jax push`: a model folder to the Hugging Face hub, with the list of what is sent before it is sent."""

import dataclasses
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from instructor_jax.commands.console import say
from instructor_jax.publishing.card import CARD, has_card
from instructor_jax.publishing.upload import Upload, parts_of, upload


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class PushOptions:
    """How the folder is uploaded.

    Attributes:
        private: Make a new repository private, or public; by default as the hub does.
        revision: Branch to write to; made where it is new.
        create_pr: Open a pull request in place of a commit.
        exist_ok: Write into a repository that exists; its files of the same names are replaced by the new commit.
        message: Message of the commit.
    """

    private: Annotated[bool | None, Parameter(negative="--public")] = None
    revision: str | None = None
    create_pr: Annotated[bool, Parameter(negative="")] = False
    exist_ok: Annotated[bool, Parameter(negative="")] = False
    message: str = Upload.message


def push(
    folder: Path,
    repo: str,
    *,
    how: PushOptions = PushOptions(),
    dry_run: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Upload a model folder to the Hugging Face hub.

    The folder is opened as a model first. Only the files of a model and its
    README.md are sent; a folder without one gets a card that says what can be
    read off the model. The token is the one that 'hf auth login' keeps.

    For example:

      instructor-jax push runs/mine/model me/my-embedder --private
      instructor-jax push runs/mine/model me/my-embedder --exist-ok --create-pr
      instructor-jax push runs/mine/model me/my-embedder --dry-run

    Args:
        folder: Model folder of this library or of sentence-transformers.
        repo: Name of the repository on the hub, as in organisation/model.
        how: See PushOptions.
        dry_run: Print what would be sent, and send nothing.
    """
    parts = parts_of(folder)
    for part in parts:
        say(f"{(folder / part).stat().st_size:>14,} {part.as_posix()}")
    if not has_card(folder):
        say(f"{'(made)':>14} {CARD}")
    if dry_run:
        say(f"nothing was sent to {repo} (--dry-run)")
        return
    say(upload(folder, repo, Upload(**dataclasses.asdict(how))))
