"""Tasks of opposed instructions that can be made of Super-NaturalInstructions: reviews and their rewriting.

task927 (Yelp, by way of DualRL) turns a displeased sentence into a pleased one and changes nothing else: two texts
alike in what they are about and opposed in feeling, and hundreds of others the other way round.
"""

import functools
from collections.abc import Iterator
from pathlib import Path

from instructor_jax.instructions import Instruction

from .aspects import Labelled, by_aspect
from .sources import Row, Source, pair_source
from .super_natural_instructions import FOLDER, FORMATS, read_task

_TASK = "task927_yelp_negative_to_positive_style_transfer"
_LICENCE = "MIT"  # of its instances
_OBJECTIVES = {"topic": "classifying what it is about", "feeling": "classifying the sentiment"}


def opposed_sources(folder: Path) -> list[Source]:
    """The reviews by topic and by feeling, or nothing where the task file is not below `folder`.

    Args:
        folder: folder with `tasks/`, as of `super_natural_sources`.
    """
    places = [f"{FORMATS[0]}/{_TASK}.json{end}" for end in ("", ".gz")]  # the early format states no licence
    file = next((place for place in places if (folder / place).is_file()), None)
    if file is None:
        return []
    return [
        pair_source(
            f"task927_yelp_{aspect}",
            FOLDER,
            functools.partial(rewritten_aspect, file=file, aspect=aspect),
            Instruction("reviews", "sentence", objective),
            None,
            _LICENCE,
            True,
        )
        for aspect, objective in _OBJECTIVES.items()
    ]


def rewritten_aspect(folder: Path, file: str, aspect: str) -> Iterator[Row]:
    """Sentences of reviews by their "topic", which they share with their rewriting alone, or by their "feeling".

    Args:
        folder: folder of Super-NaturalInstructions.
        file: path of the task file below it.
        aspect: topic or feeling.
    """
    return by_aspect(_reviews(folder, file), aspect)


def _reviews(folder: Path, file: str) -> Iterator[Labelled]:
    for one in read_task(folder, file, labelled=False):
        for feeling, text in (("displeased", one.input), ("pleased", one.output)):
            yield Labelled(text, f"{one.row_id}:{feeling}", {"topic": one.row_id, "feeling": feeling})
