"""Parts in a store: made in a scratch folder of this machine and put there whole, the vectors before their record.

A store knows no locks, so a part is not claimed: two processes that make the same part put the same bytes there. What
is there is not made again.
"""

import hashlib
import re
import tempfile
from pathlib import Path

from instructor_jax.commands.encode.output_files import parts_folder
from instructor_jax.commands.encode.part_records import EncodedPart, PartRecord, damaged_run
from instructor_jax.commands.encode.parts import PartStore
from instructor_jax.commands.encode.stores.output import AT_ONCE, OPTIONS, StoredOutput
from instructor_jax.io.printable import json_text
from instructor_jax.io.remote.folders import told

_RECORD = re.compile(r"part-[0-9]{6,9}\.json")
_SMALL = ("probe.npy", "index.json")  # made by whoever comes first, read by all


class StoredParts(PartStore):
    """The parts of an output in a store; a context. Nobody is kept from them: who joins them waits for the others.

    Args:
        output: the output.
        options: see `PartStore`.
        overwrite: see `PartStore`.
        shared: whether other processes write parts at the same time.

    Raises:
        ValueError: see `PartStore`.
        OSError: the store cannot be read.
    """

    def __init__(self, output: StoredOutput, options: dict, *, overwrite: bool = False, shared: bool = False) -> None:
        self.stored: StoredOutput = output
        self._there: dict[str, int] = {}  # sizes, by name, of what is known to be in the store
        super().__init__(Path(output.name), output.format, options, overwrite=overwrite, shared=shared)

    def __enter__(self) -> "StoredParts":
        self._scratch = tempfile.TemporaryDirectory(prefix="instructor_jax.")
        self.output = Path(self._scratch.name) / self.stored.name
        self.folder = parts_folder(self.output)
        try:
            self.folder.mkdir()
            self._fetch_state()
            super().__enter__()
        except BaseException:
            self._scratch.cleanup()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            if not self._records and not self._shared:
                self.stored.remove_state(self._there)
        finally:
            super().__exit__(*exception)
            self._scratch.cleanup()

    @property
    def place(self) -> str:
        """Where the parts lie, for messages."""
        return self.stored.state.url

    def missing(self, parts: int) -> list[int]:
        """See `PartStore`; by what was there at the start."""
        return [index for index in range(parts) if self._name(index, ".json") not in self._there]

    def keep(self, name: str) -> None:
        """See `PartStore`."""
        if name not in self._there:
            self._send(name)

    def parts_there(self) -> int:
        """See `PartStore`."""
        with told(self.place):
            return sum(_RECORD.fullmatch(name) is not None for name in self.stored.state.files())

    def holds(self, index: int) -> bool:
        """See `PartStore`."""
        record = self._name(index, ".json")
        if index not in self._records:
            if not self._shared:
                return False
            with told(self.place):
                if record not in self._there and not self._exists(record):
                    return False
                self._fetch([record])
            self._records[index] = self._read_record(index)
        self._require_whole(index, self._records[index])
        return True

    def write(self, part: EncodedPart) -> None:
        """See `PartStore`; in the store when this returns."""
        super().write(part)
        names = [self._name(part.index, suffix) for suffix in (self.format.suffix, ".ids.txt", ".json")]
        self.keep("probe.npy")
        for name in names:
            self._send(name)
        if self._shared or self.format.as_folder:  # else they are joined on this machine
            for name in names[:2]:
                (self.folder / name).unlink(missing_ok=True)

    def fetch_parts(self, parts: int) -> None:
        """Copies those files of the parts to this machine that are not there.

        Raises:
            OSError: the store cannot be read, or this machine's disk is full.
        """
        wanted = [self._name(index, suffix) for index in range(parts) for suffix in (self.format.suffix, ".ids.txt")]
        with told(self.place):
            self._fetch([name for name in wanted if name in self._there and not (self.folder / name).exists()])

    def _require_allowed(self) -> None:
        self.stored.require_allowed(overwrite=self._overwrite)

    def _begin_or_go_on(self, alone: bool) -> None:
        if (self.folder / "options.json").exists() and (self._shared or self._records):
            super()._begin_or_go_on(False)
            return
        self.stored.remove_state(self._there)  # no part is finished: nothing to lose
        self._there = {}
        super()._begin_or_go_on(True)
        name = f"options-{hashlib.blake2b(json_text(self.options).encode(), digest_size=8).hexdigest()}.json"
        with told(self.place):
            self.stored.folder.fs.put_file(str(self.folder / "options.json"), self.stored.state.path(name))
            self._there[name] = 0
            self.stored.require_one([name for name in self.stored.state.files() if OPTIONS.fullmatch(name)])

    def _fetch_state(self) -> None:
        """Copies what tells of the parts; of their records all, where this process joins them."""
        with told(self.place):
            self._there = {name: size for name, (size, _) in self.stored.state.files().items()}
            options = [name for name in self._there if OPTIONS.fullmatch(name)]
            self.stored.require_one(options)
            if not options:
                return
            self.stored.folder.fs.get_file(self.stored.state.path(options[0]), str(self.folder / "options.json"))
            records = [] if self._shared else [name for name in self._there if _RECORD.fullmatch(name)]
            self._fetch([*(name for name in _SMALL if name in self._there), *records])

    def _fetch(self, names: list[str]) -> None:
        for first in range(0, len(names), AT_ONCE):
            some = names[first : first + AT_ONCE]
            paths = [self.stored.state.path(name) for name in some]
            self.stored.folder.fs.get(paths, [str(self.folder / name) for name in some])

    def _send(self, name: str) -> None:
        local = self.folder / name
        if not local.exists():
            return
        with told(self.place):
            self.stored.folder.fs.put_file(str(local), self.stored.state.path(name))
        self._there[name] = local.stat().st_size

    def _exists(self, name: str) -> bool:
        fs, path = self.stored.folder.fs, self.stored.state.path(name)
        fs.invalidate_cache()  # of listings: others write, too
        return fs.exists(path)

    def _require_whole(self, index: int, record: PartRecord) -> None:
        for suffix, size in ((self.format.suffix, record.bytes), (".ids.txt", record.ids_bytes)):
            name = self._name(index, suffix)
            if size is None:
                continue
            if name not in self._there:
                with told(self.place):
                    path = self.stored.state.path(name)
                    self._there[name] = int(self.stored.folder.fs.info(path)["size"]) if self._exists(name) else -1
            if self._there[name] != size:
                raise damaged_run(self.place, f"{name} does not have the {size:,} bytes that were written")

    def _name(self, index: int, suffix: str) -> str:
        return self.path(index, suffix).name
