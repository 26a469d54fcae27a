"""Hashes of files, by which what was made with a tokenizer or a model is recognised, or not."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

_TOKENIZER_FILES = (
    "tokenizer.json",
    "spiece.model",
    "sentencepiece.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)


def tokenizer_digest(folder: Path) -> str:
    """Returns the hash of the files that decide how a folder's tokenizer splits texts.

    Raises:
        ValueError: The folder has none of them.
    """
    found = [folder / name for name in _TOKENIZER_FILES if (folder / name).is_file()]
    if not found:
        raise ValueError(f"{folder} has no tokenizer file ({', '.join(_TOKENIZER_FILES[:3])}).")
    return digest_of_files(folder, found)


def digest_of_files(folder: Path, paths: Iterable[Path]) -> str:
    """Returns 16 hexadecimal digits that change with name, size or content of any of a folder's files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(2**22):
                digest.update(block)
    return digest.hexdigest()[:16]
