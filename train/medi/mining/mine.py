"""Mining: the instances of one task become examples whose positive and hard negatives are neighbours among them.

Nothing depends on the order in which rows arrive: they are sorted by row id first, and ties go to the lower row. What
became of every row is counted, so that a task which mostly vanished is noticed.
"""

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence, Set

import numpy as np
from jaxtyping import Float32

from ...data.examples import Example, Side
from ..files.records import Instance
from ..readers.plain_text import group_id
from .mining_rules import Mining, normalised, search_free_text, search_labelled
from .scorer import Scorer


@dataclasses.dataclass(frozen=True)
class MiningCounts:
    """What became of the rows.

    `rows` is the sum of `empty`, `repeated`, `ambiguous`, `without_positive`, `not_kept` and `examples`.

    Attributes:
        rows: Number of rows read.
        empty: Number of rows with a blank text.
        repeated: Number of rows whose texts (and label) another row has already.
        ambiguous: Number of rows whose text carries several labels.
        without_positive: Number of rows for which no other row qualifies as positive.
        not_kept: Number of rows below the fraction that is kept.
        examples: Number of rows that became examples.
        without_negative: Number of examples without any negative; `short`: with fewer than asked for, those included.
    """

    rows: int
    empty: int = 0
    repeated: int = 0
    ambiguous: int = 0
    without_positive: int = 0
    not_kept: int = 0
    examples: int = 0
    without_negative: int = 0
    short: int = 0


def mine_instances(
    instances: Iterable[Instance],
    scorer: Scorer,
    *,
    task: str,
    query: str,
    document: str,
    mining: Mining,
) -> tuple[list[Example], MiningCounts]:
    """Makes examples of a task from instances, by the classification rule if they have labels, else by the other.

    Args:
        instances: All rows of the task, with unique row ids.
        scorer: Function from texts to vectors.
        task: Name written into the examples.
        query: Instruction of the query.
        document: Instruction of positive and negatives.
        mining: How pairs are chosen.

    Returns:
        The examples in the order of their row ids, and what became of the rows. A negative never has the text of query
        or positive, nor a label or an output that query or positive is known to have.

    Raises:
        ValueError: Some instances have a label and some have none.
    """
    rows = sorted(instances, key=lambda one: (one.row_id, one.input, one.output))
    labelled = bool(rows) and rows[0].label is not None
    for one in rows:
        if (one.label is not None) != labelled:
            raise ValueError(
                f"task {task!r}: rows {rows[0].row_id!r} and {one.row_id!r} disagree on having a label; give all rows "
                "one (classification) or none (free text)."
            )
    kept, counts = _distinct(rows)
    found = (search_labelled if labelled else search_free_text)(kept, scorer, query, mining)
    chosen = _best_share(found.score, mining.keep)
    # Free-text rows that share an output must not become each other's negatives in a batch.
    labels = [one.label for one in kept] if labelled else _shared_outputs(kept)
    examples = [
        Example(
            Side(query, kept[i].input),
            Side(document, kept[found.positive[i]].input),
            tuple(Side(document, kept[j].input) for j in found.negatives[i]),
            task,
            kept[i].row_id,
            label=labels[i],
        )
        for i in chosen
    ]
    paired = int((found.positive >= 0).sum())
    counts = dataclasses.replace(counts, without_positive=len(kept) - paired, not_kept=paired - len(chosen))
    return examples, with_examples(counts, examples, mining)


def answer_pairs(
    instances: Iterable[Instance], taken: Set[str], *, task: str, query: str, document: str
) -> list[Example]:
    """Makes pairs of input and own output from free-text rows that found no positive.

    Args:
        instances: All rows of the task, with unique row ids.
        taken: Ids of the rows that mining made examples of.
        task: Name written into the pairs.
        query: Instruction of the inputs.
        document: Instruction of the outputs.

    Returns:
        Pairs without negatives, in the order of their row ids; rows with equal outputs share a label.
    """
    rows = sorted((one for one in instances if one.label is None), key=lambda one: (one.row_id, one.input, one.output))
    kept = [one for one in _distinct(rows)[0] if one.row_id not in taken]
    kept = [one for one in kept if normalised(one.input) != normalised(one.output)]
    return [
        Example(Side(query, one.input), Side(document, one.output), (), task, one.row_id, label=label)
        for one, label in zip(kept, _shared_outputs(kept), strict=True)
    ]


def with_examples(counts: MiningCounts, examples: Sequence[Example], mining: Mining) -> MiningCounts:
    """Returns the counts with those of the finished examples filled in."""
    missing = [mining.negatives - len(one.negatives) for one in examples]
    return dataclasses.replace(
        counts,
        examples=len(examples),
        without_negative=sum(not one.negatives for one in examples),
        short=sum(lack > 0 for lack in missing),
    )


def _distinct(rows: Sequence[Instance]) -> tuple[list[Instance], MiningCounts]:
    """Returns rows with distinct content and one label per text, and how many were left out."""
    labels_of: dict[str, set[str | None]] = defaultdict(set)
    for one in rows:
        labels_of[normalised(one.input)].add(one.label)
    seen: set[tuple[str, str]] = set()
    kept: list[Instance] = []
    empty = repeated = ambiguous = 0
    for one in rows:
        text, meaning = normalised(one.input), normalised(one.output) if one.label is None else one.label
        if not text or (one.label is None and not meaning):
            empty += 1
        elif len(labels_of[text]) > 1:
            ambiguous += 1
        elif (text, meaning) in seen:
            repeated += 1
        else:
            seen.add((text, meaning))
            kept.append(one)
    return kept, MiningCounts(len(rows), empty, repeated, ambiguous)


def _best_share(score: Float32[np.ndarray, " rows"], share: float) -> list[int]:
    """Returns rows with a positive, in order: the fraction of them with the largest scores, ties to the lower row."""
    found = np.flatnonzero(score > -np.inf)
    best = found[np.argsort(-score[found], kind="stable")][: math.ceil(share * len(found))]
    return sorted(best.tolist())


def _shared_outputs(kept: Sequence[Instance]) -> list[str | None]:
    outputs = [normalised(one.output) for one in kept]
    times = Counter(outputs)
    return [group_id(output) if times[output] > 1 else None for output in outputs]
