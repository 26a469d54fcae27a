"""What is trained on: triples of several real tasks with their instructions, and the tokenizer both trainers use.

One JSON file holds everything but the weights, so that another machine measures the same work without the mixture it
was drawn from.
"""

import dataclasses
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from workload import train_tokenizer

from instructor_jax.backbones.registry import default_backbone
from instructor_jax.text.new_tokenizer import write_tokenizer
from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.storage.store import MediStore

_VOCABULARY_TEXTS = 30_000


@dataclasses.dataclass(frozen=True)
class TaskRows:
    """A task: the instructions of its two sides, and its rows (query, positive, negative)."""

    query: str
    document: str
    rows: list[list[str]]


@dataclasses.dataclass(frozen=True)
class TrainWorkload:
    """Tasks to train on.

    Attributes:
        tasks: by name.
        tokenizer: the content of a `tokenizer.json`.
    """

    tasks: dict[str, TaskRows]
    tokenizer: str

    def save(self, path: Path) -> None:
        """Writes one JSON file."""
        path.write_text(json.dumps(dataclasses.asdict(self)) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "TrainWorkload":
        """Reads what `save` wrote.

        Raises:
            ValueError: the file is no workload.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            return cls({name: TaskRows(**task) for name, task in fields["tasks"].items()}, fields["tokenizer"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path} is no training workload (made by --save-workload): {error!r}.") from error

    def describe(self, max_length: int) -> dict[str, Any]:
        """Numbers of tasks and rows, and the tokens of their texts, cut at `max_length`, as JSON values."""
        tokenizer = Tokenizer.from_str(self.tokenizer)
        strings = [
            (task.document if column else task.query) + text
            for task in self.tasks.values()
            for row in task.rows
            for column, text in enumerate(row)
        ]
        counts = np.minimum([len(row.ids) for row in tokenizer.encode_batch(strings)], max_length)
        quantiles = {"5 %": 5, "25 %": 25, "half": 50, "75 %": 75, "95 %": 95}
        return {
            "tasks": len(self.tasks),
            "rows": sum(len(task.rows) for task in self.tasks.values()),
            "mean_tokens": float(counts.mean()),
            "token_quantiles": {name: int(np.percentile(counts, share)) for name, share in quantiles.items()},
            "vocabulary": tokenizer.get_vocab_size(),
        }

    def write_tokenizer(self, folder: Path) -> None:
        """Writes the tokenizer's files as both libraries read them."""
        write_tokenizer(self.tokenizer, default_backbone().tokenizer, folder)


class WorkloadSource:
    """The workload as a mixture, for the token cache of our trainer."""

    fingerprint = "benchmark"

    def __init__(self, workload: TrainWorkload) -> None:
        self._examples = [
            Example(
                Side(task.query, query),
                Side(task.document, positive),
                (Side(task.document, negative),),
                name,
                str(number),
            )
            for name, task in workload.tasks.items()
            for number, (query, positive, negative) in enumerate(task.rows)
        ]
        ends = np.cumsum([len(task.rows) for task in workload.tasks.values()]).tolist()
        self._rows = {name: range(a, b) for name, a, b in zip(workload.tasks, [0, *ends], ends, strict=False)}
        self.tasks = tuple(self._rows)

    def rows(self, task: str) -> range:
        """The rows of a task."""
        return self._rows[task]

    def read(self, rows: Sequence[int]) -> list[Example]:
        """Examples by their numbers."""
        return [self._examples[row] for row in rows]


def draw_workload(store: Path, tasks: int, rows: int, seed: int) -> TrainWorkload:
    """Draws tasks with enough triples from a mixture, and the same number of rows from each.

    Args:
        store: a mixture of `instructor-jax medi`.
        tasks: how many; drawn among those with enough rows that have a negative and the task's own instructions.
        rows: of each.
        seed: of the draw.

    Raises:
        ValueError: too few tasks are large enough.
    """
    mixture = MediStore(store)
    names = list(mixture.tasks)
    random.Random(seed).shuffle(names)
    chosen: dict[str, TaskRows] = {}
    for name in names:
        if len(chosen) == tasks:
            break
        if len(mixture.rows(name)) >= rows and (found := _triples(mixture, name, rows, seed)) is not None:
            chosen[name] = found
    if len(chosen) < tasks:
        raise ValueError(f"only {len(chosen)} of {tasks} tasks of {store} have {rows} triples; ask for fewer.")
    texts = [text for task in chosen.values() for row in task.rows for text in row]
    random.Random(seed).shuffle(texts)
    instructions = " ".join(part for task in chosen.values() for part in (task.query, task.document))
    return TrainWorkload(chosen, train_tokenizer(texts[:_VOCABULARY_TEXTS], instructions).to_str())


def _triples(mixture: MediStore, name: str, count: int, seed: int) -> TaskRows | None:
    numbers = list(mixture.rows(name))
    random.Random(seed).shuffle(numbers)
    found: TaskRows | None = None
    for example in mixture.read(sorted(numbers[: 3 * count])):
        if not example.negatives:
            continue
        sides = (example.query, example.positive, example.negatives[0])
        found = found or TaskRows(sides[0].instruction, sides[1].instruction, [])
        # the peer takes one prompt a column
        if [side.instruction for side in sides] == [found.query, found.document, found.document]:
            found.rows.append([side.text.strip() for side in sides])
        if len(found.rows) == count:
            return found
    return None
