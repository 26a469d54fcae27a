"""Parts: the finished blocks of a long job, kept beside its output until all are there.

`OUTPUT.parts/` holds, for every finished block, its vectors (`part-000000.npy`, with .ids.txt where there are ids) and
then its record (`part-000000.json`), which makes the block count. A record carries the hash of the rows that were
encoded, so a restart needs no trust in names or dates: it reads the input again and takes a part only for the very same
rows. That works alike for files and for pipes. Another set of options is refused before anything is encoded.
"""

import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from instructor_jax.commands.text_files import TextBlock
from instructor_jax.commands.vector_files import VectorFormat, join_bytes, write_ids
from instructor_jax.commands.whole_files import whole_file

_LAYOUT = 1  # of the folder and the summary; raised when they change


@dataclasses.dataclass(frozen=True)
class PartRecord:
    """What is known of one finished part.

    Attributes:
        rows: how many rows it holds.
        input: hash of those rows, `TextBlock.digest`.
        tokens: tokens read by the encoder.
        truncated: texts that were longer than the model's limit.
    """

    rows: int
    input: str
    tokens: int
    truncated: int


class PartStore:
    """The parts of one output; a context, during which no other process can write them.

    Args:
        output: the file that will be made.
        format: how it is written.
        options: everything besides the rows that decides the output's bytes; plain JSON values.

    Raises:
        ValueError: the parts of an unfinished run were made with other options, or another process is writing them.
    """

    def __init__(self, output: Path, format: VectorFormat, options: dict[str, Any]) -> None:
        self.output, self.folder = output, parts_folder(output)
        self._format, self._options = format, options
        self._records: dict[int, PartRecord] = {}

    def __enter__(self) -> "PartStore":
        shutil.rmtree(_leaving(self.output), ignore_errors=True)  # of a run that was killed while it tidied up
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = open(self.folder / "lock", "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in self.folder.glob("part-*.json"):
                self._records[int(path.stem.removeprefix("part-"))] = PartRecord(**(_read_json(path) or {}))
            if self._records:
                self._require_same(_read_json(self.folder / "options.json") or {})
            else:  # nothing to lose: begin anew
                (self.folder / "probe.npy").unlink(missing_ok=True)
                _write_json(self.folder / "options.json", {"layout": _LAYOUT, "options": self._options})
        except BaseException as error:
            self._lock.close()
            if isinstance(error, BlockingIOError):
                raise ValueError(f"{self.folder}: another process is writing these parts; let it finish") from None
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if not self._records:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()

    def _require_same(self, made_with: dict[str, Any]) -> None:
        differences = option_differences(made_with.get("options", {}), self._options)
        if made_with.get("layout") != _LAYOUT:
            differences = f"layout: {made_with.get('layout')} there, {_LAYOUT} now"
        if differences:
            raise ValueError(
                f"{self.folder} holds an unfinished run with other options ({differences}); "
                f"give the same options to go on, or delete the folder to start over: rm -r {self.folder}"
            )

    @property
    def rows(self) -> int:
        """Rows of all finished parts."""
        return sum(record.rows for record in self._records.values())

    def require_probe(self, vector: Shaped[np.ndarray, " dim"], *, tolerance: float) -> bool:
        """Compare the loaded model's vector of a fixed text with that of the run that began these parts.

        It stands for everything that names do not show: weights that were replaced in a folder, another machine.

        Args:
            vector: the vector of the text, float32.
            tolerance: length of the difference, relative to the vector's, that rounding alone can explain.

        Returns:
            whether the vectors are equal bit for bit; False means that this machine rounds differently.

        Raises:
            ValueError: the model is another one.
        """
        path = self.folder / "probe.npy"
        if not path.exists():
            with whole_file(path) as beside, open(beside, "wb") as file:
                np.save(file, vector)
            return True
        before = np.load(path)
        if before.shape != vector.shape or np.linalg.norm(before - vector) > tolerance * np.linalg.norm(before):
            raise ValueError(
                f"{self.folder} was made by another model: the vector of a fixed text differs; "
                f"use that model to go on, or delete the folder to start over: rm -r {self.folder}"
            )
        return bool(np.array_equal(before, vector))

    def holds(self, block: TextBlock) -> bool:
        """Whether the part of a block is finished.

        Raises:
            ValueError: it was made from other rows.
        """
        record = self._records.get(block.index)
        if record is not None and record.input != block.digest():
            last = block.first_row + len(block.texts)
            raise ValueError(
                f"rows {block.first_row + 1} to {last} of the input are not those of the unfinished run in "
                f"{self.folder}; {self._way_out()}"
            )
        return record is not None

    def write(self, block: TextBlock, vectors: Shaped[np.ndarray, "batch dim"], *, tokens: int, truncated: int) -> None:
        """Make the part of a block; it counts when this returns."""
        with whole_file(self._path(block.index, self._format.suffix)) as beside:
            self._format.write(beside, vectors, block.ids, block.first_row)
        if block.ids is not None and not self._format.holds_ids:
            with whole_file(self._path(block.index, ".ids.txt")) as beside:
                write_ids(beside, block.ids, block.first_row)
        record = PartRecord(rows=len(block.texts), input=block.digest(), tokens=tokens, truncated=truncated)
        _write_json(self._path(block.index, ".json"), dataclasses.asdict(record))
        self._records[block.index] = record

    def finish(self, parts: int) -> dict[str, Any]:
        """Join the parts to the output, write its summary beside it, remove the parts.

        Args:
            parts: how many blocks the input had.

        Returns:
            the summary, as `read_summary` gives it later.

        Raises:
            ValueError: there are more parts than the input has blocks.
        """
        if len(self._records) > parts:
            raise ValueError(
                f"the input has {parts} parts, the unfinished run in {self.folder} had made {len(self._records)}; "
                f"{self._way_out()}"
            )
        records = [self._records[index] for index in range(parts)]
        summary = {
            "layout": _LAYOUT,
            "options": self._options,
            "rows": sum(record.rows for record in records),
            "tokens": sum(record.tokens for record in records),
            "truncated": sum(record.truncated for record in records),
            "input": combined_digest([record.input for record in records]),
        }
        ids = [self._path(index, ".ids.txt") for index in range(parts)]
        if ids[0].exists():
            with whole_file(ids_path(self.output)) as beside:
                join_bytes(ids, beside)
        elif not self._format.holds_ids:
            ids_path(self.output).unlink(missing_ok=True)  # of an output that this one replaces
        with whole_file(self.output) as beside:
            self._format.join([self._path(index, self._format.suffix) for index in range(parts)], beside)
        _write_json(summary_path(self.output), summary)
        os.replace(
            self.folder, _leaving(self.output)
        )  # all at once: half a folder would be taken for an unfinished run
        shutil.rmtree(_leaving(self.output))
        return summary

    def _way_out(self) -> str:
        return f"give the same input to go on, or delete the folder to start over: rm -r {self.folder}"

    def _path(self, index: int, suffix: str) -> Path:
        return self.folder / f"part-{index:06d}{suffix}"


def combined_digest(digests: Sequence[str]) -> str:
    """Hash of a whole input from the hashes of its blocks."""
    return hashlib.blake2b("".join(digests).encode("ascii"), digest_size=16).hexdigest()


def option_differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """The options whose values differ, for a message; empty where none does."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return "; ".join(f"{name}: {before.get(name)!r} there, {now.get(name)!r} now" for name in names)


def parts_folder(output: Path) -> Path:
    """Where the parts of an unfinished output lie."""
    return output.with_name(output.name + ".parts")


def summary_path(output: Path) -> Path:
    """The small JSON file beside an output that says how it was made."""
    return output.with_name(output.name + ".json")


def ids_path(output: Path) -> Path:
    """The ids of an output that has no place for them, one a line."""
    return output.with_name(output.stem + ".ids.txt")


def read_summary(output: Path) -> dict[str, Any] | None:
    """How a finished output was made; None where nothing tells."""
    return _read_json(summary_path(output)) if output.exists() else None


def _leaving(output: Path) -> Path:
    return output.with_name(f".{output.name}.parts.finished")


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _write_json(path: Path, value: dict[str, Any]) -> None:
    with whole_file(path) as beside:
        beside.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
