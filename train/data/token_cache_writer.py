"""Makes a `TokenCache`: every text tokenised once, task after task, so that an interrupted run goes on where it was.

Files grow in a folder beside the final one, whose name it takes when all is there. After every task the sizes are
noted; a later run cuts the files back to the last note and goes on with the next task. A lock keeps two processes on
one file system from writing the same cache: the second waits, and finds it finished.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from instructor_jax.io.atomic import TEMPORARY, whole_file
from instructor_jax.io.bounds import INDEX_BYTES
from instructor_jax.io.file_lock import one_process
from instructor_jax.io.json_files import Fields, read_json
from instructor_jax.io.ownership import extended, refuse_strangers
from instructor_jax.progress import progress
from instructor_jax.text.tokenization import Pair, Tokenizer

from .examples import Example, Side
from .token_cache import FILES, FORMAT, META, CacheKey, ExampleSource, TokenCache

logger: logging.Logger = logging.getLogger(__name__)

_ROWS_AT_ONCE = 2048
_NOTE = "written.json"
_OURS = re.compile(rf"({'|'.join(FILES)})\.bin|{_NOTE}|{META}|{TEMPORARY}".replace(".json", r"\.json"))


def open_token_cache(
    source: ExampleSource, tokenizer: Tokenizer, digest: str, parent: Path, vocab: int | None = None
) -> TokenCache:
    """Opens the token cache of a mixture for a tokenizer; makes it if it is not there.

    Args:
        source: Mixture of the texts.
        tokenizer: Tokenizer, whose `max_length` and `pool_instruction` count too.
        digest: Hash of the tokenizer's files, `io.tokenizers.digest.tokenizer_digest`.
        parent: Folder of the mixture's caches, each in a folder of its own, e.g. `data/medi.tokens`.
        vocab: Number of ids the tokenizer knows; up to 65,536 they are stored in half the space.

    Raises:
        ValueError: A cache is there, but damaged.
    """
    key = CacheKey(source.fingerprint, digest, tokenizer.max_length, tokenizer.pool_instruction)
    folder = parent / key.name
    if not (folder / META).is_file():
        parent.mkdir(parents=True, exist_ok=True)
        with one_process(parent / f"{key.name}.lock"):
            if not (folder / META).is_file():
                narrow = vocab is not None and vocab <= 2**16
                _write(source, tokenizer, key, folder, np.dtype(np.uint16 if narrow else np.int32))
    return TokenCache(folder)


def _write(source: ExampleSource, tokenizer: Tokenizer, key: CacheKey, folder: Path, dtype: np.dtype[Any]) -> None:
    beside = folder.with_name(f"{folder.name}.writing")
    refuse_strangers(beside, _OURS, "the folder of an unfinished token cache")
    beside.mkdir(exist_ok=True)
    note = _last_note(beside, dtype)
    logger.info("tokenising %d tasks into %s", len(source.tasks), folder)
    with contextlib.ExitStack() as stack:
        files = {name: stack.enter_context(extended(beside / f"{name}.bin")) for name in FILES}
        for name, file in files.items():
            file.truncate(note.bytes[name])
        rows = sum(len(source.rows(task)) for task in source.tasks)
        bar = stack.enter_context(progress("tokenising", rows, "row", initial=note.rows))
        for task in source.tasks:
            if task not in note.tasks:
                note = _write_task(source, tokenizer, task, files, note, bar)
                _flush(files)
                _replace(beside / _NOTE, dataclasses.asdict(note))
    meta = {**dataclasses.asdict(note), "format": FORMAT, "key": dataclasses.asdict(key)}
    _replace(beside / META, meta)
    os.replace(beside, folder)
    (folder / _NOTE).unlink(missing_ok=True)


@dataclasses.dataclass
class _Note:
    """How far the files are written."""

    tokens: str  # dtype of the token ids
    bytes: dict[str, int]
    tasks: dict[str, list[int]]  # first row and end of each
    rows: int
    texts: int
    listed: int  # negatives
    truncated: int  # texts that were longer than the limit
    has: list[str]


def _last_note(folder: Path, dtype: np.dtype[Any]) -> _Note:
    path = folder / _NOTE
    if path.is_file():
        note = _read_note(path)
        whole = note is not None and all(
            (folder / f"{name}.bin").is_file() and (folder / f"{name}.bin").stat().st_size >= size
            for name, size in note.bytes.items()
        )
        if note is not None and whole and note.tokens == dtype.name:
            return note
    return _Note(dtype.name, dict.fromkeys(FILES, 0), {}, 0, 0, 0, 0, [])


def _read_note(path: Path) -> _Note | None:
    """Reads a note; returns None where it is damaged, so that the files are begun anew."""
    try:
        fields = Fields(read_json(path, limit=INDEX_BYTES), path)
        sizes = Fields(fields.any("bytes"), path)
        return _Note(
            tokens=fields.text("tokens"),
            bytes={name: sizes.whole(name, most=2**60) for name in FILES},
            tasks={str(task): [int(one) for one in bounds] for task, bounds in fields.any("tasks").items()},
            rows=fields.whole("rows", most=2**48),
            texts=fields.whole("texts", most=2**48),
            listed=fields.whole("listed", most=2**48),
            truncated=fields.whole("truncated", most=2**48),
            has=[str(name) for name in fields.any("has", [])],
        )
    except (ValueError, TypeError, AttributeError):
        return None


def _write_task(
    source: ExampleSource, tokenizer: Tokenizer, task: str, files: Mapping[str, BinaryIO], note: _Note, bar: Any
) -> _Note:
    """Appends a task's texts and examples; returns how far the files are written then."""
    rows = source.rows(task)
    if rows.start != note.rows:
        raise ValueError(f"task {task!r} begins at row {rows.start}, but the tasks before it have {note.rows} rows.")
    note = dataclasses.replace(note, bytes=dict(note.bytes), tasks=dict(note.tasks), has=list(note.has))
    known: dict[Side, int] = {}
    for start in range(rows.start, rows.stop, _ROWS_AT_ONCE):
        examples = source.read(range(start, min(start + _ROWS_AT_ONCE, rows.stop)))
        parts = {**_texts(examples, tokenizer, known, note), **_rows(examples, known, note)}
        for name, values in parts.items():
            kind = note.tokens if name == "tokens" else FILES[name][0]
            note.bytes[name] += files[name].write(np.ascontiguousarray(values, kind).tobytes())
        bar.update(len(examples))
    note.tasks[task] = [rows.start, rows.stop]
    note.rows = rows.stop
    return note


