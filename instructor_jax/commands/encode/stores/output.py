"""An output of `encode` in a store: its files, what in them says that they are ours, and what may be replaced.

The names are those of an output on this machine. A store renames nothing, so the file that is written last, the summary
or the manifest, is what makes an output: without it what is there is unfinished.
"""

import contextlib
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from instructor_jax.commands.encode.lance_files import is_our_lance
from instructor_jax.commands.encode.output_files import MANIFEST, is_our_name, summary_in
from instructor_jax.commands.encode.vector_files import VectorFormat
from instructor_jax.io.json_files import read_json
from instructor_jax.io.ownership import NotOursError
from instructor_jax.io.remote.folders import told
from instructor_jax.io.remote.stores import Store

# One for each set of options that anybody began the parts with: two of them are noticed, whoever came first.
OPTIONS = re.compile(r"options-[0-9a-f]{16}\.json")
PUBLISHING = "written.json"  # among the parts once the output is being written
AT_ONCE = 500  # files in one request to the package, which sends several at a time


class StoredOutput:
    """An output in a store.

    Attributes:
        url: the output, without a slash at its end.
        name: the last part of it.
        format: how it is written.
        state: the folder of parts beside it.
        folder: what lies below the output, where it is a folder.

    Raises:
        ValueError: no installed package serves the store, or the URL names no file within a bucket.
    """

    def __init__(self, url: str, format: VectorFormat) -> None:
        self.url: str = url.rstrip("/")
        self.name: str = PurePosixPath(self.url).name
        self.format: VectorFormat = format
        self.folder: Store = Store(self.url)
        self.state: Store = Store(f"{self.url}.parts")

    @property
    def summary_url(self) -> str:
        """Where the summary lies, or the manifest of a folder."""
        within = self.format.as_folder and self.format.commit is None
        return f"{self.url}/{MANIFEST}" if within else f"{self.url}.json"

    @property
    def ids_url(self) -> str:
        """Where the ids lie of an output that has no place for them."""
        return f"{self.url.rpartition('/')[0]}/{PurePosixPath(self.name).stem}.ids.txt"

    def path(self, url: str) -> str:
        """The path, as the package takes it, of a file beside or in the output."""
        parent = self.folder.root.removesuffix(self.name)
        return parent + url[len(self.url) - len(self.name) :]

    def read_summary(self) -> dict[str, Any] | None:
        """How the output was made; None where there is no summary of `encode`.

        Raises:
            OSError: the store cannot be read.
        """
        copy = self._fetched(self.path(self.summary_url), summary_in)
        return copy if isinstance(copy, dict) else None

    def unfinished(self) -> dict[str, Any] | None:
        """What began the parts that are there: the content of their file of options; None where there are none.

        Raises:
            ValueError: two runs with other options began them.
        """
        with told(self.state.url):
            names = [name for name in self.state.files() if OPTIONS.fullmatch(name)]
        self.require_one(names)
        return self._fetched(self.state.path(names[0]), read_json) if names else None

    def require_one(self, options: list[str]) -> None:
        """Refuses parts of two sets of options.

        Raises:
            ValueError: more than one name is given.
        """
        if len(options) > 1:
            raise ValueError(
                f"{self.state.url} was begun by two runs with other options; delete that folder and start one of them"
            )

    def is_made(self) -> bool:
        """Whether the output is there, and nothing of an unfinished run."""
        return self.read_summary() is not None and self.unfinished() is None

    def require_allowed(self, *, overwrite: bool) -> None:
        """Refuses an output that would cost the user a file that is not of this command.

        Args:
            overwrite: whether files of these names may be replaced.

        Raises:
            NotOursError: something is there that is not ours and may not be replaced.
        """
        with told(self.url):
            state = self.state.files()
            self._refuse_strangers(self.state, state)
            ours = PUBLISHING in state or self.read_summary() is not None
            wanted = {self.url: False, self.summary_url: ours}
            if self.format.as_folder:
                there = self.folder.files()
                if self.format.commit is None:
                    self._refuse_strangers(self.folder, there)
                if there and not (ours and (self.format.commit is None or is_our_lance([*there]))):
                    raise _not_ours(self.url, "")
                wanted = {self.summary_url: ours}
            overwrite = overwrite or PUBLISHING in state or (self.unfinished() or {}).get("overwrite") is True
            if not self.format.holds_ids:
                wanted[self.ids_url] = (self.read_summary() or {}).get("ids") == PurePosixPath(self.ids_url).name
            for url, is_ours in wanted.items():
                if not (overwrite or is_ours) and self.folder.fs.exists(self.path(url)):
                    raise _not_ours(url, ", or give --overwrite to replace it")

    def remove_state(self, names: Iterable[str] | None = None) -> None:
        """Removes parts; the file of options first, without which what is left is nobody's unfinished run.

        Args:
            names: files in the folder of parts; all of them if None.
        """
        with told(self.state.url):
            there = self.state.files()
            wanted = [name for name in (there if names is None else names) if name in there]
            wanted.sort(key=lambda name: OPTIONS.fullmatch(name) is None)
            for name in wanted[:1]:
                self.state.remove(name)
            for first in range(1, len(wanted), AT_ONCE):
                with contextlib.suppress(FileNotFoundError):  # another process removed one; what is left harms nobody
                    self.folder.fs.rm([self.state.path(name) for name in wanted[first : first + AT_ONCE]])

    def _refuse_strangers(self, store: Store, names: dict[str, Any]) -> None:
        for name in names:
            if not (is_our_name(name) or OPTIONS.fullmatch(name)):
                raise _not_ours(f"{store.url}/{name}", "")

    def _fetched(self, path: str, read: Any) -> Any:
        """What `read` makes of a copy of a small file; None where it is not there."""
        with told(self.url), tempfile.TemporaryDirectory(prefix="instructor_jax.") as scratch:
            copy = Path(scratch) / "copy.json"
            try:
                self.folder.fs.get_file(path, str(copy))
            except FileNotFoundError:
                return None
            return read(copy)


def _not_ours(url: str, way_out: str) -> NotOursError:
    return NotOursError(
        f"{url} exists and is not known to be made by this command; it would be lost. Name another output or move it "
        f"away{way_out}."
    )
