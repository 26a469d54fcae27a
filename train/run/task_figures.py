"""What a line of metrics tells of tasks: figures of each, and the mean cosine with a teacher."""

import numpy as np

from ..metrics import TaskSums


def by_task(sums: TaskSums, tasks: tuple[str, ...]) -> dict[str, dict[str, float | None]]:
    """Returns examples, mean loss and in-batch accuracy of the tasks that had examples.

    None where nothing was contrasted.
    """
    found = {}
    for number in np.flatnonzero(np.asarray(sums.rows)):
        weight, contrasted = float(sums.weight[number]), float(sums.contrasted[number])
        found[tasks[number]] = {
            "rows": float(sums.rows[number]),
            "loss": float(sums.loss[number]) / max(weight, 1e-9),
            "accuracy": float(sums.correct[number]) / contrasted if contrasted else None,
        }
    return found


def teacher_cosine(sums: TaskSums) -> dict[str, float]:
    """Returns the mean cosine of the texts with a teacher's vectors under the name it has in metrics.jsonl.

    Empty without one.
    """
    if sums.teacher_cosine is None:
        return {}
    return {"agreement": float(np.sum(sums.teacher_cosine)) / max(float(np.sum(sums.rows)), 1.0)}
