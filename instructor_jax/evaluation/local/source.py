"""The record of one evaluation set that runs from local files.

A task that equals one of mteb's (same texts, same judgements) carries that name and runs in mteb's own class; every
other is named "...Local" and runs in the mteb class of its kind, so that no score is mistaken for a published one.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from instructor_jax.evaluation.local.records import Record
from instructor_jax.text.instructions import Instruction

Kind = Literal["STS", "PairClassification", "Classification", "Clustering", "Retrieval", "Reranking"]


@dataclasses.dataclass(frozen=True)
class LocalSource:
    """One task on local files.

    Attributes:
        task: Name of the task, unique; mteb's own, or one that ends in "Local".
        folder: Sub-folder of the data folder that holds its files.
        kind: mteb's type of task.
        instructions: Instruction of all texts, or those of queries and of documents where these are two kinds of text.
        read: Function from the folder to the record of this kind; raises ValueError for files that are not as expected.
        note: What one should know when comparing its score.
        split: mteb's name of the part that is evaluated.
        subset: mteb's name of the subset that is evaluated.
        samples_per_label: Texts of each class on which a classifier is fitted (mteb's default: 8).
    """

    task: str
    folder: str
    kind: Kind
    instructions: tuple[Instruction] | tuple[Instruction, Instruction]
    read: Callable[[Path], Record]
    note: str
    split: str = "test"
    subset: str = "default"
    samples_per_label: int = 8

    def __post_init__(self) -> None:
        if self.kind not in ("Retrieval", "Reranking") and len(self.instructions) > 1:
            raise ValueError(f"{self.task}: {self.kind} has one kind of text, and one instruction.")

    @property
    def query(self) -> Instruction:
        """Returns the instruction of the query side, and of all texts of a symmetric task."""
        return self.instructions[0]

    @property
    def document(self) -> Instruction:
        """Returns the instruction of the document side; it equals `query` for a symmetric task."""
        return self.instructions[-1]

    @property
    def is_mteb(self) -> bool:
        """Returns whether it equals the task of mteb that bears its name."""
        return not self.task.endswith("Local")
