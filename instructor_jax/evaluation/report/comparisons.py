"""Like with like: the means of models over exactly the same tasks, of which a run may have made only some.

A mean over two tasks says nothing beside a mean over fifty-six. So runs are compared over the tasks that all of them
have, and each with the published models over its own; models that lack a figure for one of the tasks are left out.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from instructor_jax.evaluation.report.averages import GROUPS, MTEB_GROUPS, mean_of
from instructor_jax.evaluation.report.tables import Column, Table, number

_NAMED = 12  # tasks that a note names


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Models that have a figure for each of the same tasks, of the same examples.

    Attributes:
        tasks: Group of each task by name, in the paper's order.
        groups: Number of all tasks of each group.
        columns: Columns of the models, ours first.
    """

    tasks: Mapping[str, str]
    groups: Mapping[str, int]
    columns: tuple[Column, ...]

    def of_group(self, group: str) -> list[str]:
        """Its tasks of a group."""
        return [task for task, own in self.tasks.items() if own == group]

    def heading(self, group: str) -> str:
        """Returns a group's name, and how many of its tasks are compared where these are not all."""
        own = len(self.of_group(group))
        return group if own == self.groups[group] else f"{group} ({own} of {self.groups[group]} tasks)"

    @property
    def title(self) -> str:
        """Returns what is compared, in a few words."""
        sample = self.columns[0].sample
        return f"{len(self.tasks)} of the paper's {sum(self.groups.values())} tasks" + (
            sample and f", {sample} of each"
        )

    @property
    def note(self) -> str:
        """Returns the tasks by name, and who is left out."""
        names = list(self.tasks)
        listed = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        left_out = "Models without a figure for one of them are left out."
        if self.columns[0].sample:
            left_out = "Published figures are of all examples and do not compare."
        return f"Every mean is over the same tasks: {listed}. {left_out}"


def comparisons(columns: Sequence[Column], tasks: Mapping[str, str]) -> list[Comparison]:
    """Returns what may be compared with our runs: first the tasks that all of them have, then those of each.

    Runs of a sample of the examples are compared among themselves, others with the published models too. Of the tasks
    of those only such count for which any published model has a figure, unless there are none.

    Args:
        columns: runs and published models.
        tasks: group of each of the paper's tasks, in its order.
    """
    sizes = {group: list(tasks.values()).count(group) for group in GROUPS}
    published = [column for column in columns if not column.own]
    known = {task for column in published for task in column.figures}
    found = []
    for sample in dict.fromkeys(column.sample for column in columns if column.own):
        own = [column for column in columns if column.own and column.sample == sample]
        sets = [tuple(task for task in tasks if task in column.figures) for column in own]
        if not sample:
            sets = [tuple(task for task in one if task in known) or one for one in sets]
        common = tuple(task for task in tasks if all(task in one for one in sets))
        for one in dict.fromkeys([common, *sets]):
            rivals = own if sample else [*own, *published]
            having = tuple(column for column in rivals if all(task in column.figures for task in one))
            if one:
                found.append(Comparison({task: tasks[task] for task in one}, sizes, having))
    return found


def comparison_table(comparison: Comparison) -> Table:
    """Returns each model's means over the compared tasks, by group and over MTEB's; each heading says how many."""
    groups = list(dict.fromkeys(comparison.tasks.values()))
    parts = [(comparison.heading(group), comparison.of_group(group)) for group in groups]
    mteb = [task for task, group in comparison.tasks.items() if group in MTEB_GROUPS]
    if len(groups) > 1 and mteb:
        whole = sum(comparison.groups[group] for group in MTEB_GROUPS)
        parts.append((f"{len(mteb)} of MTEB's {whole} tasks", mteb))
    rows = []
    for column in comparison.columns:
        cells = []
        for _, one in parts:
            marks = "".join(sorted({column.marks[task] for task in one if task in column.marks}))
            cells.append(number(mean_of(column.figures, one)) + marks)
        rows.append((column.title, *cells))
    return Table(("model", *(heading for heading, _ in parts)), tuple(rows))
