"""`from_memory`: rows that a program holds, as a mixture that training reads like one on disk.

Rows are lists of `Example` or of dicts, Hugging Face datasets, or anything else with a length. All are read once when
the mixture is made: that finds wrong rows before any work, counts tasks, and gives the digest that a run notes, so that
it goes on with the same rows only. A data set with columns is read again row by row; all other rows are kept.
"""

import functools
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data.examples import Example, Side
from ..data.token_cache import Mixture
from .rows import Columns, Records, read_pairs

_PLACE = Path("examples")  # what messages call the rows
_ROWS_AT_ONCE = 1024
_LISTED_INSTRUCTIONS = 20
_FORMS = (
    "a list of Example or of dicts such as {'query': ..., 'positive': ...}, a Hugging Face dataset, or another "
    "iterable with a length"
)

_Read = Callable[[Records, str], Iterator[Example]]


def from_memory(
    rows: Any,
    *,
    task: str = "examples",
    query_instruction: str = "",
    document_instruction: str | None = None,
    columns: Columns = Columns(),  # noqa: B008 - frozen
    score_range: tuple[float, float] = (0.0, 1.0),
) -> Mixture:
    """Makes a mixture of rows; one that is a mixture already stays as it is.

    Args:
        rows: A list of `Example` or of dicts, a Hugging Face dataset, or another iterable with a length. A dict or a
            row of a dataset has the fields of a row of `instructor-jax medi import` (`query`, `positive`, `negatives`
            or `negative_1`, ..., `score`, `label`, `weight`, `query_instruction`, `document_instruction`) and may have
            `task`.
        task: Name of the task of rows that name none.
        query_instruction: Instruction of queries whose row has none.
        document_instruction: The same for positives and negatives; None for that of the queries.
        columns: Names of the fields, where they are others.
        score_range: Lowest and highest score, brought to [0, 1].

    Raises:
        ValueError: The rows are of another kind, there are none, they are not as many as their length says, or one of
            them is wrong (with its number, from 1).
    """
    if isinstance(rows, Mixture):
        return rows
    _check_kind(rows)
    read: _Read = functools.partial(
        read_pairs,
        query_instruction=query_instruction,
        document_instruction=document_instruction,
        columns=columns,
        score_range=score_range,
    )

    def examples(numbered: Iterable[tuple[int, Any]]) -> Iterator[Example]:
        for number, row in numbered:
            yield _example(row, number, task, read)

    if hasattr(rows, "column_names") and hasattr(rows, "__getitem__"):
        return MemoryMixture(len(rows), lambda numbers: list(examples(_picked(rows, numbers))))
    kept = list(examples(enumerate(rows, 1)))
    if len(kept) != len(rows):
        raise ValueError(f"examples: {len(kept)} rows came, but their length is {len(rows)}; give a list of them.")
    return MemoryMixture(len(kept), lambda numbers: [kept[number] for number in numbers])


