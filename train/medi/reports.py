"""What became of the sources of a mixture, as records and as a table for a terminal."""

import dataclasses
from collections.abc import Sequence

from .storage.task_entry import TaskEntry


@dataclasses.dataclass(frozen=True)
class TaskReport:
    """Outcome of a source: examples read and stored, counts of the mining, seconds (0 if it was finished before)."""

    name: str
    read: int
    rows: int
    negatives: int
    counts: dict[str, int]
    seconds: float


def report_of(entry: TaskEntry, seconds: float) -> TaskReport:
    """Returns the report of a finished task."""
    negatives = sum(int(number) * rows for number, rows in entry.negatives.items())
    read, counts = entry.about.get("read", entry.rows), entry.about.get("mining", {})
    return TaskReport(entry.name, read, entry.rows, negatives, counts, seconds)


def reports_table(reports: Sequence[TaskReport]) -> str:
    """Returns a line for each report under headings."""
    width = max(len(report.name) for report in reports)
    lines = [f"{'task':{width}}  {'read':>9}  {'rows':>9}  {'negatives':>9}  {'s':>6}  mining"]
    for one in reports:
        dropped = {name: number for name, number in one.counts.items() if name not in ("rows", "examples")}
        numbers = f"{one.read:9,}  {one.rows:9,}  {one.negatives:9,}  {one.seconds:6.1f}"
        lines.append(f"{one.name:{width}}  {numbers}  {counts_in_words(dropped)}")
    return "\n".join(lines)


def counts_in_words(counts: dict[str, int]) -> str:
    """Returns counts with their names, such as "3 repeated, 1 empty"; a dash where there are none."""
    return ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in counts.items()) or "-"
