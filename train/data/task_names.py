"""Tasks chosen by name or by pattern, in the mixture's order; the same rule for building, reading and training."""

import fnmatch
from collections.abc import Sequence


def chosen_tasks(tasks: Sequence[str], only: Sequence[str] = (), without: Sequence[str] = ()) -> tuple[str, ...]:
    """Returns tasks that a pattern of `only` fits (all, if there is none) and none of `without`, in their order.

    Raises:
        ValueError: A pattern fits no task, or no task is left.
    """
    for pattern in (*only, *without):
        if not fnmatch.filter(tasks, pattern):
            raise ValueError(f"no task is called {pattern!r}; there are {', '.join(tasks[:8])}, ... ({len(tasks)}).")

    def fits(task: str, patterns: Sequence[str]) -> bool:
        return any(fnmatch.fnmatchcase(task, pattern) for pattern in patterns)

    chosen = tuple(task for task in tasks if (not only or fits(task, only)) and not fits(task, without))
    if not chosen:
        raise ValueError("no task is left; check which are chosen and which are left out.")
    return chosen
