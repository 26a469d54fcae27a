"""What is written as one part, and the record of a finished one: rows, a hash of what they were, its files' sizes."""

import dataclasses
import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from instructor_jax.io.atomic import whole_file
from instructor_jax.io.json_files import Fields, read_json
from instructor_jax.io.printable import json_text

_LARGEST = 1 << 62  # counts and sizes are 64-bit integers


@dataclasses.dataclass(frozen=True)
class PartRecord:
    """What is known of one finished part.

    Attributes:
        rows: how many rows it holds.
        input: hash of those rows, `part_digest`.
        tokens: tokens read by the encoder.
        truncated: texts that were longer than the model's limit.
        bytes: size of the file of vectors, by which one that was cut is noticed; None in parts of older versions.
        ids_bytes: size of the file of ids; None where there is none.
    """

    rows: int
    input: str
    tokens: int
    truncated: int
    bytes: int | None = None
    ids_bytes: int | None = None


@dataclasses.dataclass(frozen=True)
class EncodedPart:
    """What is written as one part.

    Attributes:
        index: number of the part.
        first_row: number of its first row, from 0.
        vectors: [rows, dim], or the bytes of a small precision.
        ids: one for each row, or None.
        input: hash of its rows, `part_digest`.
        tokens: tokens read by the encoder.
        truncated: texts that were longer than the model's limit.
    """

    index: int
    first_row: int
    vectors: np.ndarray
    ids: list[str] | None
    input: str
    tokens: int
    truncated: int


def read_record(path: Path) -> PartRecord:
    """Reads the record of a part.

    Raises:
        ValueError: the file is damaged.
    """
    fields = Fields(read_json(path), path)
    return PartRecord(
        fields.whole("rows", least=1, most=_LARGEST),
        fields.text("input"),
        fields.whole("tokens", most=_LARGEST),
        fields.whole("truncated", most=_LARGEST),
        *(fields.whole(key, most=_LARGEST) if key in fields else None for key in ("bytes", "ids_bytes")),
    )


def part_digest(blocks: Sequence[str]) -> str:
    """Returns the hash of a part's rows from the hashes of its blocks, which is nearly always a single one."""
    return blocks[0] if len(blocks) == 1 else combined_digest(blocks)


def combined_digest(digests: Sequence[str]) -> str:
    """Returns the hash of a whole input from the hashes of its blocks."""
    return hashlib.blake2b("".join(digests).encode("ascii"), digest_size=16).hexdigest()


def option_differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Returns the options whose values differ, for a message; empty where none does."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return "; ".join(f"{name}: {before.get(name)!r} there, {now.get(name)!r} now" for name in names)


def damaged_run(folder: Path | str, reason: str) -> ValueError:
    """Returns the error for parts that cannot be used, with the way to begin anew."""
    return ValueError(f"{folder} holds a damaged unfinished run ({reason}); {start_over(folder)}")


def start_over(folder: Path | str) -> str:
    """Returns what a user does to begin anew, for a message."""
    if isinstance(folder, str):
        return f"delete the folder {folder} to start over"
    return f"delete the folder to start over: rm -r {shlex.quote(str(folder))}"


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes an object as JSON, whole or not at all."""
    with whole_file(path) as beside:
        beside.write_text(json_text(value, indent=2) + "\n", encoding="utf-8")
