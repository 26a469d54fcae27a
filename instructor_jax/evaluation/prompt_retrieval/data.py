"""Pool and test rows of a Prompt Retrieval task, drawn as the original scripts draw them (seed 0, pool first).

Python's `random.sample` gives the same rows from a list of the same length in every version since 3.2; so where a file
has its rows in the published order, the very rows of the published scores are drawn.
"""

import dataclasses
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from instructor_jax.evaluation.data_files import find_file, read_rows
from instructor_jax.evaluation.prompt_retrieval.task import PromptTask, Row

_SEED = 0
_REVIEWERS, _REVIEWS = 20, 50
_IDENTITY = 3  # of the metadata of WILDS CivilComments: male, female, LGBTQ, christian, ...
_DOMAINS = {"hotel", "restaurant", "attraction", "taxi", "train"}


@dataclasses.dataclass(frozen=True)
class PromptRows:
    """The rows of a task: `pool` to choose demonstrations from, `test` to answer."""

    pool: Sequence[Row]
    test: Sequence[Row]


def find_task_files(data: Path, task: PromptTask) -> tuple[Path, ...] | None:
    """Its file of the pool and its file of test rows (of some tasks one file for both), or None.

    They lie in the folder `eval_prompt_<task>`, `prompt_<task>` or `<task>` of `data`; any of the stems of the task
    with the suffix .jsonl or .json, or these with .gz.
    """
    folders = [data / f"{prefix}{task.task}" for prefix in ("eval_prompt_", "prompt_", "")]
    pool = find_file(folders, task.pool_files)
    test = find_file(folders, task.test_files)
    if pool is None or (task.test_files and test is None):
        return None
    return (pool, test) if test else (pool,)


def absence(data: Path, task: PromptTask) -> str:
    """Returns why a task cannot run: which files are not there, and what their rows would hold."""
    wanted = [" or ".join(f"{stem}.jsonl" for stem in stems) for stems in (task.pool_files, task.test_files) if stems]
    return (
        f"no data: {data} has no folder eval_prompt_{task.task} with {' and '.join(wanted)}, rows of "
        f"{', '.join(task.fields)} ({task.title})"
    )


def read_task_rows(files: tuple[Path, ...], task: PromptTask) -> PromptRows:
    """Reads and draws the rows of a task.

    Raises:
        ValueError: a file is damaged, a row lacks a field or has an unknown label, or nothing is left of the test rows.
    """
    rows = [_prepared(path, read_rows(path, task.fields), task) for path in files]
    pool, test = _DRAWS[task.draw](random.Random(_SEED), rows, task)
    if not pool or not test:
        raise ValueError(f"{files[-1]}: {len(pool)} rows for the pool and {len(test)} for the test; both need some")
    return PromptRows(pool, test)


def _prepared(path: Path, rows: Sequence[Row], task: PromptTask) -> list[Row]:
    prepared = []
    for number, row in enumerate(rows, start=1):
        try:
            row = task.prepared(row)
            task.text(row)
            known = task.options_of(row) if task.label and task.options else None
            if known is not None and task.label(row) not in known:  # type: ignore[misc]
                raise ValueError(f"label {row['label']!r} is none of {', '.join(known)}")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}, row {number}: {error!r} (fields: {', '.join(task.fields)})") from error
        prepared.append(row)
    return prepared


def _sample(random: random.Random, rows: Sequence[Any], count: int | None) -> list[Any]:
    """Returns `count` of the rows; all, in their order, where there are no more."""
    return list(rows) if count is None or count >= len(rows) else random.sample(rows, count)


def _pool_and_test(random: random.Random, rows: list[list[Row]], task: PromptTask) -> tuple[list[Row], list[Row]]:
    pool = _sample(random, rows[0], task.pool)
    return pool, _sample(random, rows[1], task.test)


def _one_file(random: random.Random, rows: list[list[Row]], task: PromptTask) -> tuple[list[Row], list[Row]]:
    """Draws the test rows first, the pool from the rest."""
    test = _sample(random, range(len(rows[0])), task.test)
    chosen = set(test)
    rest = [number for number in range(len(rows[0])) if number not in chosen]
    pool = _sample(random, rest, task.pool)
    return [rows[0][number] for number in pool], [rows[0][number] for number in test]


def _reviewers(random: random.Random, rows: list[list[Row]], task: PromptTask) -> tuple[list[Row], list[Row]]:
    """Draws twenty reviewers (the first of the metadata) with fifty reviews each.

    The original draws from a Python set, whose order is a matter of luck for strings; here reviewers are sorted.
    """
    pool = _sample(random, rows[0], task.pool)
    by_reviewer: dict[str, list[Row]] = {}
    for row in rows[1]:
        by_reviewer.setdefault(str(row["meta"][0]), []).append(row)
    drawn = _sample(random, sorted(by_reviewer), _REVIEWERS)
    return pool, [row for reviewer in drawn for row in _sample(random, by_reviewer[reviewer], _REVIEWS)]


def _identity(random: random.Random, rows: list[list[Row]], task: PromptTask) -> tuple[list[Row], list[Row]]:
    """Draws test comments of label 1 that name the identity, as the original does unless told otherwise."""
    pool = _sample(random, rows[0], task.pool)
    named = [row for row in rows[1] if row["meta"][_IDENTITY] == 1 and row["label"] == 1]
    return pool, _sample(random, named, task.test)


def _dialogues(random: random.Random, rows: list[list[Row]], task: PromptTask) -> tuple[list[Row], list[Row]]:
    """Draws all turns of a thousand dialogues, and the first 256 turns of the test dialogues, shuffled."""
    grouped = []
    for turns in rows:
        dialogues: dict[str, list[Row]] = {}
        for turn in turns:
            if set(turn["domains"]) <= _DOMAINS:
                dialogues.setdefault(str(turn["ID"]), []).append(turn)
        grouped.append(dialogues)
    pool = [turn for dialogue in _sample(random, list(grouped[0]), task.pool) for turn in grouped[0][dialogue]]
    test = list(grouped[1].values())
    random.shuffle(test)
    return pool, [turn for dialogue in test for turn in dialogue][: task.test]


_DRAWS: dict[str, Callable[[random.Random, list[list[Row]], PromptTask], tuple[list[Row], list[Row]]]] = {
    "all_pool": _pool_and_test,
    "sample": _pool_and_test,
    "one_file": _one_file,
    "reviewers": _reviewers,
    "identity": _identity,
    "dialogues": _dialogues,
}
