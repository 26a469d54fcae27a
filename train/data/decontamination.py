"""Rows that are not trained on because one of their texts is evaluation data.

Compared are whole texts without case and punctuation, of 20 characters or more: `medi.contamination`. Queries,
positives and negatives all count, and so do rows that would only have been held out.
"""

import dataclasses
import hashlib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64

from .contamination import EvaluationTexts
from .texts_without_instruction import rows_with_any, text_hashes
from .token_cache import ExampleSource, TokenCache

logger: logging.Logger = logging.getLogger(__name__)

Rows = Mapping[str, Int64[np.ndarray, "_"]]


@dataclasses.dataclass(frozen=True)
class Decontamination:
    """Result of a comparison with evaluation data.

    Attributes:
        sets: Numbers of texts of each evaluation set: those that were compared, and those of them that the mixture has.
        rows: Number of examples of each task that are left out because of them; only tasks that lost any.
        digest: Hash of the evaluation texts.
    """

    sets: dict[str, tuple[int, int]]
    rows: dict[str, int]
    digest: str


def decontaminate(
    source: ExampleSource, cache: TokenCache, texts: Iterable[tuple[str, str]], kept: Rows, held: Rows
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Decontamination]:
    """Returns the examples for training and those held out, without those that have a text of an evaluation set.

    Args:
        source: Mixture of the examples.
        cache: Token cache of the mixture.
        texts: (evaluation set, text) pairs.
        kept: Numbers of the examples of each task for training; a task that has none left is dropped.
        held: Numbers of the examples of each task that are held out; treated likewise.
    """
    known = EvaluationTexts(texts)
    hashes = text_hashes(source, cache)[:, 1]
    known.find(set(np.unique(hashes[hashes != 0]).tolist()))
    rows = rows_with_any(cache, np.isin(hashes, known.any_set) & (hashes != 0))
    kept, lost = _without(rows, kept)
    held, _ = _without(rows, held)
    avoided = Decontamination(known.found(), lost, hashlib.sha256(known.any_set.tobytes()).hexdigest()[:16])
    _tell(avoided)
    return kept, held, avoided


def _without(bad: Bool[np.ndarray, "rows"], tasks: Rows) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    left = {task: rows[~bad[rows]] for task, rows in tasks.items()}
    lost = {task: len(tasks[task]) - len(rows) for task, rows in left.items()}
    return {task: rows for task, rows in left.items() if len(rows)}, {
        task: count for task, count in lost.items() if count
    }


def decontamination_files(places: Iterable[str]) -> list[Path]:
    """Returns the files among the places of `mixture.avoid`; the others are folders.

    Raises:
        FileNotFoundError: A place does not exist.
    """
    paths = [Path(place) for place in places]
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"mixture.avoid: {path} does not exist; it must be a folder or a file of texts.")
    return [path for path in paths if path.is_file()]


def _tell(avoided: Decontamination) -> None:
    compared = sum(texts for texts, _ in avoided.sets.values())
    found = {name: both[1] for name, both in avoided.sets.items() if both[1]}
    logger.info(
        "compared with %d evaluation texts of %d sets: %d rows of %d tasks are left out",
        compared,
        len(avoided.sets),
        sum(avoided.rows.values()),
        len(avoided.rows),
    )
    if found:
        logger.info("  found in training: %s", ", ".join(f"{name} {count}" for name, count in sorted(found.items())))
