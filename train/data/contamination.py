"""Texts of the mixture that also occur in evaluation data: whole texts, compared without case and punctuation.

Only 8-byte hashes are kept; two different texts share one with a probability of 1e-7 among a million.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt64

from instructor_jax.io.json_files import parse_json, shown_value
from instructor_jax.io.tables.gzip_files import byte_lines, open_bytes

SHORTEST = 20  # characters of a text that is compared; shorter ones coincide by chance


def comparable(text: str) -> str:
    """Returns a text as it is compared with evaluation data: lower case, without punctuation, single spaces."""
    return " ".join(re.sub(r"[^\w\s]|_", "", text.lower()).split())


def text_hash(text: str) -> int:
    """Hashes a text to 64 bits."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def hashes_of(texts: Iterable[str]) -> set[int]:
    """Hashes the texts that are long enough to be compared."""
    return {text_hash(plain) for text in texts if len(plain := comparable(text)) >= SHORTEST}


class EvaluationTexts:
    """Hashes of evaluation texts by set, and which of them were found in training."""

    seen: dict[str, Bool[np.ndarray, " texts"]]
    any_set: UInt64[np.ndarray, " texts"]

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        sets: dict[str, set[int]] = defaultdict(set)
        for name, text in texts:
            sets[name] |= hashes_of([text])
        self.sets: dict[str, UInt64[np.ndarray, " texts"]] = {
            name: np.sort(np.fromiter(hashes, np.uint64)) for name, hashes in sets.items()
        }
        self.seen = {name: np.zeros(len(hashes), bool) for name, hashes in self.sets.items()}
        self.any_set = np.unique(np.concatenate([np.zeros(0, np.uint64), *self.sets.values()]))

    def find(self, texts: Set[int]) -> dict[str, int]:
        """Marks which evaluation texts are among these hashes.

        Returns how many each set has, and under "" how many any set has.
        """
        ours = np.intersect1d(np.fromiter(texts, np.uint64), self.any_set, assume_unique=True)
        found = {"": len(ours)}
        for name, hashes in self.sets.items() if len(ours) else ():
            self.seen[name] |= np.isin(hashes, ours)
            inside = int(np.isin(ours, hashes).sum())
            if inside:
                found[name] = inside
        return found

    def found(self) -> dict[str, tuple[int, int]]:
        """Returns for each evaluation set the number of its texts, and of those found so far."""
        return {name: (len(seen), int(seen.sum())) for name, seen in sorted(self.seen.items())}


def read_evaluation_texts(paths: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Yields (file's name, text) of files of texts: `.txt`, one a line, or `.jsonl` with a field "text".

    Each also `.gz`.

    Raises:
        ValueError: Another kind of file, or a line without text.
    """
    for path in paths:
        plain = Path(path.name.removesuffix(".gz"))
        if plain.suffix not in (".txt", ".jsonl"):
            raise ValueError(f"{path} must end in .txt or .jsonl (.gz allowed).")
        with open_bytes(path) as file:
            for number, line in enumerate(byte_lines(file, path), start=1):
                yield plain.stem, (_decoded if plain.suffix == ".txt" else _text_field)(line, path, number)


def _decoded(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}, line {number}: byte {error.start} is not UTF-8 ({error.reason}).") from error


def _text_field(line: bytes, path: Path, number: int) -> str:
    record = parse_json(line, f"{path}, line {number}", unique=True)
    if not isinstance(record, dict) or "text" not in record:
        raise ValueError(f"{path}, line {number}: must be a JSON object with the field 'text'.")
    if not isinstance(record["text"], str):
        raise ValueError(f"{path}, line {number}: 'text' must be a text, is {shown_value(record['text'])}.")
    return record["text"]
