"""How often a model ranks by what the instruction asks for, where the text alone would say the opposite.

    python benchmarks/obedience.py default runs/obeying/model --data data/medi

Takes the tasks of `medi build` that have texts in common and ask for different things: in each triple the positive is
alike in what is asked for and unlike otherwise, the negative the other way round. A model that overlooks instructions
is right under one of two opposed instructions and wrong under the other. Counted are the rows that training holds out
(`held_out.rows=16`), each under its own instruction and without any.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from instructor_jax import Instructor
from instructor_jax.train.data.examples import Example
from instructor_jax.train.data.mixture import hold_out
from instructor_jax.train.medi.storage.store import MediStore
from instructor_jax.train.recipes import SAME_TEXTS


def held_out(store: MediStore, task: str, count: int) -> list[Example]:
    """The held-out rows of a task that have a hard negative."""
    _, rows = hold_out(store.rows(task), count, task)
    return [one for one in store.read(rows.tolist()) if one.negatives]


def obeyed(model: Instructor, examples: list[Example], instructed: bool) -> float:
    """Percent of the triples whose positive is nearer to the query than the negative is."""
    sides = [side for one in examples for side in (one.query, one.positive, one.negatives[0])]
    given = [[side.instruction if instructed else "", side.text] for side in sides]
    query, positive, negative = np.asarray(model.encode(given)).reshape(len(examples), 3, -1).swapaxes(0, 1)
    return 100 * float((np.sum(query * positive, axis=1) > np.sum(query * negative, axis=1)).mean())


def main() -> None:
    """Prints a row for each task, two columns for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["default"])
    parser.add_argument("--data", required=True, help="mixture of `medi build`")
    parser.add_argument("--rows", type=int, default=16, help="held-out rows of each task")
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    arguments = parser.parse_args()
    store = MediStore(arguments.data)
    triples = {task: held_out(store, task, arguments.rows) for task in SAME_TEXTS}
    triples = {task: examples for task, examples in triples.items() if examples}
    found: dict[str, dict[str, list[float]]] = {}
    for name in arguments.models:
        model = Instructor.from_pretrained(name)
        found[name] = {task: [obeyed(model, rows, told) for told in (False, True)] for task, rows in triples.items()}
    columns = [f"{name}, {told}" for name in found for told in ("without", "with")]
    print("| task | triples | " + " | ".join(columns) + " |\n" + "| --- " * (len(columns) + 2) + "|")
    for task, rows in triples.items():
        scores = " | ".join(f"{score:.0f}" for name in found for score in found[name][task])
        print(f"| {task} | {len(rows)} | {scores} |")
    means = (np.mean([scores[told] for scores in by_task.values()]) for by_task in found.values() for told in (0, 1))
    print(f"| **mean** | {sum(map(len, triples.values()))} | " + " | ".join(f"**{mean:.0f}**" for mean in means) + " |")
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
