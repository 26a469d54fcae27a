"""Object stores and other file systems that fsspec serves: which there are, which package serves them, what they hold.

A place of a store is written as a URL, `s3://bucket/folder`. Keys and addresses are those of the packages: AWS's
variables and files for s3fs (`AWS_ENDPOINT_URL` for a store of another maker), Google's application credentials for
gcsfs, adlfs' variables for Azure.
"""

import importlib.util
from pathlib import Path, PurePosixPath
from typing import Any

from instructor_jax.io.printable import shown
from instructor_jax.io.remote_places import refuse_remote, remote_scheme

# scheme -> package on PyPI, module of it
_PACKAGES = {
    "s3": ("s3fs", "s3fs"),
    "s3a": ("s3fs", "s3fs"),
    "gs": ("gcsfs", "gcsfs"),
    "gcs": ("gcsfs", "gcsfs"),
    "az": ("adlfs", "adlfs"),
    "abfs": ("adlfs", "adlfs"),
    "abfss": ("adlfs", "adlfs"),
    "memory": ("fsspec", "fsspec"),  # within one process, for tests
}


def is_store(place: Any) -> bool:
    """Returns whether a text or path is a URL of a store that a package can serve, installed or not."""
    return remote_scheme(place) in _PACKAGES


def place_named(name: str) -> Path | str:
    """Returns a path of this machine, or the URL of a store as it is, which a path would not keep."""
    return name if is_store(name) else Path(name)


def require_served(name: str, place: str) -> None:
    """Checks that a place that may be remote is one of this machine or of a store whose package is installed.

    Args:
        name: What the place is, for the message: the name of an option or a setting.
        place: Path or URL.

    Raises:
        ValueError: It is another URL, or its package is absent; says what serves it.
    """
    scheme = remote_scheme(place)
    if scheme is None:
        return
    if scheme not in _PACKAGES:
        refuse_remote(name, place)
    package, module = _PACKAGES[str(scheme)]
    if importlib.util.find_spec("fsspec") is None or importlib.util.find_spec(module) is None:
        wanted = package if package == "adlfs" else "'instructor-jax[remote]'"
        raise ValueError(f"{name}={shown(place)}: {scheme}:// is served by the package {package}: pip install {wanted}")


def version_of(about: dict[str, Any]) -> str:
    """Returns by what a store tells apart two contents of one file, from what its package says of it."""
    return str(about.get("ETag") or about.get("etag") or about.get("LastModified") or about.get("created") or "")


class Store:
    """One folder of a store. Every file in it appears whole or not at all; the folder does not."""

    def __init__(self, url: str) -> None:
        """
        Args:
            url: Where the folder is, or will be.

        Raises:
            ValueError: No installed package serves it, or it names no folder within a bucket.
        """
        require_served("folder", url)
        import fsspec

        self.url = url.rstrip("/")
        self.fs, root = fsspec.core.url_to_fs(url)
        self.root = str(root).rstrip("/")
        if not self.root.strip("/"):
            raise ValueError(f"{shown(url)} names no folder; write {remote_scheme(url)}://BUCKET/FOLDER.")
        self.fs.invalidate_cache()  # of listings: others write to the store, too

    def files(self) -> dict[str, tuple[int, str]]:
        """Returns size and version of every file in the folder and below it, by its path there.

        Raises:
            ValueError: A file's name leads out of the folder.
        """
        self.fs.invalidate_cache()
        try:
            found = self.fs.find(self.root, detail=True)
        except FileNotFoundError:
            return {}
        files = {}
        for path, about in found.items():
            name = str(path)[len(self.root) :].lstrip("/")
            if not name or about.get("type") == "directory":
                continue
            if "\0" in name or "\\" in name or ".." in PurePosixPath(name).parts or name.startswith("/"):
                raise ValueError(f"{self.url} holds {shown(name)}, which is no name of a file in a folder.")
            files[name] = (int(about.get("size") or 0), version_of(about))
        return files

    def path(self, name: str) -> str:
        """Returns a file's path as the file system takes it."""
        return f"{self.root}/{name}"

    def write(self, name: str, content: bytes) -> None:
        """Writes a small file."""
        self.fs.pipe_file(self.path(name), content)

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        try:
            self.fs.rm_file(self.path(name))
        except FileNotFoundError:
            return
