"""Uploading a model folder to the Hugging Face hub: the files of the model and its card, nothing else of the folder.

A folder is opened as a model before anything is sent, so that no broken one is published. Only files that belong to a
model are sent: a folder that was worked in also holds notes, caches and keys.
"""

import dataclasses
import fnmatch
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from instructor_jax.io.folders import encoder_folder, read_folder, read_params
from instructor_jax.io.json_files import shown_value
from instructor_jax.io.own_folder import OWN_CONFIG, OWN_PARAMS
from instructor_jax.io.printable import one_line
from instructor_jax.publishing.card import CARD, folder_card, has_card

# Names of the files that a model's folder and those of its modules have; Orbax has its own below the folder of weights.
PARTS = (
    CARD,
    "LICENSE*",
    "NOTICE*",
    "*.json",
    "*.safetensors",
    "*.model",
    "*.jinja",
    "vocab.txt",
    "merges.txt",
    "*.png",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Upload:
    """How a folder is uploaded.

    Attributes:
        private: Whether a new repository is private; the hub's own default if None.
        revision: Branch to write to, which is made where it is new; the default branch if None.
        create_pr: Whether a pull request is opened in place of a commit.
        exist_ok: Whether the repository may exist; its files of the same names are replaced by the commit.
        message: Message of the commit.
        token: Token of the hub; the one that `hf auth login` keeps if None.
    """

    private: bool | None = None
    revision: str | None = None
    create_pr: bool = False
    exist_ok: bool = False
    message: str = "Add a model written by instructor-jax"
    token: str | None = None


def parts_of(folder: Path) -> list[Path]:
    """Returns the files of a model folder that are published, relative to it and sorted.

    Args:
        folder: Model folder of this library or of sentence-transformers.

    Raises:
        ValueError: It is no model folder, its files or weights are broken, or one of the files is a link.
    """
    _check_weights(folder)
    found = sorted(path.relative_to(folder) for path in _files(folder))
    for path in found:
        if (folder / path).is_symlink():
            raise ValueError(f"{folder / path} is a link; put the file itself into the folder before it is published.")
    return found


def _check_weights(folder: Path) -> None:
    """Checks that the folder's weights fit its settings, are numbers, and are of a kind that runs no code when read."""
    from jax.tree_util import keystr, tree_leaves_with_path

    opened = read_folder(folder)
    for place, weight in tree_leaves_with_path(read_params(opened)):
        if not np.isfinite(np.asarray(weight, np.float32)).all():
            raise ValueError(f"{folder}: the weight{keystr(place)} has NaN or infinity; nothing was uploaded.")
    if not (folder / OWN_CONFIG).is_file() and not list(encoder_folder(folder).glob("*.safetensors")):
        raise ValueError(
            f"{folder} has its weights in PyTorch's pickle format; publish a folder with safetensors: "
            "instructor-jax convert FOLDER NEW --to sentence-transformers"
        )


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        of_orbax = OWN_PARAMS in Path(place).relative_to(folder).parts
        folders[:] = sorted(name for name in folders if of_orbax or not name.startswith((".", "checkpoint")))
        for name in names:
            if of_orbax or name == OWN_CONFIG or any(fnmatch.fnmatchcase(name, part) for part in PARTS):
                yield Path(place, name)


def upload(folder: Path, repo_id: str, how: Upload = Upload(), api: Any = None) -> str:
    """Uploads a model folder, with a card where it has none.

    Args:
        folder: Model folder of this library or of sentence-transformers.
        repo_id: Name of the repository, as in `organisation/model`.
        how: Further choices.
        api: A `huggingface_hub.HfApi`; one with the token of `how` if None.

    Returns:
        The address of the commit or of the pull request.

    Raises:
        ValueError: The folder is no model, the name is none of the hub's, or the repository exists and must not.
        OSError: The hub cannot be reached or refuses, or it is switched off by HF_HUB_OFFLINE.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    _check_name(repo_id)
    parts = parts_of(folder)
    additions = [CommitOperationAdd(path.as_posix(), str(folder / path)) for path in parts]
    if not has_card(folder):
        additions.append(CommitOperationAdd(CARD, folder_card(read_folder(folder), repo_id).encode()))
    api = api or HfApi(token=how.token, library_name="instructor-jax")
    try:
        api.create_repo(repo_id, private=how.private, exist_ok=how.exist_ok or how.create_pr)
        if how.revision is not None:
            api.create_branch(repo_id, branch=how.revision, exist_ok=True)
        commit = api.create_commit(
            repo_id,
            additions,
            commit_message=how.message,
            revision=how.revision,
            create_pr=how.create_pr,
        )
    except Exception as error:
        if not _is_of_the_hub(error):
            raise
        raise _plain(repo_id, error) from error
    return str(commit.pr_url if how.create_pr else commit.commit_url)


def _check_name(repo_id: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise ValueError(f"{shown_value(repo_id)} is no name of a repository, such as 'organisation/model'.") from error


def _is_of_the_hub(error: Exception) -> bool:
    """Returns whether an error says that the hub refused or was not reached; the hub's library has changed its own."""
    from huggingface_hub.errors import LocalTokenNotFoundError

    of_transport = type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "requests")
    return of_transport or isinstance(error, (OSError, LocalTokenNotFoundError))


def _plain(repo_id: str, error: BaseException) -> Exception:
    """Returns what a user can act on in place of the library's own error."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    reason = one_line(str(error), 200)
    if status == 409:
        return ValueError(f"{repo_id} exists already; allow that with exist_ok=True, or choose another name.")
    if status in (401, 403) or type(error).__name__ == "LocalTokenNotFoundError":
        return OSError(f"the hub does not let you write to {repo_id}: run 'hf auth login' with a token that may write.")
    return OSError(f"{repo_id} could not be uploaded: {reason}")
