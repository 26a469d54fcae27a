"""Which instruction each side of each task is read under: one readable table, overridable by a file of exact strings.

The table (`task_instructions.csv`) holds domain, text type and objective, rendered by `Instruction`; its parts are
those of the published large model's instructions. What the template cannot say (another article, a lower-case verb,
another ending) it says in the template's way; a file of exact strings reaches the encoder as it is, blanks included.
"""

import csv
import dataclasses
import difflib
import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Literal

from instructor_jax.text.instructions import Instruction

Side = Literal["query", "document"]
Size = Literal["base", "large", "xl"]

# Million parameters of the published sizes (model cards): each was published with instructions of its own.
_SIZES: dict[Size, float] = {"base": 110, "large": 335, "xl": 1240}
_COLUMNS: dict[Size, str] = {"base": "exact_base", "large": "exact", "xl": "exact_xl"}
_SIDES: dict[str, tuple[Side, ...]] = {
    "both": ("query", "document"),
    "query": ("query",),
    "document": ("document",),
    "corpus": ("document",),  # the published file's word
}


@dataclasses.dataclass(frozen=True)
class TaskInstructions:
    """The instructions of a task, rendered; a task whose texts are all of one kind has the same on both sides."""

    query: str
    document: str


class InstructionTable:
    """Instructions by task name.

    Args:
        instructions: Instructions of every task that may run.
        source: where they come from, for reports.
    """

    def __init__(self, instructions: Mapping[str, TaskInstructions], source: str) -> None:
        self._instructions = dict(instructions)
        self.source = source

    def of(self, task: str, side: Side) -> str:
        """Returns the instruction of one side of a task; "" for none.

        Raises:
            ValueError: the table does not know the task.
        """
        return getattr(self._known(task), side)

    def tasks(self) -> list[str]:
        """Returns every task of the table."""
        return list(self._instructions)

    def replaced(self, instructions: Mapping[str, TaskInstructions], source: str) -> "InstructionTable":
        """Returns the same table with other instructions for some tasks, as the studies need it."""
        return InstructionTable({**self._instructions, **instructions}, source)

    def completed_by(self, instructions: Mapping[str, TaskInstructions]) -> "InstructionTable":
        """Returns the same table with the instructions of tasks that it did not know."""
        return InstructionTable({**instructions, **self._instructions}, self.source)

    def without(self) -> "InstructionTable":
        """Returns the table without any instruction."""
        return self.replaced(dict.fromkeys(self._instructions, TaskInstructions("", "")), "no instructions")

    def overridden_by(self, path: Path, size: Size = "large") -> "InstructionTable":
        """Returns the table with a file's exact strings in the place of its own.

        Args:
            path: CSV with the columns task, side ("both", "query", "corpus" or "document") and exact; optionally
                exact_base and exact_xl, for the models of those sizes. Nothing is stripped. An empty string is no
                instruction. Other columns are not read.
            size: whose column to read.

        Raises:
            ValueError: no such file, a column is missing, or a row names an unknown task or side (with its line).
        """
        changed: dict[str, TaskInstructions] = {}
        for line, row in _read_csv(path, ("task", "side", "exact")):
            task, side = row["task"], row["side"]
            if task not in self._instructions:
                raise ValueError(f"{path}, line {line}: {_unknown(task, self._instructions)}")
            if side not in _SIDES:
                raise ValueError(f"{path}, line {line}: side {side!r} must be one of {', '.join(_SIDES)}.")
            exact = row.get(_COLUMNS[size])
            text = row["exact"] if exact is None else exact
            sides = dict.fromkeys(_SIDES[side], text)
            changed[task] = dataclasses.replace(changed.get(task, self._instructions[task]), **sides)
        return self.replaced(changed, f"{path.name} ({size})")

    def _known(self, task: str) -> TaskInstructions:
        if task not in self._instructions:
            raise ValueError(_unknown(task, self._instructions))
        return self._instructions[task]


def default_table() -> InstructionTable:
    """Returns the instructions of the 70 tasks (CQADupstack's forums each with their own) and of the local ones."""
    instructions = packaged_instructions()
    from instructor_jax.evaluation.local.sources import SOURCES

    for source in SOURCES:
        # A source that is a task of MTEB is read under that task's instruction.
        instructions.setdefault(source.task, TaskInstructions(str(source.query), str(source.document)))
    return InstructionTable(instructions, "task_instructions.csv")


def packaged_instructions() -> dict[str, TaskInstructions]:
    """Returns the table that ships with the package, rendered: MTEB, Billboard and Prompt Retrieval."""
    table: dict[str, TaskInstructions] = {}
    with resources.as_file(resources.files("instructor_jax.evaluation") / "task_instructions.csv") as path:
        for line, row in _read_csv(path, ("benchmark", "task", "side", "domain", "text_type", "objective")):
            text = _render(row["domain"], row["text_type"], row["objective"])
            if row["side"] not in _SIDES:
                raise ValueError(f"{path}, line {line}: side {row['side']!r}")
            sides = dict.fromkeys(_SIDES[row["side"]], text)
            table[row["task"]] = dataclasses.replace(table.get(row["task"], TaskInstructions("", "")), **sides)
    return table


def published_size(parameters: int) -> Size:
    """Returns the published size nearest in parameters (on a log scale), whose exact strings a model is given."""
    return min(_SIZES, key=lambda size: abs(math.log(_SIZES[size] * 1e6 / max(parameters, 1))))


def _render(domain: str, text_type: str, objective: str) -> str:
    """Renders a row; the published evaluation has no instruction for two tasks, whose rows are empty."""
    return str(Instruction(domain, text_type, objective)) if domain or text_type else ""


def _read_csv(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Yields (line number, row) of each row; blanks are kept."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, row) for row in reader]
            names = reader.fieldnames or ()
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a CSV file in UTF-8: {error}.") from error
    absent = [column for column in columns if column not in names]
    if absent:
        raise ValueError(f"{path} has no column {', '.join(absent)}; needed are {', '.join(columns)}.")
    for line, row in rows:
        if None in row or None in row.values():
            raise ValueError(f"{path}, line {line}: has another number of fields than the header.")
    return rows


def _unknown(task: str, known: Mapping[str, TaskInstructions]) -> str:
    close = difflib.get_close_matches(task, known, n=3, cutoff=0.5)
    return f"no instruction is known for task {task!r}" + (f"; did you mean {', '.join(close)}?" if close else ".")
