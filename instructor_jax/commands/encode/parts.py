"""Parts: what a long job has finished, kept beside its output until all is there.

`OUTPUT.parts/` holds, for every finished part, its vectors (`part-000000.npy`, with .ids.txt where there are ids) and
then its record (`part-000000.json`), which makes the part count. A record carries the hash of the rows that were
encoded, so a restart needs no trust in names or dates: it reads the input again and takes a part only for the very same
rows. That works alike for files and for pipes. Another set of options is refused before anything is encoded.

The process that joins the parts has them alone. Processes that make shares of them hold the lock together.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

from instructor_jax.commands.encode.output_files import (
    LAYOUT,
    leaving_folder,
    output_claims,
    part_numbers,
    parts_folder,
    remove_parts_folder,
)
from instructor_jax.commands.encode.part_claims import taken
from instructor_jax.commands.encode.part_records import (
    EncodedPart,
    PartRecord,
    damaged_run,
    option_differences,
    read_record,
    start_over,
    write_json,
)
from instructor_jax.commands.encode.vector_files import VectorFormat, write_ids
from instructor_jax.io.atomic import whole_file
from instructor_jax.io.file_lock import lock
from instructor_jax.io.json_files import read_json
from instructor_jax.io.ownership import check_claims


class PartStore:
    """The parts of one output; a context, during which no process joins them but this one.

    Args:
        output: the file that will be made.
        format: how it is written.
        options: everything besides the rows that decides the output's bytes; plain JSON values.
        overwrite: whether files of these names that are not of this command may be replaced.
        shared: whether other processes write parts at the same time; nobody can join them meanwhile.

    Raises:
        ValueError: the parts of an unfinished run were made with other options, are damaged, or another process is
            writing them; or a file that is not of this command is in the way.
    """

    def __init__(
        self,
        output: Path,
        format: VectorFormat,
        options: dict[str, Any],
        *,
        overwrite: bool = False,
        shared: bool = False,
    ) -> None:
        self.output: Path = output
        self.folder: Path = parts_folder(output)
        self.format: VectorFormat = format
        self.options: dict[str, Any] = options
        self._overwrite, self._shared = overwrite, shared
        self._records: dict[int, PartRecord] = {}
        self._require_allowed()

    def __enter__(self) -> "PartStore":
        remove_parts_folder(leaving_folder(self.output))  # of a run that was killed while it tidied up
        self.folder.mkdir(parents=True, exist_ok=True)
        held = self.folder / "lock"
        self._lock = os.open(held, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            alone = taken(self._lock, shared=self._shared)
            if not (held.exists() and os.path.samestat(held.stat(), os.fstat(self._lock))):
                raise BlockingIOError  # finished and removed by another process a moment ago
            self._records = {number: self._read_record(number) for number in part_numbers(self.folder)}
            self._begin_or_go_on(alone)
            if alone and self._shared:
                lock(self._lock, shared=True)  # now others may come in
        except BaseException as error:
            os.close(self._lock)
            if isinstance(error, BlockingIOError):
                raise ValueError(f"{self.place}: another process is writing these parts; let it finish") from None
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if not self._records and not self._shared:
            remove_parts_folder(self.folder)
        os.close(self._lock)

    def _require_allowed(self) -> None:
        claims = output_claims(self.output, ids_beside=not self.format.holds_ids, as_folder=self.format.as_folder)
        check_claims(claims, inputs=(), overwrite=self._overwrite, option="--overwrite")

    def _begin_or_go_on(self, alone: bool) -> None:
        path = self.folder / "options.json"
        try:
            made_with = read_json(path) if path.exists() else {}
        except ValueError as error:
            raise damaged_run(self.place, str(error)) from error
        if made_with and not isinstance(made_with.get("options"), dict):
            raise damaged_run(self.place, f"{path.name} does not hold options")
        if self._records or not alone:
            self._require_same(made_with)
            self._overwrite = self._overwrite or made_with.get("overwrite") is True
            if not alone or self._overwrite == (made_with.get("overwrite") is True):
                return
        else:  # nothing to lose: begin anew
            (self.folder / "probe.npy").unlink(missing_ok=True)
            (self.folder / "written.json").unlink(missing_ok=True)
        # That files may be replaced holds for the run, also where it is killed and started again without the option.
        write_json(path, {"layout": LAYOUT, "options": self.options, "overwrite": self._overwrite})

    def _require_same(self, made_with: dict[str, Any]) -> None:
        differences = option_differences(made_with.get("options", {}), self.options)
        if made_with.get("layout") != LAYOUT:
            differences = f"layout: {made_with.get('layout')} there, {LAYOUT} now"
        if differences:
            raise ValueError(
                f"{self.place} holds an unfinished run with other options ({differences}); "
                f"give the same options to go on, or {start_over(self.place)}"
            )

    def _read_record(self, number: int) -> PartRecord:
        try:
            return read_record(self.path(number, ".json"))
        except ValueError as error:
            raise damaged_run(self.place, str(error)) from error

    @property
    def place(self) -> Path | str:
        """Where the parts lie, for messages."""
        return self.folder

    @property
    def rows(self) -> int:
        """Rows of all finished parts."""
        return sum(record.rows for record in self._records.values())

    def parts_there(self) -> int:
        """How many parts are finished, by whomever."""
        return sum(1 for _ in part_numbers(self.folder))

    def rows_of(self, index: int) -> int:
        """Rows of a finished part."""
        return self._records[index].rows

    def holds(self, index: int) -> bool:
        """Whether a part is finished, by this process or another one.

        Raises:
            ValueError: it is damaged.
        """
        if index not in self._records and not (self._shared and self.path(index, ".json").exists()):
            return False
        record = self._records.get(index) or self._read_record(index)
        self._records[index] = record
        for suffix, size in ((self.format.suffix, record.bytes), (".ids.txt", record.ids_bytes)):
            path = self.path(index, suffix)
            if size is not None and (not path.exists() or path.stat().st_size != size):
                raise damaged_run(self.place, f"{path.name} does not have the {size:,} bytes that were written")
        return True

    def missing(self, parts: int) -> list[int]:
        """Numbers of those of the first `parts` parts that are not finished."""
        return [index for index in range(parts) if not self.holds(index)]

    def keep(self, name: str) -> None:
        """Lets other processes have a file that was made among the parts."""

    def require_made_from(self, index: int, digest: str, last_row: int) -> None:
        """Refuses a finished part of other rows.

        Args:
            index: number of the part.
            digest: hash of the rows that are now in its place.
            last_row: number of the last of them, counted from 1.

        Raises:
            ValueError: it was made from other rows.
        """
        record = self._records[index]
        if record.input != digest:
            raise ValueError(
                f"rows {last_row - record.rows + 1} to {last_row} of the input are not those of the unfinished run in "
                f"{self.place}; {self._way_out()}"
            )

    def write(self, part: EncodedPart) -> None:
        """Make a part; it counts when this returns."""
        path, ids_bytes = self.path(part.index, self.format.suffix), None
        with whole_file(path) as beside:
            self.format.write(beside, part.vectors, part.ids, part.first_row)
        if part.ids is not None and not self.format.holds_ids:
            names = self.path(part.index, ".ids.txt")
            with whole_file(names) as beside:
                write_ids(beside, part.ids, part.first_row)
            ids_bytes = names.stat().st_size
        rows = len(part.vectors)
        record = PartRecord(rows, part.input, part.tokens, part.truncated, path.stat().st_size, ids_bytes)
        write_json(self.path(part.index, ".json"), dataclasses.asdict(record))
        self._records[part.index] = record

    def joined(self, parts: int) -> list[PartRecord]:
        """The records of all parts, in order, to be joined.

        Args:
            parts: how many parts the input has.

        Raises:
            ValueError: there are more parts than that, or a file that was not there at the start is in the way.
        """
        if len(self._records) > parts:
            raise ValueError(
                f"the input has {parts} parts, the unfinished run in {self.place} had made {len(self._records)}; "
                f"{self._way_out()}"
            )
        self._require_allowed()  # again: hours may have passed
        return [self._records[index] for index in range(parts)]

    def _way_out(self) -> str:
        return f"give the same input to go on, or {start_over(self.place)}"

    def path(self, index: int, suffix: str) -> Path:
        """A file of a part."""
        return self.folder / f"part-{index:06d}{suffix}"