class MemoryMixture:
    """Examples in memory, ordered by the names of their tasks; within a task they keep their order."""

    folder: Path
    fingerprint: str

    def __init__(self, count: int, read: Callable[[Sequence[int]], list[Example]]) -> None:
        """
        Args:
            count: Number of rows.
            read: Function from numbers of rows, from 0, to the examples.

        Raises:
            ValueError: There are no rows, or one of them is wrong.
        """
        if not count:
            raise ValueError(f"examples: there is no row; give {_FORMS}.")
        self.folder = _PLACE
        self._read = read
        numbers: dict[str, list[int]] = defaultdict(list)
        instructions: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
        digests: dict[str, Any] = defaultdict(hashlib.sha256)
        for start in range(0, count, _ROWS_AT_ONCE):
            chosen = range(start, min(start + _ROWS_AT_ONCE, count))
            for number, example in zip(chosen, read(chosen), strict=True):
                numbers[example.task].append(number)
                instructions[example.task][example.query.instruction, example.positive.instruction] += 1
                stored = _stored(example)
                digests[example.task].update(len(stored).to_bytes(8, "little") + stored)
        self._ranges: dict[str, range] = {}
        digest, end = hashlib.sha256(), 0
        for task in sorted(numbers):
            self._ranges[task] = range(end, end + len(numbers[task]))
            end += len(numbers[task])
            digest.update(f"{task}\0{digests[task].hexdigest()}\n".encode("utf-8", "surrogatepass"))
        self._order = np.concatenate([np.asarray(numbers[task], np.int64) for task in sorted(numbers)])
        self._instructions = instructions
        self.fingerprint = f"memory-{digest.hexdigest()[:16]}"

    @property
    def tasks(self) -> tuple[str, ...]:
        """Returns the names of the tasks, sorted."""
        return tuple(self._ranges)

    def rows(self, task: str) -> range:
        """Returns the numbers of the examples of a task."""
        return self._ranges[task]

    def read(self, rows: Sequence[int]) -> list[Example]:
        """Returns the examples of these numbers."""
        return self._read(self._order[list(rows)].tolist())

    def entry(self, task: str) -> dict[str, Any]:
        """Returns what the metadata of a stored mixture would say of a task."""
        pairs = self._instructions[task].most_common(_LISTED_INSTRUCTIONS)
        return {"rows": len(self._ranges[task]), "instructions": [[*pair, rows] for pair, rows in pairs], "about": {}}


def _check_kind(rows: Any) -> None:
    if isinstance(rows, Mapping):
        names = ", ".join(map(repr, list(rows)[:4]))
        raise ValueError(f"examples is a mapping of {names}; give one of its values, as in examples['train'].")
    if isinstance(rows, str | bytes) or hasattr(rows, "iloc"):
        advice = "read_csv(...).to_dict('records')" if hasattr(rows, "iloc") else "data='FOLDER' for files"
        raise ValueError(f"examples is of type {type(rows).__name__}; give {_FORMS} ({advice}).")
    if not hasattr(rows, "__len__") or not (hasattr(rows, "__iter__") or hasattr(rows, "__getitem__")):
        raise ValueError(f"examples is of type {type(rows).__name__}, which has no length; give {_FORMS}: list(...).")


def _picked(rows: Any, numbers: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Returns rows of a data set with columns, with their numbers from 1."""
    many = getattr(rows, "__getitems__", None)
    found = many(list(numbers)) if many is not None else (rows[number] for number in numbers)
    return zip((number + 1 for number in numbers), found, strict=True)


def _example(row: Any, number: int, task: str, read: _Read) -> Example:
    if isinstance(row, Mapping):
        record = {name: value for name, value in row.items() if name != "task"}
        own = row.get("task")
        if own is not None and (not isinstance(own, str) or not own):
            raise ValueError(f"{_PLACE}, row {number}: 'task' must be a name, is {own!r:.60}")
        (example,) = read(Records(_PLACE, [(number, record)]), own or task)
    elif isinstance(row, Example):
        example = row
    else:
        raise ValueError(f"{_PLACE}, row {number}: is of type {type(row).__name__}; give {_FORMS}.")
    for side in (example.query, example.positive, *example.negatives):
        _check_side(side, number)
    return example


def _check_side(side: Any, number: int) -> None:
    if not (isinstance(side, tuple) and len(side) == 2 and all(isinstance(part, str) for part in side)):
        raise ValueError(f"{_PLACE}, row {number}: a text must be Side(instruction, text), is {side!r:.60}")
    if not side[1].strip():
        raise ValueError(f"{_PLACE}, row {number}: a text is empty; leave the row or the negative out.")
    try:
        "".join(side).encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{_PLACE}, row {number}: a text is not valid Unicode ({error.reason}); repair it, e.g. by "
            "text.encode('utf-8', 'replace').decode()."
        ) from error


def _stored(example: Example) -> bytes:
    """Returns all of an example that training reads."""
    sides: list[Side] = [example.query, example.positive, *example.negatives]
    return json.dumps([sides, example.score, example.label, example.weight]).encode()
