"""The examples of a run: the same triples for every arm, which differ in the instructions alone."""

import dataclasses
import fnmatch
import random
from collections.abc import Callable, Sequence

from instructor_jax.train.data.contamination import comparable, text_hash
from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.data.mixture import hold_out
from instructor_jax.train.medi.storage.store import MediStore
from instructor_jax.train.recipes import SAME_TEXTS

ARMS = ("own", "none", "shuffled")
MIXTURES = ("union", "symmetric")
# Not trained on at all: their questions test a criterion that was learnt on other data.
UNSEEN = ("medquad*", "sgd_dialogues*")
HELD_OUT = 16  # rows of each task, as `benchmarks/obedience.py` counts them
Tokens = Callable[[Sequence[Side]], list[int]]


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much of the mixture a run takes.

    Attributes:
        per_task: Examples of a task.
        tokens: Most tokens of the texts of an example together, instructions included; longer examples are left out.
        same_texts: How many times as many examples a task of the same texts under several instructions has.
    """

    per_task: int = 16
    tokens: int = 112
    same_texts: int = 2


def is_symmetric(store: MediStore, task: str) -> bool:
    """Whether both sides of a task are read under one instruction, and its texts under that one alone."""
    return task not in SAME_TEXTS and all(query == document for query, document, _ in store.entry(task)["instructions"])


def chosen_tasks(store: MediStore, mixture: str) -> list[str]:
    """The tasks of a mixture, without those that the tests use, whose licence is a GPL or does not allow any use."""
    free = [
        task
        for task in store.tasks
        if store.entry(task)["about"].get("redistributable") is True
        and "GPL" not in str(store.entry(task)["about"].get("licence"))
        and not any(fnmatch.fnmatch(task, pattern) for pattern in UNSEEN)
    ]
    return free if mixture == "union" else [task for task in free if is_symmetric(store, task)]


def draw(
    store: MediStore, tasks: Sequence[str], seed: int, limits: Limits, tokens: Tokens, avoid: frozenset[int]
) -> list[Example]:
    """Triples of every task that has enough short ones: none held out, none with a text of an evaluation set.

    Args:
        store: The mixture.
        tasks: Those to draw from.
        seed: Of the draw.
        limits: How many, and how long.
        tokens: Counts the tokens of (instruction, text).
        avoid: Hashes of the texts of the evaluation sets.
    """
    drawn: list[Example] = []
    for task in tasks:
        rows, _ = hold_out(store.rows(task), HELD_OUT, task)
        wanted = limits.per_task * (limits.same_texts if task in SAME_TEXTS else 1)
        order = random.Random(f"{seed} {task}").sample(range(len(rows)), min(len(rows), 6 * wanted))
        read = [one for one in store.read(rows[order].tolist()) if one.negatives]
        triples = [dataclasses.replace(one, negatives=one.negatives[:1], score=None, weight=1.0) for one in read]
        lengths = tokens([side for one in triples for side in _sides(one)])
        short = [
            one
            for number, one in enumerate(triples)
            if sum(lengths[3 * number : 3 * number + 3]) <= limits.tokens
            and not any(text_hash(comparable(side.text)) in avoid for side in _sides(one))
        ]
        if len(short) >= wanted:
            drawn += short[:wanted]
    return drawn


def as_read(examples: Sequence[Example], arm: str, seed: int) -> list[Example]:
    """The same examples under the instructions of an arm: their own, none, or those of another task throughout."""
    if arm == "own":
        return list(examples)
    tasks = list(dict.fromkeys(one.task for one in examples))
    given = {one.task: (one.query.instruction, one.positive.instruction) for one in reversed(examples)}
    if arm == "none":
        others = dict.fromkeys(tasks, ("", ""))
    else:
        order = random.Random(f"shuffled {seed}").sample(tasks, len(tasks))
        others = {task: given[order[at - 1]] for at, task in enumerate(order)}
    return [
        dataclasses.replace(
            one,
            query=Side(others[one.task][0], one.query.text),
            positive=Side(others[one.task][1], one.positive.text),
            negatives=tuple(Side(others[one.task][1], side.text) for side in one.negatives),
        )
        for one in examples
    ]


def triples_of(store: MediStore, tasks: Sequence[str]) -> dict[str, list[Example]]:
    """The held-out triples of tasks that ask different things of the same texts."""
    found = {}
    for task in tasks:
        _, rows = hold_out(store.rows(task), HELD_OUT, task)
        found[task] = [one for one in store.read(rows.tolist()) if one.negatives]
    return found


def _sides(example: Example) -> tuple[Side, Side, Side]:
    return example.query, example.positive, example.negatives[0]
