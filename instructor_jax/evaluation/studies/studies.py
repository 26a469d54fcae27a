"""The paper's studies of instructions: how much the wording matters, how much the detail, and what none at all costs.

A study is a list of variants, each a whole table of instructions; who runs tasks under a table is a function passed in.
"""

import csv
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path

from instructor_jax.evaluation.scores import TaskScore
from instructor_jax.evaluation.studies.outcomes import Study, StudyOutcome, TaskOutcome
from instructor_jax.evaluation.studies.report import refuse_other_files, save_study
from instructor_jax.evaluation.task_instructions import InstructionTable, TaskInstructions

PARAPHRASES = 5
_SUBJECT = re.compile(
    r"^represents?\s+(?:(?:the|an|a)\s+)?(?!for\b|to\b)(.*?)(?:\s+(?:for|to|in order to)\b.*)?$", re.IGNORECASE | re.S
)
_SUFFIX = re.compile(r"[\s,;:.]*(?:Input:)?[\s,;:.]*$")
_KIND = re.compile(r"(?:Local|Classification|Clustering|Retrieval|Reranking|Pairs|P2P|S2S)+$")


@dataclasses.dataclass(frozen=True)
class Variant:
    """One way to instruct: its name in the report, and the instructions of all tasks."""

    name: str
    table: InstructionTable


def study_variants(study: Study, table: InstructionTable) -> list[Variant]:
    """Returns the variants of a study; `table` holds the full instructions."""
    if study == "paraphrase":
        rewritten = paraphrases()
        return [
            Variant(
                str(number),
                _replaced(table, {t: each[number - 1] for t, each in rewritten.items()}, f"paraphrase {number}"),
            )
            for number in range(1, PARAPHRASES + 1)
        ]
    none, full = Variant("none", table.without()), Variant("full", table)
    if study == "without":
        return [none, full]
    if study == "swapped":
        return [Variant("swapped", _replaced(table, swapped(table), "swapped instructions")), none, full]
    tags = {task: TaskInstructions(*[f"{tag(task)}: "] * 2) for task in table.tasks()}
    subjects = {
        task: TaskInstructions(*(simple(table.of(task, side)) for side in ("query", "document")))
        for task in table.tasks()
    }
    return [
        none,
        Variant("tag", _replaced(table, tags, "data set's name")),
        Variant("simple", _replaced(table, subjects, "domain and text type")),
        full,
    ]


def study_tasks(study: Study, tasks: Sequence[str]) -> list[str]:
    """Returns the tasks that a study can run: with paraphrases only those that have some."""
    return [task for task in tasks if study != "paraphrase" or task in paraphrases()]


def run_study(
    study: Study,
    scores: Callable[[InstructionTable], Sequence[TaskScore]],
    table: InstructionTable,
    output: Path,
    model: str = "",
) -> StudyOutcome:
    """Runs the same tasks under every variant and writes what came out (see `save_study`).

    Args:
        study: which.
        scores: runs the tasks (best only those of `study_tasks`) under a table; finished ones may come from disk.
        table: the full instructions.
        output: folder of the files.
        model: its name, for the report and the names of the files.

    Raises:
        NotOursError: files of other origin lie where the study's would; told before any work.
        ImportError: Matplotlib is absent.
    """
    refuse_other_files(output, study, model)
    outcome = study_outcome(study, scores, table, model)
    save_study(outcome, output)
    return outcome


def study_outcome(
    study: Study, scores: Callable[[InstructionTable], Sequence[TaskScore]], table: InstructionTable, model: str = ""
) -> StudyOutcome:
    """Runs like `run_study`, and writes nothing."""
    variants = study_variants(study, table)
    outcomes = {variant.name: {score.task: score for score in scores(variant.table)} for variant in variants}
    names = list(dict.fromkeys(task for scored in outcomes.values() for task in scored))
    able = set(study_tasks(study, names))
    tasks = []
    for task in names:
        found = [scored[task] for scored in outcomes.values() if task in scored]
        metric = next((score.metric for score in found if score.metric), "")
        by_variant = {name: scored[task].score if task in scored else None for name, scored in outcomes.items()}
        reason = next((score.reason for score in found if score.reason), "")
        if task not in able:
            by_variant, reason = dict.fromkeys(outcomes, None), "no paraphrases are written for it"
        tasks.append(TaskOutcome(task, found[0].kind, metric, by_variant, reason))
    return StudyOutcome(study, model, tuple(outcomes), tuple(tasks))


def paraphrases() -> dict[str, tuple[TaskInstructions, ...]]:
    """Returns five instructions of one meaning for each task of the packaged table (paraphrases.csv), in its order.

    Raises:
        ValueError: a task has fewer or more, or a row is not as it should be.
    """
    sides: dict[tuple[str, str], dict[int, str]] = {}
    text = (resources.files("instructor_jax.evaluation") / "paraphrases.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        for side in ("query", "document") if row["side"] == "both" else (row["side"],):
            sides.setdefault((row["task"], side), {})[int(row["variant"])] = row["instruction"]
    table = {}
    for task in dict.fromkeys(task for task, _ in sides):
        query, document = sides.get((task, "query"), {}), sides.get((task, "document"), {})
        if not set(query) == set(document) == set(range(1, PARAPHRASES + 1)):
            raise ValueError(f"paraphrases.csv: {task} must have variants 1 to {PARAPHRASES} on both sides")
        table[task] = tuple(TaskInstructions(query[number], document[number]) for number in sorted(query))
    return table


def swapped(table: InstructionTable) -> dict[str, TaskInstructions]:
    """Instructions that say the wrong thing: where the sides differ they are exchanged, so that queries are read as
    documents; other tasks get the instruction of one half-way round the list of those, which is another kind of task.
    """
    given = {
        task: TaskInstructions(*(table.of(task, side) for side in ("query", "document"))) for task in table.tasks()
    }
    alike = [task for task, each in given.items() if each.query == each.document and each.query]
    exchanged = {task: TaskInstructions(each.document, each.query) for task, each in given.items()}
    others = {task: given[alike[(at + len(alike) // 2) % len(alike)]] for at, task in enumerate(alike)}
    return exchanged | others


def simple(instruction: str) -> str:
    """Returns domain and text type: "Represent the science sentence for clustering: " becomes "science sentence: ".

    Raises:
        ValueError: the instruction does not begin with "Represent".
    """
    if not instruction.strip():
        return ""
    subject = _SUBJECT.match(_SUFFIX.sub("", instruction.strip()))
    if subject is None or not subject[1].strip():
        raise ValueError(f"{instruction!r} is not of the form 'Represent the ... for ...:'; it cannot be made simpler")
    return f"{subject[1].strip()}: "


def tag(task: str) -> str:
    """Returns a data set's name for reading: "Banking77Classification" becomes "Banking77"."""
    return (_KIND.sub("", task) or task).replace("_", " ")


def _replaced(table: InstructionTable, changed: Mapping[str, TaskInstructions], source: str) -> InstructionTable:
    known = set(table.tasks())
    return table.replaced({task: each for task, each in changed.items() if task in known}, source)
