"""`Example`: one training row, whatever its source: a query, its positive, and any number of hard negatives.

A row of a classification set, a scored pair, a triple and a mined pair all become this record; what a source does not
give stays `None`. Negatives of a batch come only from the same task, so `task` is part of the row.
"""

import dataclasses
from typing import NamedTuple


class Side(NamedTuple):
    """One text of an example with the instruction under which it is read."""

    instruction: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """One training example.

    Attributes:
        query: Text that searches.
        positive: Text that should be near the query.
        negatives: Hard negatives; may be empty, and need not be equally many in every example of a task.
        task: Name of the task the example belongs to, the unit of mixing.
        row_id: Id that is stable and unique within the task; the same source gives the same ids on every build.
        score: Similarity of query and positive in [0, 1], for sources of scored pairs.
        label: Class of the query, for labelled sources; examples with the same label are never each other's negatives.
        weight: Relative weight of the example in the loss, positive.
    """

    query: Side
    positive: Side
    negatives: tuple[Side, ...]
    task: str
    row_id: str
    score: float | None = None
    label: str | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.task or not self.row_id:
            raise ValueError(f"Example needs a task and a row id; got task={self.task!r}, row_id={self.row_id!r}.")
        if self.score is not None and not 0.0 <= self.score <= 1.0:
            raise ValueError(f"score={self.score} of row {self.row_id!r} of task {self.task!r} must be in [0, 1].")
        if not 0.0 < self.weight < float("inf"):
            raise ValueError(f"weight={self.weight} of row {self.row_id!r} of task {self.task!r} must be positive.")
