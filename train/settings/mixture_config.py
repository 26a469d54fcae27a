"""`MixtureConfig`: which rows of a mixture a run takes, and how often; and the choice of tasks by name and by licence.

A model may be passed on for any use only if nothing it was trained on forbids that. What the origin of a task states
lies in the store's metadata, put there when the mixture was built; a licence that is not stated, or not understood,
counts as none.
"""

import dataclasses
import logging
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from ..data.task_names import chosen_tasks
from ..data.token_cache import Mixture
from .former_names import accepts_former_names, formerly
from .types import check_types

logger: logging.Logger = logging.getLogger(__name__)

_NAMED = 8  # tasks that a line of the log names


@dataclasses.dataclass(frozen=True)
class TaskWeight:
    """Tasks that come more or less often than their number of examples says.

    Attributes:
        tasks: Name of a task, or a pattern such as "medquad_*".
        times: Factor by which the tasks come more often than without this; those of several patterns that fit a task
            multiply.
    """

    tasks: str
    times: float


@accepts_former_names
@dataclasses.dataclass(frozen=True)
class MixtureConfig:
    """Which examples are trained on, and how often.

    Attributes:
        only: Tasks to take, as names or patterns ("nli_*"); () for all.
        without: Tasks to leave out.
        redistributable: Whether only tasks are taken whose licence lets a model trained on them be passed on for any
            use; those of non-commercial or unstated licences are named in the log.
        avoid: Evaluation data, no text of which is trained on: folders of evaluation sets, as `evaluation.data`, and
            files of texts, .txt (one a line) or .jsonl (field "text").
        max_examples: Number of examples beyond which a task weighs no more; 0 for no limit.
        temperature: Temperature of the weights: 1 weighs tasks by their examples; the larger, the more equal they
            weigh.
        weights: Tasks that weigh more or less than that.
        instructions: Whether instructions are read; False leaves all of them away, to measure what they are worth.
        rows_per_group: Number of examples of every group; 0 fills groups with tokens.
        shuffle: Whether examples are shuffled; False takes them in stored order, and needs `rows_per_group`.
    """

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    redistributable: bool = False
    avoid: tuple[str, ...] = ()
    max_examples: int = formerly("cap", default=0)
    temperature: float = 1.0
    weights: tuple[TaskWeight, ...] = ()
    instructions: bool = True
    rows_per_group: int = 0
    shuffle: bool = True

    def __post_init__(self) -> None:
        check_types(self, "mixture.")
        if self.max_examples < 0 or self.rows_per_group < 0 or not self.temperature > 0:
            raise ValueError(
                f"mixture: max_examples={self.max_examples} and rows_per_group={self.rows_per_group} must be 0 or "
                f"more, temperature={self.temperature} positive."
            )
        for one in self.weights:
            if not 0.0 < one.times < math.inf:
                raise ValueError(
                    f"mixture.weights: {one.tasks!r} has times={one.times}, which must be positive; tasks are left "
                    "out by mixture.without."
                )


def tasks_of(store: Mixture, mixture: MixtureConfig) -> tuple[str, ...]:
    """Returns the tasks that a run takes, in the store's order, and logs what its licence left out.

    Raises:
        ValueError: A pattern fits no task, or no task is left.
    """
    chosen = chosen_tasks(store.tasks, mixture.only, mixture.without)
    if not mixture.redistributable:
        return chosen
    free = tuple(task for task in chosen if is_redistributable(store, task))
    if not free:
        raise ValueError(
            f"mixture.redistributable=true leaves no task of {store.folder}: none of the {len(chosen)} chosen ones has "
            "a licence that is known to allow any use. Mixtures of 'medi import' never have; set it to false."
        )
    left_out = [task for task in chosen if task not in set(free)]
    logger.info("redistributable: %s are taken, %s left out", _size(store, free), _size(store, left_out))
    for licence, tasks in sorted(by_licence(store, left_out).items()):
        logger.info("  left out, %s: %s: %s", licence, _size(store, tasks), _named(tasks))
    if copyleft := [task for task in free if "GPL" in licence_of(store, task)]:
        logger.info("  taken, under a GPL: %s: %s", _size(store, copyleft), _named(copyleft))
    return free


def weights_of(rows: Mapping[str, int], mixture: MixtureConfig) -> Float64[np.ndarray, "tasks"]:
    """Returns the weight of every task in the steps, of sum 1.

    Args:
        rows: Number of examples of each task of the run.
        mixture: Settings of how tasks are weighed.

    Raises:
        ValueError: A pattern of `weights` fits no task.
    """
    weights = task_weights(list(rows.values()), mixture.max_examples or None, mixture.temperature)
    for one in mixture.weights:
        fitting = set(chosen_tasks(list(rows), (one.tasks,)))
        weights = weights * [one.times if task in fitting else 1.0 for task in rows]
    return weights / weights.sum()


def task_weights(
    counts: Sequence[int], max_examples: int | None = None, temperature: float = 1.0
) -> Float64[np.ndarray, "tasks"]:
    """Returns weights of tasks, proportional to min(examples, max_examples) ** (1 / temperature), of sum 1.

    Examples-proportional mixing with a limit, and temperature, as in Raffel et al. 2020 (T5), section 3.5.2.

    Args:
        counts: Number of examples of each task.
        max_examples: Number of examples beyond which a task weighs no more; None for no limit.
        temperature: Temperature of the weights: 1 is proportional; the larger, the more equal the tasks.

    Raises:
        ValueError: There is no task, one is empty, or max_examples or temperature is not positive.
    """
    rows = np.asarray(counts, np.float64)
    if not len(rows) or rows.min() < 1:
        raise ValueError(f"counts={list(counts)[:5]}... must name at least one task, each with at least one row.")
    if temperature <= 0 or (max_examples is not None and max_examples < 1):
        raise ValueError(f"temperature={temperature} and max_examples={max_examples} must be positive.")
    weights = (np.minimum(rows, max_examples or np.inf) / rows.max()) ** (1 / temperature)
    return weights / weights.sum()


def is_redistributable(store: Mixture, task: str) -> bool:
    """Returns whether the task's licence is stated and allows any use of a model trained on it."""
    return store.entry(task)["about"].get("redistributable") is True


def licence_of(store: Mixture, task: str) -> str:
    """Returns the licence that the task's origin states, in its words."""
    return str(store.entry(task)["about"].get("licence") or "not given")


def by_licence(store: Mixture, tasks: Sequence[str]) -> dict[str, list[str]]:
    """Groups tasks by licence, in their order."""
    found: dict[str, list[str]] = defaultdict(list)
    for task in tasks:
        found[licence_of(store, task)].append(task)
    return dict(found)


def _size(store: Mixture, tasks: Sequence[str]) -> str:
    return f"{len(tasks)} tasks ({sum(len(store.rows(task)) for task in tasks):,} rows)"


def _named(tasks: Sequence[str]) -> str:
    more = f", and {len(tasks) - _NAMED} more" if len(tasks) > _NAMED else ""
    return ", ".join(tasks[:_NAMED]) + more