def _texts(examples: list[Example], tokenizer: Tokenizer, known: dict[Side, int], note: _Note) -> dict[str, np.ndarray]:
    """Tokenises the texts that are new in the task, which get the next numbers."""
    sides = (side for example in examples for side in (example.query, example.positive, *example.negatives))
    fresh = [side for side in dict.fromkeys(sides) if side not in known]
    for side in fresh:
        known[side] = note.texts
        note.texts += 1
    texts = tokenizer([Pair(*side) for side in fresh], on_overflow="truncate")
    note.truncated += int((texts.full_lengths > tokenizer.max_length).sum())
    dtype = np.dtype(note.tokens)
    if texts.tokens.max(initial=0) > np.iinfo(dtype).max:
        raise ValueError(
            f"token id {texts.tokens.max()} is beyond the vocabulary of at most {np.iinfo(dtype).max + 1}."
        )
    begin = note.bytes["tokens"] // dtype.itemsize
    return {
        "tokens": texts.tokens,
        "text_ends": texts.offsets[1:] + begin,
        "unpooled": texts.unpooled,
        "text_hash": np.array([text_hash(side) for side in fresh], np.uint32).reshape(-1, 2),
    }


def _rows(examples: list[Example], known: dict[Side, int], note: _Note) -> dict[str, np.ndarray]:
    counts = np.array([len(example.negatives) for example in examples])
    ends = note.listed + np.cumsum(counts)
    note.listed += int(counts.sum())
    said = {
        "score": np.array([np.nan if example.score is None else example.score for example in examples], np.float32),
        "weight": np.array([example.weight for example in examples], np.float32),
        "label": np.array([label_hash(example.label) for example in examples], np.uint32),
    }
    means = {"score": ~np.isnan(said["score"]), "weight": said["weight"] != 1, "label": said["label"] != 0}
    note.has = sorted({*note.has, *(name for name, mask in means.items() if mask.any())})
    return {
        "query": np.array([known[example.query] for example in examples]),
        "positive": np.array([known[example.positive] for example in examples]),
        "negative_ends": ends,
        "negative": np.array([known[side] for example in examples for side in example.negatives], np.int64),
        **said,
    }


def text_hash(side: Side) -> tuple[int, int]:
    """Hashes instruction and text to 64 bits, as two words."""
    digest = hashlib.blake2b(digest_size=8)
    for part in side:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    whole = digest.digest()
    return int.from_bytes(whole[:4], "little"), int.from_bytes(whole[4:], "little")


def label_hash(label: str | None) -> int:
    """Hashes a label to 32 bits, never 0; 0 for no label."""
    if label is None:
        return 0
    digest = hashlib.blake2b(label.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "little") or 1


def _flush(files: Mapping[str, BinaryIO]) -> None:
    for file in files.values():
        file.flush()
        os.fsync(file.fileno())


def _replace(path: Path, content: dict[str, Any]) -> None:
    with whole_file(path) as draft:
        draft.write_text(json.dumps(content), encoding="utf-8")
