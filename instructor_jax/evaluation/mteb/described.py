"""Instructions of MTEB's tasks that the table does not name: those of the task it was made from, or its metadata's.

A task's kind and domains are put into the paper's template, which is what INSTRUCTOR models were trained to read; the
prompts that MTEB keeps for other models ("Given a claim, find documents that refute it") are not of that form.
"""

import dataclasses
import functools
import re
from collections.abc import Iterable
from typing import Any

from instructor_jax.evaluation.task_instructions import InstructionTable, TaskInstructions
from instructor_jax.text.instructions import Instruction

TABLE, METADATA = "table", "metadata"

# Newer versions and samples of a task: ArguAna.v2, FEVERHardNegatives, NanoNQRetrieval.
_VERSION = re.compile(r"(\.v\d+|-?HardNegatives|Retrieval|Summarization|Hierarchical)")
_RETRIEVAL = ("retrieving supporting documents", "retrieval")
# Text type and objective of both sides, or of queries and documents, by MTEB's kind of task.
_KINDS: dict[str, tuple[tuple[str, str], ...]] = {
    "BitextMining": (("sentence", "retrieving its translation"),),
    "Classification": (("sentence", "classification"),),
    "Clustering": (("text", "clustering"),),
    "InstructionReranking": (("query", _RETRIEVAL[0]), ("document", _RETRIEVAL[1])),
    "InstructionRetrieval": (("query", _RETRIEVAL[0]), ("document", _RETRIEVAL[1])),
    "MultilabelClassification": (("sentence", "classification"),),
    "PairClassification": (("sentence", "retrieving duplicate sentences"),),
    "Regression": (("sentence", "regression"),),
    "Reranking": (("question", _RETRIEVAL[0]), ("document", _RETRIEVAL[1])),
    "Retrieval": (("question", _RETRIEVAL[0]), ("document", _RETRIEVAL[1])),
    "STS": (("statement", ""),),
    "Summarization": (("summary", "retrieving duplicate summaries"),),
}
# MTEB's domains in the words of the published instructions; those that say how a text came to be say nothing of it.
_DOMAINS = {"Academic": "scientific", "Encyclopaedic": "Wikipedia", "Reviews": "review", "Social": "social media"}
_NO_DOMAINS = ("Constructed", "Non-fiction", "Spoken", "Web", "Written")


@dataclasses.dataclass(frozen=True)
class Described:
    """Where a task's instructions come from.

    Attributes:
        instructions: The instruction of each side.
        origin: "table", "table, as TASK" for those of the task it was made from, or "metadata".
    """

    instructions: TaskInstructions
    origin: str


def is_known_kind(metadata: Any) -> bool:
    """Returns whether a task is of a kind that a text encoder is scored on, and on texts alone."""
    return metadata.type in _KINDS and set(metadata.modalities) == {"text"}


def described(metadata: Any, table: InstructionTable) -> Described:
    """Returns the instructions of a task: the table's, those of the task it was made from, or its metadata's.

    Args:
        metadata: MTEB's `TaskMetadata`.
        table: the known instructions.

    Raises:
        ValueError: it is no task on texts, or of a kind without instructions.
    """
    known = table.tasks()
    if metadata.name in known:
        return Described(_of(table, metadata.name), TABLE)
    if not is_known_kind(metadata):
        things = ", ".join(sorted(metadata.modalities))
        raise ValueError(
            f"{metadata.name} is a task of the kind {metadata.type} on {things}; texts are encoded, of the kinds "
            f"{', '.join(_KINDS)}."
        )
    plain = _plain_names(tuple(known))
    for name in (metadata.name, *(metadata.adapted_from or ())):
        near = name if name in known else plain.get(_plain(name))
        if near is not None:
            return Described(_of(table, near), f"{TABLE}, as {near}")
    return Described(_rendered(metadata), METADATA)


def with_described(table: InstructionTable, tasks: Iterable[Any]) -> tuple[InstructionTable, dict[str, Described]]:
    """Returns the table with the instructions of tasks that it does not name, and where those of each task come from.

    Args:
        table: the known instructions, which stay.
        tasks: of MTEB, with the parts of those that are made of others.
    """
    found = {task.metadata.name: described(task.metadata, table) for task in tasks if is_known_kind(task.metadata)}
    return table.completed_by({name: one.instructions for name, one in found.items()}), found


def _of(table: InstructionTable, task: str) -> TaskInstructions:
    return TaskInstructions(table.of(task, "query"), table.of(task, "document"))


@functools.lru_cache(maxsize=4)
def _plain_names(names: tuple[str, ...]) -> dict[str, str]:
    """Returns the tasks of a table by their names without version; where several share one, the first by name."""
    return {_plain(name): name for name in sorted(names, reverse=True)}


def _plain(name: str) -> str:
    return _VERSION.sub("", name.removeprefix("Nano")).lower()


def _rendered(metadata: Any) -> TaskInstructions:
    domains = [domain for domain in metadata.domains or () if domain not in _NO_DOMAINS]
    domain = str(_DOMAINS.get(domains[0], domains[0].lower())) if domains else ""
    sides = [str(Instruction(domain, text_type, objective)) for text_type, objective in _KINDS[metadata.type]]
    return TaskInstructions(sides[0], sides[-1])
