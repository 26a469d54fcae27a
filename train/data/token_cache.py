"""`TokenCache`: every text of a mixture as token ids, in memory-mapped files that all workers of a host share.

Rows refer to texts by number, and a text that occurs in several rows of a task is stored once. A cache belongs to one
mixture (its fingerprint), one tokenizer (its files' hash) and one length limit; `token_cache_writer` makes it.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from instructor_jax.io.bounds import INDEX_BYTES
from instructor_jax.io.json_files import Fields, read_json, shown_value

from .example_index import ExampleIndex
from .examples import Example

FORMAT = 1
META = "cache.json"
_REMEDY = "Delete the folder to have it made again."

# name -> type and columns of each file; `tokens` is narrower where the vocabulary allows it
FILES: dict[str, tuple[Any, int]] = {
    "tokens": (np.int32, 1),
    "text_ends": (np.int64, 1),  # where each text ends in `tokens`
    "unpooled": (np.int32, 1),  # leading tokens of each text that are read but not pooled
    "text_hash": (np.uint32, 2),
    "query": (np.int64, 1),  # number of each row's text
    "positive": (np.int64, 1),
    "negative_ends": (np.int64, 1),  # where each row's negatives end in `negative`
    "negative": (np.int64, 1),
    "score": (np.float32, 1),  # NaN: none
    "weight": (np.float32, 1),
    "label": (np.uint32, 1),  # hash of the label; 0: none
}


@runtime_checkable
class ExampleSource(Protocol):
    """Random access to the rows of a mixture; `MediStore` is one."""

    @property
    def fingerprint(self) -> str:
        """Returns a hash of the content."""
        ...

    @property
    def tasks(self) -> tuple[str, ...]:
        """Returns the names of the tasks, in the order of their examples."""
        ...

    def rows(self, task: str) -> range:
        """Returns the numbers of the examples of a task; tasks lie end to end from number 0 on."""
        ...

    def read(self, rows: Sequence[int]) -> list[Example]:
        """Returns the examples of these numbers."""
        ...


@runtime_checkable
class Mixture(ExampleSource, Protocol):
    """A mixture that also tells where its tasks come from: `MediStore`, or rows in memory."""

    folder: Path

    def entry(self, task: str) -> dict[str, Any]:
        """Returns the metadata of a task: its `instructions` with their counts, and `about`, e.g. its licence."""
        ...


@dataclasses.dataclass(frozen=True)
class CacheKey:
    """What a token cache depends on."""

    fingerprint: str  # of the mixture
    tokenizer: str  # hash of the tokenizer's files
    max_length: int
    pool_instruction: bool = False

    @property
    def name(self) -> str:
        """Returns a short name for a folder."""
        return hashlib.sha256(json.dumps([FORMAT, *dataclasses.astuple(self)]).encode()).hexdigest()[:16]


class TokenCache:
    """A finished cache, read-only. Pickles as its path; safe to use from several threads."""

    folder: Path
    meta: dict[str, Any]
    key: CacheKey

    def __init__(self, folder: Path) -> None:
        """Opens a cache; reads nothing but the description and the files' sizes.

        Raises:
            FileNotFoundError: There is none.
            ValueError: It was written by another version, or a file does not have the size it should have.
        """
        self.folder = Path(folder)
        path = self.folder / META
        if not path.is_file():
            raise FileNotFoundError(f"{self.folder} holds no token cache.")
        try:
            self.meta, self.key = _checked_meta(path)
        except ValueError as error:
            raise ValueError(f"{error} {_REMEDY}") from error
        for name in FILES:
            file = self.folder / f"{name}.bin"
            size = file.stat().st_size if file.is_file() else 0
            if size != self.meta["bytes"][name]:
                raise ValueError(f"{file} has {size} bytes instead of {self.meta['bytes'][name]}. {_REMEDY}")

    def __reduce__(self) -> tuple[Any, ...]:
        return TokenCache, (self.folder,)

    @property
    def tasks(self) -> dict[str, range]:
        """Returns the numbers of the examples of each task."""
        return {name: range(*bounds) for name, bounds in self.meta["tasks"].items()}

    def array(self, name: str) -> np.ndarray:
        """Returns one of the files of `FILES`, memory-mapped."""
        return self._arrays[name]

    @functools.cached_property
    def rows(self) -> ExampleIndex:
        """Returns which texts the examples consist of, and their lengths.

        Raises:
            ValueError: The files do not fit together.
        """
        ends = self.array("text_ends")
        if not self._consistent():
            raise ValueError(f"the token cache {self.folder} is damaged. {_REMEDY}")
        lengths = np.diff(ends, prepend=0).astype(np.int32)
        return ExampleIndex(lengths, *(self.array(name) for name in ("query", "positive", "negative", "negative_ends")))

    def _consistent(self) -> bool:
        """Checks that texts end in the tokens, one behind the other, and that examples name texts that there are."""
        ends, negative_ends = self.array("text_ends"), self.array("negative_ends")
        texts, tokens, listed = len(ends), len(self.array("tokens")), len(self.array("negative"))
        numbers = (self.array(name) for name in ("query", "positive", "negative"))
        return (
            _ascending(ends, tokens)
            and _ascending(negative_ends, listed)
            and all(not len(one) or (one.min() >= 0 and one.max() < texts) for one in numbers)
        )

    @functools.cached_property
    def has(self) -> frozenset[str]:
        """Returns which of score, weight and label are given for any example."""
        return frozenset(self.meta["has"])

    @functools.cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        arrays = {}
        for name, (kind, columns) in FILES.items():
            path = self.folder / f"{name}.bin"
            dtype = np.dtype(self.meta["tokens"] if name == "tokens" else kind)
            empty = not path.stat().st_size  # an empty file cannot be mapped
            flat = np.empty(0, dtype) if empty else np.memmap(path, dtype, mode="r")
            arrays[name] = flat.reshape(-1, columns) if columns > 1 else flat
        return arrays


def _checked_meta(path: Path) -> tuple[dict[str, Any], CacheKey]:
    """Returns the description of a cache, after a check of everything in it.

    Raises:
        ValueError: Something is not as it is written.
    """
    meta = read_json(path, limit=INDEX_BYTES)
    fields = Fields(meta, path)
    if fields.any("format") != FORMAT:
        raise ValueError(f"{path.parent} is of format {shown_value(fields.any('format'))}, not {FORMAT}.")
    key = Fields(fields.any("key"), f"{path}, key")
    found = CacheKey(
        key.text("fingerprint"), key.text("tokenizer"), key.whole("max_length"), key.flag("pool_instruction")
    )
    if fields.text("tokens") not in ("uint16", "int32"):
        raise ValueError(f"{path} has tokens={shown_value(meta['tokens'])}; they must be uint16 or int32.")
    sizes, end = Fields(fields.any("bytes"), f"{path}, bytes"), 0
    for task, bounds in Fields(fields.any("tasks"), f"{path}, tasks").content.items():
        whole = isinstance(bounds, list) and len(bounds) == 2 and all(type(one) is int for one in bounds)
        if not whole or bounds[0] != end or bounds[1] < end:
            raise ValueError(f"{path}: the rows of task {task!r} must begin at {end}.")
        end = bounds[1]
    counts = {"rows": end, "texts": fields.whole("texts", most=2**48), "listed": fields.whole("listed", most=2**48)}
    for name, (kind, columns) in FILES.items():
        size = sizes.whole(name, most=2**60)
        expected = None if name == "tokens" else counts[_COUNTED[name]] * columns * np.dtype(kind).itemsize
        if expected not in (None, size) or size % np.dtype(meta["tokens"] if name == "tokens" else kind).itemsize:
            raise ValueError(f"{path}: {name}.bin has {size} bytes by it, which does not fit the number of rows.")
    if not isinstance(fields.any("has", []), list) or not set(fields.any("has", [])) <= {"score", "weight", "label"}:
        raise ValueError(f"{path} has has={shown_value(meta['has'])}; it must list score, weight or label.")
    return meta, found


# what each file has an entry for
_COUNTED = {
    **dict.fromkeys(("text_ends", "unpooled", "text_hash"), "texts"),
    **dict.fromkeys(("query", "positive", "negative_ends", "score", "weight", "label"), "rows"),
    "negative": "listed",
}


def _ascending(ends: np.ndarray, last: int) -> bool:
    if not len(ends):
        return last == 0
    return bool(ends[0] >= 0 and ends[-1] == last and (np.diff(ends) >= 0).all())


@dataclasses.dataclass(frozen=True)
class Reading:
    """A mixture as it is read, with or without instructions, and its tokens."""

    source: ExampleSource
    cache: TokenCache
