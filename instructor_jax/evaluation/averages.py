"""The paper's arithmetic: its headline "average over 70 datasets" is the mean of nine group means.

With INSTRUCTOR-large's figures the mean of the nine groups is 58.4, as published; the plain mean over 70 would be 60.8.
"""

import dataclasses
from collections.abc import Mapping

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
    """The mean of a group's tasks that have a figure.

    Attributes:
        group: its name.
        mean: in percent; None where no task has a figure.
        tasks: how many of its tasks have one.
        of: how many tasks it has.
        given: the mean was given as such, not computed from tasks (`tasks` is 0 then).
    """

    group: str
    mean: float | None
    tasks: int
    of: int
    given: bool = False

    @property
    def complete(self) -> bool:
        """Whether the mean stands for all of the group's tasks."""
        return self.given or self.tasks == self.of


@dataclasses.dataclass(frozen=True)
class Averages:
    """Group means in the order of `GROUPS`, and what the paper computes from them."""

    groups: tuple[GroupMean, ...]
    mteb_tasks: float | None  # mean over MTEB's tasks that have a figure, each counting once
    mteb_count: int
    mteb_of: int

    @property
    def macro(self) -> float | None:
        """The paper's average: the mean of the nine groups; None while a group has no figure at all."""
        return _mean([group.mean for group in self.groups])

    @property
    def mteb_macro(self) -> float | None:
        """The mean of MTEB's seven groups; None while one of them has no figure."""
        return _mean([group.mean for group in self.groups if group.group in MTEB_GROUPS])

    @property
    def missing(self) -> tuple[str, ...]:
        """Groups without any figure."""
        return tuple(group.group for group in self.groups if group.mean is None)

    @property
    def incomplete(self) -> tuple[GroupMean, ...]:
        """Groups of which some tasks have a figure and others do not."""
        return tuple(group for group in self.groups if group.mean is not None and not group.complete)

    @property
    def complete(self) -> bool:
        """Whether `macro` is the paper's figure: every group has all of its tasks."""
        return not self.missing and not self.incomplete

    def describe(self) -> str:
        """One sentence: the average with what it rests on, or which groups it lacks."""
        partial = ", ".join(f"{group.group} {group.tasks}/{group.of}" for group in self.incomplete)
        partly = f" (incomplete: {partial})" if partial else ""
        if self.macro is not None:
            return f"Average over the nine groups: {self.macro:.1f}{partly}."
        seven = "" if self.mteb_macro is None else f" The mean of MTEB's seven groups is {self.mteb_macro:.1f}."
        return f"No average over the nine groups: no figure for {', '.join(self.missing)}{partly}.{seven}"


def averages(
    figures: Mapping[str, float], tasks: Mapping[str, str], given: Mapping[str, float] | None = None
) -> Averages:
    """The means of a model's figures.

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
    known = [figures[task] for task in mteb if task in figures]
    return Averages(groups, sum(known) / len(known) if known else None, len(known), len(mteb))


def _group_mean(group: str, figures: Mapping[str, float], tasks: Mapping[str, str], given: float | None) -> GroupMean:
    own = [task for task, its_group in tasks.items() if its_group == group]
    known = [figures[task] for task in own if task in figures]
    if given is not None and len(known) < len(own):
        return GroupMean(group, given, 0, len(own), given=True)
    return GroupMean(group, sum(known) / len(known) if known else None, len(known), len(own))


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
