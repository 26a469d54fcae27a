"""Parts: the finished blocks of a long job, kept beside its output until all are there.

`OUTPUT.parts/` holds, for every finished block, its vectors (`part-000000.npy`, with .ids.txt where there are ids) and
then its record (`part-000000.json`), which makes the block count. A record carries the hash of the rows that were
encoded, so a restart needs no trust in names or dates: it reads the input again and takes a part only for the very same
rows. That works alike for files and for pipes. Another set of options is refused before anything is encoded.
"""

import contextlib
import dataclasses
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from instructor_jax.commands.encode.output_files import (
    LAYOUT,
    identity,
    ids_are_ours,
    ids_path,
    leaving_folder,
    output_claims,
    part_numbers,
    parts_folder,
    remove_parts_folder,
    summary_path,
    written_files,
)
from instructor_jax.commands.encode.part_records import (
    PartRecord,
    combined_digest,
    damaged_run,
    option_differences,
    read_record,
    start_over,
    write_json,
)
from instructor_jax.commands.encode.vector_files import VectorFormat, join_bytes, write_ids
from instructor_jax.commands.text_blocks import TextBlock
from instructor_jax.io.atomic import whole_file
from instructor_jax.io.file_lock import lock
from instructor_jax.io.json_files import read_json
from instructor_jax.io.ownership import check_claims

logger = logging.getLogger(__name__)


