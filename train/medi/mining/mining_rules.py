"""The two rules by which the rows of a task find a positive and hard negatives among each other.

Su et al. 2023, section 2.3. Classification: the most similar input of the same class is the positive, the most similar
inputs of other classes are hard negatives. Free text: with cosines of inputs x and of outputs y,
s_pos = -cos(x_i, x_j) + cos(y_i, y_j) and s_neg = -s_pos; the largest are taken. Both sums are single inner products,
<[y_i, x_i], [y_j, -x_j]> and <[x_i, y_i], [x_j, -y_j]>, so one blockwise search serves every rule.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int, Int32, Int64

from ...data.examples import Side
from ..files.records import Instance
from ..readers.plain_text import squeeze
from .neighbours import Rules, nearest, unit_rows
from .scorer import Scorer

_SPARE = 8  # candidates looked at per negative where an input occurs with several outputs, but is one negative


@dataclasses.dataclass(frozen=True)
class Mining:
    """How pairs are chosen.

    Attributes:
        negatives: Largest number of hard negatives of an example.
        relative_margin: A negative's similarity to the query is at most (1 - margin) of the positive's, which keeps
            unlabelled positives out; None takes the most similar ones. For free text the outputs are compared.
        keep: Fraction of the pairs that is kept, those with the largest positive score; the paper keeps "the highest".
        agreement: Least cosine of the outputs of a free-text pair; -1 takes any. The paper names no threshold, but of
            the free-text rows of Super-NaturalInstructions two in three have no partner above 0.5 under TF-IDF: their
            outputs are unique, and the largest s_pos is then that of an arbitrary row.
    """

    negatives: int = 1
    relative_margin: float | None = None
    keep: float = 1.0
    agreement: float = -1.0

    def __post_init__(self) -> None:
        if self.negatives < 0:
            raise ValueError(f"negatives={self.negatives} must be at least 0.")
        if self.relative_margin is not None and not 0.0 <= self.relative_margin < 1.0:
            raise ValueError(f"relative_margin={self.relative_margin} must be in [0, 1).")
        if not 0.0 < self.keep <= 1.0:
            raise ValueError(f"keep={self.keep} must be in (0, 1].")
        if not -1.0 <= self.agreement <= 1.0:
            raise ValueError(f"agreement={self.agreement} must be in [-1, 1].")


class Found(NamedTuple):
    """For every row its positive's row (-1: none) with its score (-inf: none), and the rows of its negatives."""

    positive: Int64[np.ndarray, " rows"]
    score: Float32[np.ndarray, " rows"]
    negatives: list[list[int]]


def search_labelled(kept: Sequence[Instance], scorer: Scorer, query: str, mining: Mining) -> Found:
    """Finds the nearest row of the same label, and the nearest ones of other labels."""
    vectors = vectors_of(scorer, [Side(query, one.input) for one in kept])
    labels, ids = numbered(one.label for one in kept), numbered(one.row_id for one in kept)
    best = nearest(vectors, vectors, 1, Rules(equal=[(labels, labels)], unequal=[(ids, ids)]))
    score = best.scores[:, 0]
    negatives: list[list[int]] = [[] for _ in kept]
    if mining.negatives:
        ceiling = None if mining.relative_margin is None else below_margin(score, mining.relative_margin)
        different = [(labels, labels), (ids, ids)]
        others = nearest(vectors, vectors, mining.negatives, Rules(unequal=different, ceiling=ceiling))
        negatives = [[j for j in row if j >= 0] for row in others.indices.tolist()]
    return Found(best.indices[:, 0], score, negatives)


