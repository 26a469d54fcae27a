"""All texts of the local evaluation sets, so that training can leave them out."""

import logging
from collections.abc import Iterator
from pathlib import Path

from instructor_jax.evaluation.local.records import (
    ClusterSets,
    JudgedDocuments,
    LabelledPairs,
    Record,
    ScoredPairs,
    TrainTest,
)
from instructor_jax.evaluation.local.sources import SOURCES

logger: logging.Logger = logging.getLogger(__name__)


def local_texts(data: Path) -> Iterator[tuple[str, str]]:
    """Yields (task, text) of every text of the evaluation sets in a folder, those that only fit a classifier included.

    Raises:
        ValueError: the folder has none of the sets, or a file is not as expected.
    """
    found = [source for source in SOURCES if (data / source.folder).is_dir()]
    if not found:
        raise ValueError(f"{data} has none of the evaluation sets, such as {SOURCES[0].folder}.")
    for source in found:
        for text in texts_of(source.read(data / source.folder)):
            yield source.task, text


def texts_of(record: Record) -> Iterator[str]:
    """Yields the texts of one set."""
    match record:
        case ScoredPairs(first, second) | LabelledPairs(first, second):
            yield from first
            yield from second
        case TrainTest(train, test):
            yield from train.texts
            yield from test.texts
        case ClusterSets(sets):
            for part in sets:
                yield from part.texts
        case JudgedDocuments(corpus, queries):
            yield from queries.values()
            for document in corpus.values():
                yield document.text
                if document.title:
                    yield f"{document.title} {document.text}"
