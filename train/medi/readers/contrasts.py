"""Pairs that only the instruction can tell apart: texts alike in one aspect and different in all others.

The same texts become several tasks, one for each aspect they are labelled in. What is a positive under the instruction
of one aspect is a hard negative under that of another, so that a model that overlooks the instruction must fail at one
of them. Mining by similarity would find the opposite: the nearest text of the same class is alike in everything.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..files.records import Row
from .plain_text import squeeze

_LOOKED_AT = 24  # texts drawn for every place; the best one of them is taken


class Labelled(NamedTuple):
    """A text with its value in each aspect that is known of it, such as {"food": "Chinese", "price": "low"}."""

    text: str
    row_id: str
    values: Mapping[str, str]


def by_aspect(texts: Iterable[Labelled], aspect: str) -> Iterator[Row]:
    """Yields each text with one of the same value that is otherwise unlike it, and one of another value that is alike.

    Texts without the aspect are left out, and so are those that no other text agrees with. A text that occurs with
    several values of the aspect says nothing of it and is left out too. Which texts are drawn depends on nothing but
    the texts and their order.

    Args:
        texts: Texts of one set.
        aspect: Name of the aspect that the task is about.
    """
    known = _unambiguous(texts, aspect)
    same: defaultdict[str, list[Labelled]] = defaultdict(list)
    alike: defaultdict[tuple[str, str], list[Labelled]] = defaultdict(list)
    for one in known:
        same[one.values[aspect]].append(one)
        for other in one.values.items():
            alike[other].append(one)
    for one in known:
        value, chance = one.values[aspect], random.Random(f"{aspect}:{one.row_id}")
        agreeing = [other for other in _drawn(chance, same[value]) if other is not one]
        if not agreeing:
            continue
        places = [alike[other] for other in one.values.items() if other[0] != aspect]
        opposed = [other for place in places for other in _drawn(chance, place) if other.values[aspect] != value]
        positive = min(agreeing, key=lambda other: _shared(one, other))
        negatives = (max(opposed, key=lambda other: _shared(one, other)).text,) if opposed else ()
        yield Row(one.text, positive.text, one.row_id, negatives, label=value)


def _unambiguous(texts: Iterable[Labelled], aspect: str) -> list[Labelled]:
    """Returns the first of each text that has the aspect, without texts that have it with several values."""
    first: dict[str, Labelled] = {}
    values: defaultdict[str, set[str]] = defaultdict(set)
    for one in texts:
        if aspect in one.values:
            key = squeeze(one.text).casefold()
            first.setdefault(key, one)
            values[key].add(one.values[aspect])
    return [one for key, one in first.items() if len(values[key]) == 1]


def _drawn(chance: random.Random, texts: list[Labelled]) -> list[Labelled]:
    return chance.sample(texts, min(_LOOKED_AT, len(texts)))


def _shared(one: Labelled, other: Labelled) -> int:
    """Counts the aspects in which two texts have the same value."""
    return len(one.values.items() & other.values.items())
