"""The paper's arithmetic: its headline "average over 70 datasets" is the mean of nine group means.

With INSTRUCTOR-large's figures the mean of the nine groups is 58.4, as published; the plain mean over 70 would be 60.8.
A mean that bears the name of a group or of a benchmark is over all of its tasks, or there is none: means over different
tasks do not compare. What ran in part is compared over the tasks that ran (`report_tables.comparisons`).
"""

import dataclasses
from collections.abc import Mapping, Sequence

MTEB_GROUPS = (
    "Retrieval",
    "Reranking",
    "Clustering",
    "PairClassification",
    "Classification",
    "STS",
    "Summarization",
)
GROUPS = (*MTEB_GROUPS, "Prompt Retrieval", "Billboard")


@dataclasses.dataclass(frozen=True)
class GroupMean:
    """The mean of a group's tasks.

    Attributes:
        group: Name of the group.
        mean: Mean in percent; None where a task has no figure.
        tasks: Number of its tasks that have a figure.
        of: Number of its tasks.
        given: Whether the mean was given as such, not computed from tasks (`tasks` is 0 then).
    """

    group: str
    mean: float | None
    tasks: int
    of: int
    given: bool = False

    @property
    def complete(self) -> bool:
        """Whether the mean stands for all of the group's tasks."""
        return self.mean is not None


@dataclasses.dataclass(frozen=True)
class Averages:
    """Group means in the order of `GROUPS`, and what the paper computes from them."""

    groups: tuple[GroupMean, ...]
    mteb_tasks: float | None  # mean over MTEB's tasks, each counting once; None where one has no figure
    mteb_count: int
    mteb_of: int

    @property
    def macro(self) -> float | None:
        """Returns the paper's average, the mean of the nine groups; None while a task has no figure."""
        return _mean([group.mean for group in self.groups])

    @property
    def mteb_macro(self) -> float | None:
        """Returns the mean of MTEB's seven groups; None while a task of theirs has no figure."""
        return _mean([group.mean for group in self.groups if group.group in MTEB_GROUPS])

    @property
    def missing(self) -> tuple[str, ...]:
        """Groups without any figure."""
        return tuple(group.group for group in self.groups if group.mean is None and not group.tasks)

    @property
    def incomplete(self) -> tuple[GroupMean, ...]:
        """Groups of which some tasks have a figure and others do not."""
        return tuple(group for group in self.groups if group.tasks and not group.complete)

    @property
    def complete(self) -> bool:
        """Whether `macro` is the paper's figure: every group has all of its tasks."""
        return not self.missing and not self.incomplete

    def describe(self) -> str:
        """Returns one sentence: the average with what it rests on, or which groups it lacks."""
        if self.macro is not None:
            return f"Average over the nine groups: {self.macro:.1f}."
        reasons = [f"no figure for {', '.join(self.missing)}"] if self.missing else []
        partial = ", ".join(f"{group.group} {group.tasks}/{group.of}" for group in self.incomplete)
        reasons += [f"only some tasks of {partial}"] if partial else []
        seven = "" if self.mteb_macro is None else f" The mean of MTEB's seven groups is {self.mteb_macro:.1f}."
        return f"No average over the nine groups: {'; '.join(reasons)}.{seven}"


def averages(
    figures: Mapping[str, float], tasks: Mapping[str, str], given: Mapping[str, float] | None = None
) -> Averages:
    """Computes the means of a model's figures.

    Args:
        figures: percent by task; tasks outside `tasks` do not count.
        tasks: the group of each of the paper's tasks.
        given: means of whole groups, used for a group whose own tasks are not all there.

    Raises:
        ValueError: a task's group is none of the nine.
    """
    unknown = sorted(set(tasks.values()) - set(GROUPS))
    if unknown:
        raise ValueError(f"unknown group {', '.join(unknown)}; the paper's groups are {', '.join(GROUPS)}.")
    groups = tuple(_group_mean(group, figures, tasks, (given or {}).get(group)) for group in GROUPS)
    mteb = [task for task, group in tasks.items() if group in MTEB_GROUPS]
    known = sum(task in figures for task in mteb)
    return Averages(groups, mean_of(figures, mteb), known, len(mteb))


def mean_of(figures: Mapping[str, float], tasks: Sequence[str]) -> float | None:
    """Returns the mean over exactly these tasks; None where one has no figure, or there is none."""
    if not tasks or any(task not in figures for task in tasks):
        return None
    return sum(figures[task] for task in tasks) / len(tasks)


def _group_mean(group: str, figures: Mapping[str, float], tasks: Mapping[str, str], given: float | None) -> GroupMean:
    own = [task for task, its_group in tasks.items() if its_group == group]
    known = sum(task in figures for task in own)
    if given is not None and known < len(own):
        return GroupMean(group, given, 0, len(own), given=True)
    return GroupMean(group, mean_of(figures, own), known, len(own))


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
