"""Counting a stored mixture: lengths, instructions, duplicates, and texts that also occur in evaluation data.

One pass over the rows, task by task. Of texts only 8-byte hashes are kept, so the memory is that of the largest task's
numbers plus 8 bytes a row.
"""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt64

from instructor_jax.progress import progress

from ..data.contamination import EvaluationTexts, comparable, hashes_of, text_hash
from ..data.examples import Example, Side
from .storage.store import MediStore

SIDES: tuple["SideName", ...] = ("query", "positive", "negatives")
LENGTH_EDGES = np.unique(np.round(np.geomspace(1, 100_000, 61)).astype(np.int64))  # of the length histograms
SideName = Literal["query", "positive", "negatives"]
Unit = Literal["characters", "words", "tokens"]


@dataclasses.dataclass(frozen=True)
class Lengths:
    """Lengths of one side's texts in one unit.

    Attributes:
        median: Median of all texts, 0 without texts.
        longest: Length of the longest text.
        histogram: Number of texts by length, between the `LENGTH_EDGES`; empty texts are in no bin.
    """

    median: float
    longest: int
    histogram: Int[np.ndarray, " bins"]


@dataclasses.dataclass(frozen=True)
class TaskStats:
    """Counts of one task; `contaminated` are its distinct texts that occur in evaluation data."""

    name: str
    rows: int
    instructions: list[tuple[str, str, int]]
    negatives_per_row: float
    lengths: Mapping[tuple[SideName, Unit], Lengths]
    repeated_rows: int
    contaminated: int
    licence: str


@dataclasses.dataclass(frozen=True)
class MixtureStats:
    """Counts of a mixture.

    Attributes:
        fingerprint: Fingerprint of the store.
        tasks: Counts of each task, in the order of the store.
        units: Units of the lengths: characters, words, and tokens if a tokenizer was given.
        repeated_across: Number of examples whose query and positive another task has, too.
        evaluation: Numbers of texts compared and found in training, by evaluation set; None if no texts were given.
        contaminated: Number of texts by (task, evaluation set).
        negatives: Number of examples by number of hard negatives.
    """

    fingerprint: str
    tasks: list[TaskStats]
    units: tuple[Unit, ...]
    repeated_across: int
    evaluation: dict[str, tuple[int, int]] | None
    contaminated: dict[tuple[str, str], int]
    negatives: dict[int, int]

    @property
    def rows(self) -> int:
        """Returns rows of all tasks."""
        return sum(task.rows for task in self.tasks)


def collect(
    store: MediStore, tokenizer: Path | None = None, evaluation: Iterable[tuple[str, str]] | None = None
) -> MixtureStats:
    """Counts everything the statistics page shows.

    Args:
        store: The mixture.
        tokenizer: A `tokenizer.json`; lengths in tokens are of instruction and text together, as the model reads them.
        evaluation: (evaluation set, text) pairs of every text that must not be trained on.
    """
    count_tokens = _token_counter(tokenizer) if tokenizer else None
    known = None if evaluation is None else EvaluationTexts(evaluation)
    counters = {}
    with progress("counting", len(store), "row") as bar:
        for name in store.tasks:
            counter = _TaskCounter(count_tokens)
            rows = store.rows(name)
            for start in range(0, len(rows), 1024):
                counter.add(store.read(rows[start : start + 1024]))
                bar.update(min(1024, len(rows) - start))
            counters[name] = counter.finished(name, store.entry(name), known)
    tasks_with = np.unique(np.concatenate([one.pairs for one in counters.values()]), return_counts=True)[1]
    return MixtureStats(
        store.fingerprint,
        [one.stats for one in counters.values()],
        ("characters", "words", "tokens") if count_tokens else ("characters", "words"),
        int(tasks_with[tasks_with > 1].sum()),
        known.found() if known else None,
        {(task, name): number for task, one in counters.items() for name, number in one.shared.items()},
        dict(sorted(sum((one.negatives for one in counters.values()), Counter()).items())),
    )


class _Counted(NamedTuple):
    """Counts of a task, with hashes of its distinct pairs, texts by evaluation set, examples by negatives."""

    stats: TaskStats
    pairs: UInt64[np.ndarray, " pairs"]
    shared: dict[str, int]
    negatives: Counter[int]


class _TaskCounter:
    """Gathers counts over the examples of one task."""

    def __init__(self, count_tokens: Any) -> None:
        self.count_tokens = count_tokens
        self.lengths: dict[tuple[SideName, Unit], list[int]] = defaultdict(list)
        self.pairs: list[int] = []
        self.texts: set[int] = set()
        self.negatives: Counter[int] = Counter()

    def add(self, examples: list[Example]) -> None:
        for side in SIDES:
            texts: list[Side] = []
            for one in examples:
                texts += one.negatives if side == "negatives" else (getattr(one, side),)
            self.lengths[side, "characters"] += [len(text.text) for text in texts]
            self.lengths[side, "words"] += [len(text.text.split()) for text in texts]
            if self.count_tokens and texts:
                self.lengths[side, "tokens"] += self.count_tokens(texts)
            self.texts |= hashes_of(text.text for text in texts)
        for one in examples:
            self.pairs.append(text_hash(f"{comparable(one.query.text)}\0{comparable(one.positive.text)}"))
            self.negatives[len(one.negatives)] += 1

    def finished(self, name: str, entry: Mapping[str, Any], known: EvaluationTexts | None) -> _Counted:
        rows = len(self.pairs)
        pairs, times = np.unique(np.array(self.pairs, np.uint64), return_counts=True)
        shared = known.find(self.texts) if known else {"": 0}
        stats = TaskStats(
            name,
            rows,
            [(query, document, number) for query, document, number in entry["instructions"]],
            sum(number * times for number, times in self.negatives.items()) / rows,
            {key: _lengths(values) for key, values in self.lengths.items()},
            int((times - 1).sum()),
            shared.pop(""),
            str(entry["about"].get("licence", "")),
        )
        return _Counted(stats, pairs, shared, self.negatives)


def _lengths(values: list[int]) -> Lengths:
    if not values:
        return Lengths(0.0, 0, np.zeros(len(LENGTH_EDGES) - 1, np.int64))
    numbers: Float[np.ndarray, " texts"] = np.array(values, np.float64)
    histogram = np.histogram(np.minimum(numbers, LENGTH_EDGES[-1]), LENGTH_EDGES)[0]
    return Lengths(float(np.median(numbers)), max(values), histogram)


def _token_counter(path: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception for an absent and for a broken file
        raise ValueError(f"{path} is not a tokenizer.json that can be read: {error}.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda texts: [
        len(one.ids) for one in tokenizer.encode_batch([side.instruction + side.text for side in texts])
    ]
