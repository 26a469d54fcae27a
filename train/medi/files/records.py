"""The records of a reader: `Source`, a named task of a folder with its instructions, and the rows that it gives."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from instructor_jax.text.instructions import Instruction

from ...data.examples import Example

Kind: TypeAlias = Literal["symmetric", "asymmetric", "classification"]


@dataclasses.dataclass(frozen=True, slots=True)
class Instance:
    """An input with its output, from which pairs are mined.

    Attributes:
        input: The text that is embedded.
        output: The answer that belongs to it; of a labelled text, its class in words.
        row_id: Id that is stable and unique within the source.
        label: Class of the input: equal labels make positives. None = free-text output: pairs are found by the
            similarity of inputs and of outputs.
    """

    input: str
    output: str
    row_id: str
    label: str | None = None


class Row(NamedTuple):
    """What a reader of pairs yields: plain texts, to which the source adds its name and instructions.

    `label` names the group a row belongs to where several rows mean the same, so that none becomes another's negative.
    """

    query: str
    positive: str
    row_id: str
    negatives: tuple[str, ...] = ()
    label: str | None = None
    score: float | None = None


class Licence(NamedTuple):
    """What the origin states, and whether a model trained on it may be passed on for any use."""

    text: str
    redistributable: bool


@dataclasses.dataclass(frozen=True)
class Source:
    """One task of one folder.

    Attributes:
        name: The task's name, unique in a mixture.
        folder: Name of the folder below the data root.
        query: Instruction of the query side; `str` of it is what stands before the text.
        document: Instruction of the positives and negatives; equal to `query` where kind is not "asymmetric".
        read: Function from the folder's path to its rows, uncleaned; `read_source` is the way to call it.
        mined: Whether `read` gives Instances, which become pairs by mining, or else Examples.
        kind: "symmetric" (both sides are the same kind of text), "asymmetric", or "classification" (labelled texts).
        licence: What the origin states, in its words.
        redistributable: Whether a licence is stated and allows commercial use.
    """

    name: str
    folder: str
    query: Instruction | str
    document: Instruction | str
    read: Callable[[Path], Iterator[Example] | Iterator[Instance]]
    mined: bool
    kind: Kind
    licence: str
    redistributable: bool
