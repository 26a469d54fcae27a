"""Real texts of very different lengths, drawn from any files.

The readers know no data set: every string that reads like prose in a JSON file, every field of a table and every line
of a text file counts as one text. That is all a benchmark of speed needs, since only the lengths matter to it.
"""

import csv
import gzip
import io
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

# Kinds of texts and their lengths in words; a mixed sample has equally many of each.
KINDS: dict[str, tuple[int, int]] = {
    "short": (4, 12),
    "sentence": (13, 35),
    "paragraph": (36, 140),
    "document": (141, 2000),
}
_PER_FILE = 400  # texts of a kind kept from one file, so that no file dominates
_JSON = {".json", ".jsonl", ".jsonlines", ".ndjson"}
_TABLES = {".csv": ",", ".tsv": "\t"}
_LINES = {".txt", ".md", ".rst"}
_LONGEST_FIELD = 1 << 27


def read_pool(paths: Iterable[Path], seed: int) -> dict[str, list[str]]:
    """The texts of files and folders, by kind, without repetitions.

    Args:
        paths: .json, .jsonl, .csv, .tsv, .txt or .md files, also with .gz; of a folder all such files in it.
        seed: decides which texts of a large file are kept.

    Raises:
        ValueError: a file is of another format, or there is no text at all.
        OSError: a path does not exist.
    """
    pool: dict[str, dict[str, None]] = {kind: {} for kind in KINDS}
    files = list(_files(paths))
    for file in files:
        found: dict[str, list[str]] = {kind: [] for kind in KINDS}
        for text in dict.fromkeys(_strings(file)):
            kind = kind_of(text)
            if kind is not None:
                found[kind].append(text)
        for kind, texts in found.items():
            chosen = random.Random(f"{seed} {file.name}").sample(texts, min(_PER_FILE, len(texts)))
            pool[kind].update(dict.fromkeys(chosen))
    if not any(pool.values()):
        raise ValueError(f"no texts of {KINDS['short'][0]} words or more in {', '.join(map(str, files)) or paths}.")
    return {kind: list(texts) for kind, texts in pool.items()}


def sample_texts(pool: dict[str, list[str]], count: int, seed: int) -> list[str]:
    """A shuffled sample of `count` texts, equally many of each kind; where a kind has too few, others fill up.

    Raises:
        ValueError: the pool has fewer than `count` texts.
    """
    total = sum(map(len, pool.values()))
    if not 1 <= count <= total:
        raise ValueError(f"count={count} must be 1 to {total}, the texts found; give more files.")
    rng = random.Random(seed)
    shuffled = [rng.sample(texts, len(texts)) for texts in pool.values()]
    chosen: list[str] = []
    while len(chosen) < count:
        chosen += [texts.pop() for texts in shuffled if texts]
    chosen = chosen[:count]
    rng.shuffle(chosen)
    return chosen


def kind_of(text: str) -> str | None:
    """The kind a text belongs to by its number of words; None for what is too short, too long or no prose."""
    letters = sum(character.isalpha() or character.isspace() for character in text)
    if "\ufffd" in text or letters < 0.8 * len(text):
        return None
    words = len(text.split())
    return next((kind for kind, (least, most) in KINDS.items() if least <= words <= most), None)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.is_file() and _known(file))
        elif _known(path):
            yield path
        else:
            raise ValueError(f"{path}: unknown format; give .json, .jsonl, .csv, .tsv, .txt or .md, also with .gz.")


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def _known(path: Path) -> bool:
    return _suffix(path) in {*_JSON, *_TABLES, *_LINES}


def _strings(path: Path) -> Iterator[str]:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8", errors="replace")
    suffix = _suffix(path)
    if suffix in _JSON:
        found = _leaves(_parsed(path, text))
    elif suffix in _TABLES:
        csv.field_size_limit(_LONGEST_FIELD)
        found = (field for row in csv.reader(io.StringIO(text), delimiter=_TABLES[suffix]) for field in row)
    else:
        found = iter(text.splitlines())
    return (string.strip() for string in found)


def _parsed(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:  # one object a line, whatever the suffix says
        pass
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is neither JSON nor one JSON object a line: {error}.") from error


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
