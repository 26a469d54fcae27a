"""What a model's card says of its training data: tasks, licences, what was left out, what they were compared with."""

from collections import Counter

from instructor_jax.markdown import escaped, folded, table

from ..data.task_names import chosen_tasks
from ..data.token_cache import Mixture
from ..settings.mixture_config import by_licence, licence_of
from .prepared import Prepared


def training_data(prepared: Prepared, store: Mixture) -> str:
    """Returns the section in Markdown.

    Args:
        prepared: the run.
        store: its mixture.
    """
    tasks = {task.name: task.rows for task in prepared.batches.plan.tasks}
    by = {licence: sum(tasks[one] for one in names) for licence, names in by_licence(store, list(tasks)).items()}
    counted = Counter(licence_of(store, task) for task in tasks)
    rows = [[licence, str(counted[licence]), f"{by[licence]:,}"] for licence in sorted(by, key=lambda one: -by[one])]
    whole = [
        [task, f"{count:,}", licence_of(store, task), "; ".join(_instructions(store, task))]
        for task, count in tasks.items()
    ]
    said = f"{sum(tasks.values()):,} rows of {len(tasks)} tasks; mixture {store.fingerprint}."
    parts = [said, table(["licence", "tasks", "rows"], rows), _left_out(prepared, store), _compared(prepared)]
    return "\n\n".join(
        [*filter(None, parts), folded("All tasks", table(["task", "rows", "licence", "instructions"], whole))]
    )


def _instructions(store: Mixture, task: str) -> list[str]:
    query, document, _ = store.entry(task)["instructions"][0]
    return list(dict.fromkeys(text.strip() for text in (query, document) if text.strip()))


def _left_out(prepared: Prepared, store: Mixture) -> str:
    """What was not taken because of its licence."""
    mixture = prepared.run.mixture
    if not mixture.redistributable:
        return "The rows were not chosen by licence: who passes the weights on has to look at those above."
    chosen = chosen_tasks(store.tasks, mixture.only, mixture.without)
    free = set(prepared.config.tasks)
    left_out = by_licence(store, [task for task in chosen if task not in free])
    told = escaped("; ".join(f"{licence}: {', '.join(tasks)}" for licence, tasks in sorted(left_out.items())))
    return "Only tasks whose licence is stated and allows any use were taken. " + (
        f"Left out were {sum(map(len, left_out.values()))} tasks. {told}." if left_out else "None had to be left out."
    )


def _compared(prepared: Prepared) -> str:
    """What a comparison with evaluation data found."""
    avoided = prepared.avoided
    if avoided is None:
        return "The rows were not compared with evaluation data."
    found = {name: count for name, (_, count) in avoided.sets.items() if count}
    lost = escaped(
        "; ".join(f"{task} {count}" for task, count in sorted(avoided.rows.items(), key=lambda one: -one[1]))
    )
    listed = escaped(", ".join(f"{name} {count}" for name, count in found.items()))
    return (
        f"The rows were compared with {sum(texts for texts, _ in avoided.sets.values()):,} texts of "
        f"{len(avoided.sets)} evaluation sets (whole texts of 20 characters or more, without case and punctuation). "
        + (f"Found in the mixture: {listed}. " if found else "")
        + f"Left out therefore: {sum(avoided.rows.values()):,} rows{f' ({lost})' if lost else ''}."
    )
