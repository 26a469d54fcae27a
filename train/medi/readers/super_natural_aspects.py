"""Tasks of opposed instructions that can be made of Super-NaturalInstructions: reviews and their rewriting.

task927 (Yelp, by way of DualRL) turns a displeased sentence into a pleased one and changes nothing else: two texts
alike in what they are about and opposed in feeling, and hundreds of others the other way round.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from instructor_jax.text.instructions import Instruction

from ...data.examples import Example
from ..files.records import Instance, Licence, Row, Source
from .contrasts import Labelled, by_aspect
from .source import pair_source

_TASK = "task927_yelp_negative_to_positive_style_transfer"
_OBJECTIVES = {"topic": "classifying what it is about", "feeling": "classifying the sentiment"}


def opposed_sources(sources: Iterable[Source]) -> list[Source]:
    """Returns the reviews by topic and by feeling, under the licence of the task.

    Nothing where it is not among the sources.

    Args:
        sources: Sources of `super_natural_sources`.
    """
    return [
        pair_source(
            f"task927_yelp_{aspect}",
            one.folder,
            functools.partial(rewritten_aspect, read=one.read, aspect=aspect),
            Instruction("reviews", "sentence", objective),
            None,
            Licence(one.licence, one.redistributable),
        )
        for one in sources
        if one.name == _TASK
        for aspect, objective in _OBJECTIVES.items()
    ]


def rewritten_aspect(folder: Path, read: Callable[[Path], Iterable[Example | Instance]], aspect: str) -> Iterator[Row]:
    """Returns sentences of reviews by "topic", which they share with their rewriting alone, or by "feeling".

    Args:
        folder: Folder of Super-NaturalInstructions.
        read: Reader of the task: displeased input, pleased output.
        aspect: Topic or feeling.
    """
    return by_aspect(_reviews(row for row in read(folder) if isinstance(row, Instance)), aspect)


def _reviews(rewritten: Iterable[Instance]) -> Iterator[Labelled]:
    for one in rewritten:
        for feeling, text in (("displeased", one.input), ("pleased", one.output)):
            yield Labelled(text, f"{one.row_id}:{feeling}", {"topic": one.row_id, "feeling": feeling})
