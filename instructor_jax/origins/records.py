"""`OriginFile`: where one file of a data folder comes from; and the table of all of them, which the package carries."""

import dataclasses
import fnmatch
import functools
import tomllib
from collections.abc import Sequence
from importlib import resources
from typing import Any, Literal
from urllib.parse import quote

How = Literal["file", "archive", "member", "link", "by hand"]
EVALUATION_PREFIX = "eval_"


@dataclasses.dataclass(frozen=True)
class OriginFile:
    """One file of a data folder and its origin.

    Attributes:
        folder: of the data, such as "gsm8k".
        name: of the file in it; one that ends in .gz is stored gzipped.
        how: "file" of a repository; "archive", a tar file of the repository's files that fit `path`; "member" of an
            archive in the repository; "link", whose digest is not known; "by hand", what no plain download reaches.
        repository: OWNER/NAME on GitHub.
        revision: commit.
        path: in the repository; patterns of an archive; archive and file of a member; otherwise the address.
        bytes: of the content, before it is gzipped; 0 where it is not known.
        sha256: of the content; empty where it is not known.
    """

    folder: str
    name: str
    how: How
    repository: str
    revision: str
    path: tuple[str, ...]
    bytes: int = 0
    sha256: str = ""

    @property
    def address(self) -> str:
        """The address that it is downloaded from, or, by hand, the page to look at."""
        if self.how in ("link", "by hand"):
            return self.path[0]
        if self.how == "archive":
            return f"https://codeload.github.com/{self.repository}/tar.gz/{self.revision}"
        return f"https://raw.githubusercontent.com/{self.repository}/{self.revision}/{quote(self.path[0])}"


@dataclasses.dataclass(frozen=True)
class OriginFolder:
    """One folder of data.

    Attributes:
        name: of the folder.
        licence: in words.
        licence_link: where it is stated, or where it would be.
        note: what else is to know.
        files: of the folder.
    """

    name: str
    licence: str
    licence_link: str
    note: str
    files: tuple[OriginFile, ...]

    @property
    def is_known(self) -> bool:
        """Whether the digest of every file is known, so that it can be fetched and checked."""
        return all(file.sha256 for file in self.files)

    @property
    def is_evaluation(self) -> bool:
        """Whether it is held out of training."""
        return self.name.startswith(EVALUATION_PREFIX)


@functools.cache
def origin_folders() -> dict[str, OriginFolder]:
    """Every folder by its name, training first; read from the package once."""
    text = resources.files("instructor_jax.origins").joinpath("origins.toml").read_text(encoding="utf-8")
    return {name: _folder(name, content) for name, content in tomllib.loads(text).items()}


def chosen_folders(names: Sequence[str]) -> list[OriginFolder]:
    """The folders of these names, patterns, or the words "training", "evaluation" and "all".

    "training" and "evaluation" are those whose files are known by their digests.

    Raises:
        ValueError: a name or pattern fits none.
    """
    folders, chosen = origin_folders(), {}
    for name in names:
        if name in ("training", "evaluation", "all"):
            evaluation = name == "evaluation"
            fits = [f for f in folders.values() if name == "all" or (f.is_known and f.is_evaluation == evaluation)]
        else:
            fits = [folders[found] for found in fnmatch.filter(folders, name)]
        if not fits:
            raise ValueError(
                f"no data folder is called {name!r}; give names such as gsm8k, patterns, training, evaluation or all "
                "(`instructor-jax medi sources` lists them)"
            )
        chosen |= {folder.name: folder for folder in fits}
    return list(chosen.values())


def _folder(name: str, content: dict[str, Any]) -> OriginFolder:
    files = [
        file
        for origin in content["origins"]
        for kind, how in _KINDS.items()
        for row in origin.get(kind, [])
        for file in [_file(name, how, origin, row)]
    ]
    order = tuple(sorted(files, key=lambda file: file.name))
    return OriginFolder(name, content["licence"], content["licence_link"], content.get("note", ""), order)


def _file(folder: str, how: How, origin: dict[str, Any], row: list[Any]) -> OriginFile:
    name, path, *known = row
    paths = (path,) if isinstance(path, str) else tuple(path)
    return OriginFile(folder, name, how, origin["repository"], origin["revision"], paths, *known)


_KINDS: dict[str, How] = {
    "files": "file",
    "archives": "archive",
    "members": "member",
    "links": "link",
    "by_hand": "by hand",
}
