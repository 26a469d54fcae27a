"""From the metadata of a Super-NaturalInstructions task to its instruction, with corrections a person can edit.

The template is the paper's, "Represent the {domain} {text_type} for {objective}: ". Domain and category of the task
file choose the words through a TOML file, in which single tasks can be corrected; a user's file is laid over it. All
instructions end in ": ", the style of evaluation; those of the published MEDI file end in ";" and nothing after it.
"""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from instructor_jax.text.instructions import Instruction

SHIPPED_CORRECTIONS = Path(__file__).with_name("super_natural_corrections.toml")
KINDS = ("classification", "generation")
CATEGORY_KEYS = ("text_type", "objective")
TASK_KEYS = ("domain", "text_type", "objective", "kind")


@dataclasses.dataclass(frozen=True)
class Corrections:
    """What the TOML file says: words for domains, text type and objective of categories, single tasks."""

    domains: Mapping[str, str]
    categories: Mapping[str, Mapping[str, str]]
    tasks: Mapping[str, Mapping[str, str]]


def read_corrections(path: Path | None = None) -> Corrections:
    """Reads the shipped corrections, with those of `path`, if given, laid over them.

    Raises:
        ValueError: The file is not TOML, or has a table, key or kind that does not exist.
    """
    shipped = _read_file(SHIPPED_CORRECTIONS)
    if path is None:
        return shipped
    own = _read_file(path)
    tasks = {name: {**shipped.tasks.get(name, {}), **entry} for name, entry in own.tasks.items()}
    categories = {name: {**shipped.categories.get(name, {}), **entry} for name, entry in own.categories.items()}
    return Corrections(
        {**shipped.domains, **own.domains}, {**shipped.categories, **categories}, {**shipped.tasks, **tasks}
    )


def task_instruction(
    task: str, domains: Sequence[str], categories: Sequence[str], corrections: Corrections
) -> Instruction:
    """Returns the instruction of a task, from its file's `Domains` and `Categories` (either may be empty).

    >>> str(task_instruction("task1_x", ["News -> Sports"], ["Title Generation"], read_corrections()))
    'Represent the sports passage for retrieving its title: '
    """
    last = domains[0].split("->")[-1].strip() if domains else ""
    category = categories[0] if categories else "Classification"
    entry = corrections.categories.get(category, {})
    words = {
        "domain": corrections.domains.get(last, last.lower()),
        "text_type": entry.get("text_type", "input"),
        "objective": entry.get("objective", category.lower()),
    }
    words |= {key: value for key, value in corrections.tasks.get(task, {}).items() if key != "kind"}
    return Instruction(**words)


def _read_file(path: Path) -> Corrections:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    allowed = {"domains": None, "categories": CATEGORY_KEYS, "tasks": TASK_KEYS}
    for table, entries in tables.items():
        if table not in allowed or not isinstance(entries, dict):
            raise ValueError(f"{path}: [{table}] is not one of the tables {list(allowed)}.")
        for name, entry in entries.items():
            _check_entry(path, f"{table}.{name}", entry, allowed[table])
    return Corrections(tables.get("domains", {}), tables.get("categories", {}), tables.get("tasks", {}))


def _check_entry(path: Path, name: str, entry: Any, keys: Sequence[str] | None) -> None:
    if keys is None:
        if not isinstance(entry, str):
            raise ValueError(f"{path}: {name} must be a text, not {entry!r}.")
        return
    if not isinstance(entry, dict) or any(not isinstance(value, str) for value in entry.values()):
        raise ValueError(f"{path}: {name} must be a table of texts, such as {{ text_type = 'question' }}.")
    if unknown := sorted(set(entry) - set(keys)):
        raise ValueError(f"{path}: {name} has the keys {unknown}; it may have {list(keys)}.")
    if entry.get("kind", KINDS[0]) not in KINDS:
        raise ValueError(f"{path}: kind={entry['kind']!r} of {name} must be one of {list(KINDS)}.")
