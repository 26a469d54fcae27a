"""The rows of a report, as plain values: what Markdown and the HTML page both show.

A column is a run of ours or a published model; a cell that was not measured is None and shown as such, never as zero.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from instructor_jax.evaluation.report.averages import Averages, averages
from instructor_jax.evaluation.report.published import MARKS, Published
from instructor_jax.evaluation.runner import Run
from instructor_jax.evaluation.scores import TaskScore


@dataclasses.dataclass(frozen=True)
class Column:
    """One model's figures.

    Attributes:
        title: Heading of the column.
        figures: Percent by task, only of what counts as the paper's or a local task's figure.
        marks: Mark by task or group, where a published figure (or one it rests on) was not read from a results file.
        averages: Averages over the paper's tasks.
        average: Published average over nine groups with its mark; "" where there is none.
        own: Whether it is a run of ours.
        sample: Examples of its tasks that a run took, such as "at most 500 examples (seed 42)"; "" for all.
    """

    title: str
    figures: Mapping[str, float]
    marks: Mapping[str, str]
    averages: Averages
    average: str = ""
    own: bool = False
    sample: str = ""

    def describe(self) -> str:
        """Returns one sentence about its averages."""
        if self.sample:
            return f"no means of whole benchmarks: of each task {self.sample} were taken."
        return self.averages.describe()


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of texts; the first cell of a row names it."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def run_column(run: Run, scores: Sequence[TaskScore], published: Published) -> Column:
    """Makes the column of a run; figures not of the paper's kind (`paper_protocol` false) stay out of averages."""
    figures = {score.task: score.score for score in scores if score.score is not None and counts(score)}
    sample = "" if run.limit is None else f"at most {run.limit} examples (seed {run.seed})"
    means = averages({} if sample else figures, published.tasks)
    return Column(run.title, figures, {}, means, own=True, sample=sample)


def counts(score: TaskScore) -> bool:
    """Returns whether a score is the kind of figure that the paper averages."""
    return score.details.get("paper_protocol") is not False


def published_columns(published: Published) -> list[Column]:
    """Makes the columns of the eleven published models."""
    columns = []
    for model in published.models:
        marks = {task: MARKS[source] for task, source in model.sources.items() if source in MARKS}
        marks |= {published.tasks[task]: mark for task, mark in marks.items()}
        marks |= {group.group: MARKS["recalled"] for group in model.averages.groups if group.given}
        value, source = model.average or (None, "")
        average = number(value, 1) + MARKS.get(source, "")
        columns.append(Column(model.name, model.figures, marks, model.averages, average))
    return columns


def average_table(columns: Sequence[Column]) -> Table:
    """Returns per model the means of MTEB's 56 tasks, of nine groups and of each whole group; none of a part."""
    groups = [group.group for group in columns[0].averages.groups]
    heads = ("model", "MTEB's 56 tasks", "average of 9 groups", "published average", *groups)
    rows = []
    for column in columns:
        means = []
        for group in column.averages.groups:
            mark = column.marks.get(group.group, "") if group.complete else _part(group.tasks, group.of)
            means.append(number(group.mean) + mark)
        ours = column.averages
        # An average rests on what its groups rest on.
        marks = "".join(sorted({column.marks[group] for group in groups if group in column.marks}))
        mteb = number(ours.mteb_tasks) + _part(ours.mteb_count, ours.mteb_of)
        macro = number(ours.macro, 1) + ("" if ours.macro is None else marks)
        rows.append((column.title, mteb, macro, column.average, *means))
    return Table(heads, tuple(rows))


def task_table(columns: Sequence[Column], tasks: Mapping[str, str]) -> Table:
    """Returns per task of the paper every model's figure."""
    heads = ("task", "group", *(column.title for column in columns))
    rows = [
        (task, group, *(number(column.figures.get(task)) + column.marks.get(task, "") for column in columns))
        for task, group in tasks.items()
    ]
    return Table(heads, tuple(rows))


def other_table(runs: Sequence[tuple[Run, Sequence[TaskScore]]], tasks: Mapping[str, str]) -> Table:
    """Returns what was measured and is none of the paper's figures: local tasks, parts of tasks, other metrics."""
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    notes: dict[tuple[str, str, str], str] = {}
    for run, scores in runs:
        for score in scores:
            if score.score is not None and (score.task not in tasks or not counts(score)):
                key = (score.task, score.kind, score.metric)
                found.setdefault(key, {})[run.label] = score.score
                notes[key] = str(score.details.get("note", ""))
    heads = ("task", "kind", "metric", *(run.title for run, _ in runs), "note")
    rows = [
        (*key, *(number(figures.get(run.label)) for run, _ in runs), notes[key])
        for key, figures in sorted(found.items(), key=lambda item: (item[0][1], item[0][0]))
    ]
    return Table(heads, tuple(rows))


def missing_tables(scores: Sequence[TaskScore]) -> list[tuple[str, list[str]]]:
    """Returns what did not run: each reason with its tasks, in the order of first appearance."""
    reasons: dict[str, list[str]] = {}
    for score in scores:
        if score.score is None:
            reasons.setdefault(score.reason, []).append(score.task)
    return list(reasons.items())


def data_table(scores: Sequence[TaskScore]) -> Table:
    """Returns per task that ran: metric, data, and the instruction of each side with the first string encoded."""
    rows = []
    for score in scores:
        if score.score is None:
            continue
        encoded: Mapping[str, str] = score.details.get("encoded") or {}
        alone = {"both": score.details["instruction"]} if score.details.get("instruction") else {}
        data = "; ".join(str(part) for part in (score.details.get("data"), score.details.get("note")) if part)
        for side, text in (encoded or alone or {"": ""}).items():
            rows.append((score.task, score.metric, data, side, shortened(text)))
    return Table(("task", "metric", "data", "side", "first string encoded"), tuple(rows))


def run_facts(run: Run) -> list[tuple[str, str]]:
    """Returns what a reader must know about a run, as (what, value)."""
    return [
        ("model", f"{run.model}, revision {run.revision}"),
        ("size", f"{run.parameters:,} parameters, vectors of {run.dimension}, at most {run.max_length} tokens"),
        ("protocol", run.protocol_name),
        ("instructions", run.instructions),
        ("examples", "all" if run.limit is None else f"at most {run.limit} a task, drawn with seed {run.seed}"),
    ]


def _part(tasks: int, of: int) -> str:
    return f" ({tasks}/{of})" if 0 < tasks < of else ""


def number(value: float | None, digits: int = 2) -> str:
    """Returns a figure, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def shortened(text: Any, characters: int = 300) -> str:
    """Returns a text cut for a table cell, in quotes, so that blanks at its ends are seen."""
    text = str(text)
    return repr(text if len(text) <= characters else f"{text[:characters]}…")
