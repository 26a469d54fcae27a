"""Computes the teacher's vectors that a run needs and that are not on disk yet, in blocks, so that a kill loses one.

A block is a window of some thousand texts in the order of the rows; the teacher sorts it by length. After each block
the description is written anew with the number of vectors; a later call cuts off what a killed one left behind it.
"""

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt64

from instructor_jax.io.atomic import whole_file
from instructor_jax.io.file_lock import one_process
from instructor_jax.io.ownership import extended
from instructor_jax.progress import progress

from ..data.teacher_vectors import FORMAT, HASHES, META, VECTORS, VectorFiles
from ..data.texts_without_instruction import text_hashes, texts_without_instruction
from ..data.token_cache import ExampleSource, TokenCache
from ..distillation import DistillConfig
from .teacher import Teacher, teacher_digest, teacher_folder

logger: logging.Logger = logging.getLogger(__name__)

_BLOCK = 8192  # texts; a minute or two on a CPU

Encode = Callable[[Sequence[str]], Float[np.ndarray, "texts dim"]]


def open_vectors(
    config: DistillConfig,
    parent: Path,
    needed: Sequence[tuple[ExampleSource, TokenCache, Bool[np.ndarray, "_"]]],
    encode: Encode | None = None,
) -> VectorFiles:
    """Opens the teacher's vectors of texts; computes those that are not there.

    Args:
        config: Settings of the teacher.
        parent: Folder of a mixture's vectors, one folder for each teacher, e.g. `data/medi.teacher`.
        needed: Mixtures with their token caches, and which of the texts are needed.
        encode: Teacher as a function; None loads it if any text is missing.

    Raises:
        ValueError: The teacher is no model, or files are damaged.
        ImportError: Sentence-transformers is absent, and vectors are missing.
    """
    place = teacher_folder(config.teacher)
    reading = {
        "teacher": teacher_digest(place),
        "tokens": config.teacher_tokens,
        "prompt": config.teacher_prompt,
        "dtype": config.teacher_dtype,
    }
    folder = parent / hashlib.sha256(json.dumps([FORMAT, reading]).encode()).hexdigest()[:16]
    parent.mkdir(parents=True, exist_ok=True)
    if encode is None:
        encode = Teacher(place, config.teacher_tokens, config.teacher_prompt, config.teacher_dtype)
    for source, cache, wanted in needed:
        hashes = text_hashes(source, cache)[:, 0]
        if len(_missing(VectorFiles.opened(folder), hashes, wanted)):
            with one_process(parent / f"{folder.name}.lock"):
                files = VectorFiles.opened(folder)
                missing = _missing(files, hashes, wanted)
                if len(missing):
                    logger.info("%s: the teacher %s reads %d texts", folder, config.teacher, len(missing))
                    mask = np.zeros(len(hashes), bool)
                    mask[missing] = True
                    _extend(
                        files, encode, texts_without_instruction(source, cache, mask), hashes, len(missing), reading
                    )
    return VectorFiles.opened(folder)


def _missing(files: VectorFiles, hashes: UInt64[np.ndarray, "texts"], wanted: Bool[np.ndarray, "texts"]) -> np.ndarray:
    """Returns the numbers of wanted texts without a vector, one for each text without instruction."""
    candidates = np.flatnonzero(wanted)
    lacking = candidates[files.numbers(hashes[candidates]) < 0]
    _, first = np.unique(hashes[lacking], return_index=True)
    return np.sort(lacking[first])


def _extend(
    files: VectorFiles,
    encode: Encode,
    texts: Iterable[tuple[int, str]],
    hashes: UInt64[np.ndarray, "texts"],
    count: int,
    about: dict[str, Any],
) -> None:
    files.folder.mkdir(parents=True, exist_ok=True)
    with (
        extended(files.folder / VECTORS) as vectors_file,
        extended(files.folder / HASHES) as hashes_file,
        progress("teacher", count, "text") as bar,
    ):
        vectors_file.truncate(2 * files.texts * files.dim)
        hashes_file.truncate(8 * files.texts)
        for block in _blocks(texts):
            vectors = encode([text for _, text in block]).astype(np.float16)
            if not np.isfinite(vectors).all():
                raise ValueError(
                    f"the teacher gives vectors that are not finite, e.g. of {_odd(vectors, block)!r:.80}."
                )
            vectors_file.write(np.ascontiguousarray(vectors).tobytes())
            hashes_file.write(np.ascontiguousarray(hashes[[number for number, _ in block]]).tobytes())
            for file in (vectors_file, hashes_file):
                file.flush()
                os.fsync(file.fileno())
            files = dataclasses.replace(files, texts=files.texts + len(block), dim=vectors.shape[1])
            meta = {"format": FORMAT, "texts": files.texts, "dim": files.dim, **about}
            with whole_file(files.folder / META) as draft:
                draft.write_text(json.dumps(meta), encoding="utf-8")
            bar.update(len(block))


def _blocks(texts: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    left = iter(texts)
    while block := list(islice(left, _BLOCK)):
        yield block


def _odd(vectors: np.ndarray, block: list[tuple[int, str]]) -> str:
    return block[int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])][1]