def search_free_text(kept: Sequence[Instance], scorer: Scorer, query: str, mining: Mining) -> Found:
    """Finds the largest s_pos and the largest s_neg among rows with other inputs, and for s_neg with other outputs."""
    x = vectors_of(scorer, [Side(query, one.input) for one in kept])
    y = vectors_of(scorer, [Side("", one.output) for one in kept])
    texts, outputs = numbered(normalised(one.input) for one in kept), numbered(normalised(one.output) for one in kept)
    ids, dim = numbered(one.row_id for one in kept), y.shape[1]
    same = [(texts, texts), (ids, ids)]
    # Cosines as computed may exceed 1 by rounding, and so fall below it: without a threshold there is no floor at all.
    floor = None if mining.agreement == -1.0 else (dim, np.full(len(kept), mining.agreement - 1e-6))
    best = nearest(np.hstack([y, x]), np.hstack([y, -x]), 1, Rules(unequal=same, floor=floor))
    positive, score = best.indices[:, 0], best.scores[:, 0]
    if not mining.negatives:
        return Found(positive, score, [[] for _ in kept])
    different = [*same, (outputs, outputs), (texts[positive], texts), (outputs[positive], outputs)]
    if mining.relative_margin is not None:
        agreement = np.einsum("qe,qe->q", y, y[positive])
        floor = dim, -below_margin(agreement, mining.relative_margin)
    unique = len(set(texts.tolist())) == len(kept)
    candidates = nearest(
        np.hstack([y, x]),
        np.hstack([-y, x]),
        mining.negatives * (1 if unique else _SPARE),
        Rules(
            unequal=different,
            forbidden=_known_alike(texts, outputs),
            floor=None if mining.relative_margin is None else floor,
        ),
    )
    nearest_first = [[j for j in row if j >= 0] for row in candidates.indices.tolist()]
    return Found(positive, score, [_distinct_texts(row, texts)[: mining.negatives] for row in nearest_first])


def _distinct_texts(row: Iterable[int], texts: Int32[np.ndarray, " rows"]) -> list[int]:
    """Returns the rows in their order, without those whose text came before."""
    first: dict[int, int] = {}
    for j in row:
        first.setdefault(int(texts[j]), j)
    return list(first.values())


def below_margin(score: Float[np.ndarray, " rows"], margin: float) -> Float32[np.ndarray, " rows"]:
    """Returns the largest similarity that a negative may have beside a positive of this similarity."""
    return (score - margin * np.abs(np.where(np.isfinite(score), score, 0))).astype(np.float32)


def _known_alike(texts: Int32[np.ndarray, " rows"], outputs: Int32[np.ndarray, " rows"]) -> Int[np.ndarray, "pairs 2"]:
    """Returns (i, j) where the inputs of both rows are known to share an output, though not that of these very rows.

    Such rows exist only where an input occurs several times with several outputs; equal outputs of i and j themselves
    are left to the search.
    """
    known: dict[int, set[int]] = defaultdict(set)
    for text, output in zip(texts.tolist(), outputs.tolist(), strict=True):
        known[text].add(output)
    having: dict[int, list[int]] = defaultdict(list)
    for row, text in enumerate(texts.tolist()):
        for output in known[text]:
            having[output].append(row)
    pairs = [np.zeros((0, 2), np.int64)]
    for output, rows in having.items():
        every = np.array(rows)
        elsewhere = every[outputs[every] != output]
        if len(elsewhere):
            one, other = np.repeat(elsewhere, len(every)), np.tile(every, len(elsewhere))
            pairs += [np.stack([one, other], axis=1), np.stack([other, one], axis=1)]
    return np.concatenate(pairs)


def normalised(text: str) -> str:
    """Returns the text under which duplicates are found: case and white space do not count."""
    return squeeze(text).casefold()


def vectors_of(scorer: Scorer, sides: Sequence[Side]) -> Float32[np.ndarray, "rows dim"]:
    """Returns unit vectors of the sides; equal sides are scored once, all in one call."""
    distinct = list(dict.fromkeys(sides))
    place = {side: i for i, side in enumerate(distinct)}
    return unit_rows(scorer(distinct))[[place[side] for side in sides]]


def numbered(values: Iterable[Hashable]) -> Int32[np.ndarray, " rows"]:
    """Returns a number for each value, equal for equal values."""
    numbers: dict[Hashable, int] = {}
    return np.fromiter((numbers.setdefault(value, len(numbers)) for value in values), np.int32)