class PartStore:
    """The parts of one output; a context, during which no other process can write them.

    Args:
        output: the file that will be made.
        format: how it is written.
        options: everything besides the rows that decides the output's bytes; plain JSON values.
        overwrite: whether files of these names that are not of this command may be replaced.

    Raises:
        ValueError: the parts of an unfinished run were made with other options, are damaged, or another process is
            writing them; or a file that is not of this command is in the way.
    """

    def __init__(self, output: Path, format: VectorFormat, options: dict[str, Any], *, overwrite: bool = False) -> None:
        self.output, self.folder = output, parts_folder(output)
        self._format, self._options, self._overwrite = format, options, overwrite
        self._records: dict[int, PartRecord] = {}
        self._require_allowed()

    def __enter__(self) -> "PartStore":
        remove_parts_folder(leaving_folder(self.output))  # of a run that was killed while it tidied up
        self.folder.mkdir(parents=True, exist_ok=True)
        held = self.folder / "lock"
        self._lock = os.open(held, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            lock(self._lock)
            if not (held.exists() and os.path.samestat(held.stat(), os.fstat(self._lock))):
                raise BlockingIOError  # finished and removed by another process a moment ago
            self._records = {number: self._read_record(number) for number in part_numbers(self.folder)}
            self._begin_or_go_on()
        except BaseException as error:
            os.close(self._lock)
            if isinstance(error, BlockingIOError):
                raise ValueError(f"{self.folder}: another process is writing these parts; let it finish") from None
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if not self._records:
            remove_parts_folder(self.folder)
        os.close(self._lock)

    def _require_allowed(self) -> None:
        claims = output_claims(self.output, ids_beside=not self._format.holds_ids)
        check_claims(claims, inputs=(), overwrite=self._overwrite, option="--overwrite")

    def _begin_or_go_on(self) -> None:
        path = self.folder / "options.json"
        try:
            made_with = read_json(path) if path.exists() else {}
        except ValueError as error:
            raise damaged_run(self.folder, str(error)) from error
        if made_with and not isinstance(made_with.get("options"), dict):
            raise damaged_run(self.folder, f"{path.name} does not hold options")
        if self._records:
            self._require_same(made_with)
            self._overwrite = self._overwrite or made_with.get("overwrite") is True
            if self._overwrite == (made_with.get("overwrite") is True):
                return
        else:  # nothing to lose: begin anew
            (self.folder / "probe.npy").unlink(missing_ok=True)
            (self.folder / "written.json").unlink(missing_ok=True)
        # That files may be replaced holds for the run, also where it is killed and started again without the option.
        write_json(path, {"layout": LAYOUT, "options": self._options, "overwrite": self._overwrite})

    def _require_same(self, made_with: dict[str, Any]) -> None:
        differences = option_differences(made_with.get("options", {}), self._options)
        if made_with.get("layout") != LAYOUT:
            differences = f"layout: {made_with.get('layout')} there, {LAYOUT} now"
        if differences:
            raise ValueError(
                f"{self.folder} holds an unfinished run with other options ({differences}); "
                f"give the same options to go on, or {start_over(self.folder)}"
            )

    def _read_record(self, number: int) -> PartRecord:
        try:
            return read_record(self._path(number, ".json"))
        except ValueError as error:
            raise damaged_run(self.folder, str(error)) from error

    @property
    def rows(self) -> int:
        """Rows of all finished parts."""
        return sum(record.rows for record in self._records.values())

    def holds(self, block: TextBlock) -> bool:
        """Whether the part of a block is finished.

        Raises:
            ValueError: it was made from other rows, or is damaged.
        """
        record = self._records.get(block.index)
        if record is None:
            return False
        if record.input != block.digest():
            last = block.first_row + len(block.texts)
            raise ValueError(
                f"rows {block.first_row + 1} to {last} of the input are not those of the unfinished run in "
                f"{self.folder}; {self._way_out()}"
            )
        for suffix, size in ((self._format.suffix, record.bytes), (".ids.txt", record.ids_bytes)):
            path = self._path(block.index, suffix)
            if size is not None and (not path.exists() or path.stat().st_size != size):
                raise damaged_run(self.folder, f"{path.name} does not have the {size:,} bytes that were written")
        return True

    def write(self, block: TextBlock, vectors: Shaped[np.ndarray, "batch dim"], *, tokens: int, truncated: int) -> None:
        """Make the part of a block; it counts when this returns."""
        path, ids_bytes = self._path(block.index, self._format.suffix), None
        with whole_file(path) as beside:
            self._format.write(beside, vectors, block.ids, block.first_row)
        if block.ids is not None and not self._format.holds_ids:
            names = self._path(block.index, ".ids.txt")
            with whole_file(names) as beside:
                write_ids(beside, block.ids, block.first_row)
            ids_bytes = names.stat().st_size
        record = PartRecord(len(block.texts), block.digest(), tokens, truncated, path.stat().st_size, ids_bytes)
        write_json(self._path(block.index, ".json"), dataclasses.asdict(record))
        self._records[block.index] = record

    def finish(self, parts: int) -> dict[str, Any]:
        """Join the parts to the output, write its summary beside it, remove the parts.

        Args:
            parts: how many blocks the input had.

        Returns:
            the summary, as `read_summary` gives it later.

        Raises:
            ValueError: there are more parts than the input has blocks, a part is damaged, or a file that was not there
                at the start is in the way.
        """
        if len(self._records) > parts:
            raise ValueError(
                f"the input has {parts} parts, the unfinished run in {self.folder} had made {len(self._records)}; "
                f"{self._way_out()}"
            )
        self._require_allowed()  # again: hours may have passed
        records = [self._records[index] for index in range(parts)]
        names = [self._path(index, ".ids.txt") for index in range(parts)]
        ids = ids_path(self.output) if names[0].exists() else None
        summary = {
            "layout": LAYOUT,
            "options": self._options,
            "rows": sum(record.rows for record in records),
            "tokens": sum(record.tokens for record in records),
            "truncated": sum(record.truncated for record in records),
            "input": combined_digest([record.input for record in records]),
            "ids": ids and ids.name,
        }
        if ids is not None:
            with self._beside_parts(ids) as beside:
                join_bytes(names, beside)
        elif not self._format.holds_ids:
            self._remove_ids_of_before()
        with self._beside_parts(self.output) as beside:
            try:
                self._format.join([self._path(index, self._format.suffix) for index in range(parts)], beside)
            except ValueError as error:
                raise damaged_run(self.folder, str(error)) from error
        write_json(summary_path(self.output), summary)
        # All at once: half a folder would be taken for an unfinished run.
        os.replace(self.folder, leaving_folder(self.output))
        remove_parts_folder(leaving_folder(self.output))
        return summary

    @contextlib.contextmanager
    def _beside_parts(self, path: Path) -> Iterator[Path]:
        """Like `whole_file`; what is written is noted among the parts before it gets its name."""
        with whole_file(path) as beside:
            yield beside
            written = written_files(self.output)
            written[path.name] = [*written.get(path.name, []), identity(beside)]
            write_json(self.folder / "written.json", written)

    def _remove_ids_of_before(self) -> None:
        path = ids_path(self.output)
        if not os.path.lexists(path):
            return
        if ids_are_ours(self.output):
            path.unlink()
        else:  # only with --overwrite, but there is nothing to replace it by
            logger.warning("%s was not made by this command and stays; it does not belong to %s", path, self.output)

    def _way_out(self) -> str:
        return f"give the same input to go on, or {start_over(self.folder)}"

    def _path(self, index: int, suffix: str) -> Path:
        return self.folder / f"part-{index:06d}{suffix}"
