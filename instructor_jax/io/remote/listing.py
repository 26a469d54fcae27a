"""Which files of a store a URL means: one file, those of a folder, those that a pattern fits."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from instructor_jax.io.printable import shown
from instructor_jax.io.remote.folders import told
from instructor_jax.io.remote.stored_file import StoredFile
from instructor_jax.io.remote.stores import require_served, version_of
from instructor_jax.io.remote_places import remote_scheme

_MAGIC = re.compile(r"[*?\[]")


def stored_files(url: str) -> list[StoredFile]:
    """Returns the files that a URL means: one, those of a folder but for hidden ones, or those that a pattern fits.

    They are in the order of their names. Names that begin with "." or "_" are left out of folders.

    Raises:
        ValueError: There is none, or no installed package serves the store.
        OSError: The store cannot be read.
    """
    require_served("input", url)
    with told(url):
        fs, path = _opened(url)
        fs.invalidate_cache()
        pattern = _MAGIC.search(path) is not None
        found = fs.glob(path, detail=True) if pattern else {path: fs.info(path)} if fs.exists(path) else {}
        if not pattern and found and found[path].get("type") == "directory":
            listed = {str(about["name"]): about for about in fs.ls(path, detail=True)}
            found = {n: about for n, about in listed.items() if not PurePosixPath(n).name.startswith((".", "_"))}
            if folders := [name for name, about in found.items() if about.get("type") == "directory"]:
                raise ValueError(
                    f"{shown(url)} holds the folder {shown(PurePosixPath(folders[0]).name)}; name the folders that are "
                    "to be read, or give a pattern such as '.../*/*.parquet'."
                )
        files = [
            StoredFile(f"{remote_scheme(url)}://{name.lstrip('/')}", int(about.get("size") or 0), version_of(about))
            for name, about in found.items()
            if about.get("type") != "directory"
        ]
    if not files:
        kind = "no file fits the pattern" if pattern else "there is no file, and no folder with files,"
        raise ValueError(f"{kind} {shown(url)}; check it" + (", and put it into quotation marks" if pattern else ""))
    return sorted(files, key=lambda file: PurePosixPath(file.url).parts)


def has_file(url: str, names: Iterable[str]) -> bool:
    """Returns whether a folder of a store holds a file of one of the names.

    Raises:
        ValueError: No installed package serves the store.
        OSError: The store cannot be read.
    """
    require_served("input", url)
    with told(url):
        fs, path = _opened(url)
        return any(fs.exists(f"{path.rstrip('/')}/{name}") for name in names)


def _opened(url: str) -> tuple[Any, str]:
    import fsspec

    fs, path = fsspec.core.url_to_fs(url)
    return fs, str(path)
