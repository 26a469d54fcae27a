"""Whole folders from a store to this machine and back; one that is not whole is never taken for one.

A store has no rename, so a folder that is being written says so itself: a mark goes there before its first file and
away after its last. Who reads meets the mark and refuses; what changed while it was read is refused, too. What is
fetched lies in a cache of this machine under a digest of the names, sizes and versions of its files, so that a folder
that changed is fetched anew.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from instructor_jax.io.printable import one_line, shown
from instructor_jax.io.remote.stores import Store, is_store

MARK = "instructor_jax.incomplete"
_SAID = b"instructor-jax is writing this folder, or was stopped when it did; do not use it.\n"


def cache_of_stores() -> Path:
    """Returns the folder of this machine that copies lie in: `instructor_jax/remote` of the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    folder = Path(os.path.expanduser(os.path.join(base, "instructor_jax", "remote")))
    if str(folder).startswith("~"):
        raise ValueError("there is no home folder for copies of remote folders; set XDG_CACHE_HOME to a folder.")
    return folder.absolute()


def fetched(url: str, wanted: Callable[[str], bool] = lambda name: True) -> Path:
    """Returns a copy of a remote folder on this machine, fetched if it is not there already.

    Args:
        url: The folder.
        wanted: Function from the path of a file in it to whether it is fetched.

    Raises:
        ValueError: There is no such folder, it is not whole, or no installed package serves it.
        OSError: The store cannot be read.
    """
    with told(url):
        store = Store(url)
        files = {name: about for name, about in store.files().items() if wanted(name)}
        if not files:
            raise ValueError(f"there is no folder {shown(url)}, or it is empty.")
        if unfinished := [name for name in files if name.rpartition("/")[2] == MARK]:
            raise ValueError(
                f"{shown(url)} is not whole: {unfinished[0]} says that it is being written, or that writing it was "
                "interrupted. Wait, or write it again."
            )
        target = cache_of_stores() / _digest(store.url) / _digest(repr(sorted(files.items())))
        if not target.is_dir():
            with _beside(target) as draft:
                for name, (size, _) in files.items():
                    download(store, name, draft / name, size)
                if {name: about for name, about in store.files().items() if wanted(name)} != files:
                    raise OSError("it changed while it was fetched; try again")
        return target


def download(store: Store, name: str, target: Path, size: int) -> None:
    """Fetches one file.

    Raises:
        OSError: It has another size than the store said.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    store.fs.get_file(store.path(name), str(target))
    if target.stat().st_size != size:
        raise OSError(f"{name} has {target.stat().st_size:,} bytes of {size:,}; it changed while it was fetched")


def upload(folder: Path, store: Store) -> None:
    """Writes a folder to a store under the mark; files that are there and not in the folder are removed.

    Raises:
        OSError: The store cannot be written; the mark stays.
    """
    store.write(MARK, _SAID)
    local = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    for name, path in local.items():
        store.fs.put_file(str(path), store.path(name))
    for name in store.files().keys() - local.keys() - {MARK}:
        store.remove(name)
    store.remove(MARK)


def remove(store: Store) -> None:
    """Removes a remote folder with everything in it; interrupted, it is left with the mark."""
    store.write(MARK, _SAID)
    for name in store.files().keys() - {MARK}:
        store.remove(name)
    store.remove(MARK)


def require_free(url: str) -> None:
    """Checks that a remote folder can be written: nothing is there, or what an interrupted writer left.

    Raises:
        ValueError: Something is there.
    """
    with told(url):
        files = Store(url).files()
    if files and MARK not in files:
        raise ValueError(f"{shown(url)} exists and is not an empty folder; choose another name or remove it.")


def joined(place: str, name: str) -> str:
    """Returns the path or URL of something in a folder."""
    return f"{place.rstrip('/')}/{name}" if is_store(place) else str(Path(place) / name)


@contextlib.contextmanager
def written(place: str | Path) -> Iterator[Path]:
    """Gives a folder's path to write to: the place itself, or a folder of this machine that then goes to the store.

    Raises:
        ValueError: The place is a URL that no installed package serves, or something is there.
        OSError: The store cannot be written.
    """
    if not is_store(place):
        yield Path(place)
        return
    url = str(place)
    require_free(url)
    with tempfile.TemporaryDirectory(prefix="instructor_jax.") as scratch:
        folder = Path(scratch) / "folder"
        yield folder
        with told(url):
            upload(folder, Store(url))


@contextlib.contextmanager
def told(url: str) -> Iterator[None]:
    """Turns what a store's package raises into one error that says where."""
    try:
        yield
    except (ValueError, KeyboardInterrupt):
        raise
    except Exception as error:  # each package has kinds of its own
        reason = one_line(f"{type(error).__name__}: {error}", 300)
        raise OSError(f"{shown(url)} cannot be read or written: {reason}") from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Gives a draft folder that takes its name at the end, unless another process was faster."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".", dir=target.parent))
    try:
        yield draft
        with contextlib.suppress(OSError):
            os.replace(draft, target)
        if not target.is_dir():
            raise OSError(f"{target} cannot be written")
    finally:
        shutil.rmtree(draft, ignore_errors=True)
