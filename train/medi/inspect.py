"""Printing examples so that a person can judge them: instruction once, then query, positive and negatives below it."""

import random
import shutil
import textwrap
from collections.abc import Iterable, Iterator

from ..data.examples import Example, Side
from .storage.store import MediStore


def overview(store: MediStore) -> str:
    """Describes each task in a line: examples, negatives of an example, and its first instructions."""
    width = max(len(name) for name in store.tasks)
    lines = [f"{store.folder}: {len(store):,} rows in {len(store.tasks)} tasks, fingerprint {store.fingerprint}", ""]
    for name in store.tasks:
        entry = store.entry(name)
        query, document, _ = entry["instructions"][0]
        sides = query if query == document else f"{query} -> {document}"
        lines.append(f"{name:{width}}  {entry['rows']:>9,}  {_negatives(entry['negatives'])}  {sides}")
    return "\n".join(lines)


def sample(store: MediStore, task: str, count: int, seed: int = 0) -> list[Example]:
    """Draws `count` different examples of a task, the same ones for the same seed and number of examples."""
    rows = store.rows(task)
    return store.read(sorted(random.Random(f"{seed} {task}").sample(rows, min(count, len(rows)))))


def described(examples: Iterable[Example], width: int | None = None, characters: int = 600) -> Iterator[str]:
    """Yields each example as a block of lines.

    Args:
        examples: Examples to print.
        width: Number of columns of the terminal; None asks it.
        characters: Number of characters beyond which texts are cut.
    """
    width = max(40, width or shutil.get_terminal_size((100, 24)).columns)
    for example in examples:
        facts = [f"row {example.row_id}"]
        facts += [f"label {example.label}"] if example.label is not None else []
        facts += [f"score {example.score:.3g}"] if example.score is not None else []
        facts += [f"weight {example.weight:.3g}"] if example.weight != 1 else []
        lines = [f"--- {example.task} | {', '.join(facts)} ".ljust(width, "-")]
        sides = [
            ("query", example.query),
            ("positive", example.positive),
            *(("negative", n) for n in example.negatives),
        ]
        instruction = None
        for name, side in sides:
            if side.instruction != instruction:
                instruction = side.instruction
                lines.append(f"  [{instruction or 'no instruction'}]")
            lines += _wrapped(name, side, width, characters)
        if not example.negatives:
            lines.append(f"{'negative':>10}  (none)")
        yield "\n".join(lines)


def _wrapped(name: str, side: Side, width: int, characters: int) -> list[str]:
    text = side.text if len(side.text) <= characters else f"{side.text[:characters]} ... ({len(side.text)} characters)"
    lines = [piece for line in text.splitlines() or [""] for piece in textwrap.wrap(line, width - 12) or [""]]
    return [f"{name if i == 0 else '':>10}  {line}" for i, line in enumerate(lines)]


def _negatives(counts: dict[str, int]) -> str:
    rows = sum(counts.values())
    return f"{sum(int(number) * times for number, times in counts.items()) / rows:4.1f} negatives"
