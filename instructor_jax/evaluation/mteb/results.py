"""MTEB's own result files, each whole or absent, and the figure that counts in one of them.

MTEB writes its files in place: killed in between, it leaves half of one. Here it writes into a folder beside, and what
is whole moves over.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

SETTINGS = "run_settings.jsonl"


def save_result(result: Any, meta: Any, folder: Path, encode_kwargs: Mapping[str, Any]) -> Path:
    """Writes a `TaskResult` where `mteb.ResultCache(folder)` finds it, with its two companion files; returns its path.

    Args:
        result: `mteb.results.TaskResult`.
        meta: the model's `ModelMeta`.
        folder: what `ResultCache` was or will be given.
        encode_kwargs: what the evaluation was called with, for the record.
    """
    import mteb

    target = mteb.ResultCache(folder).get_task_result_path(result.task_name, meta)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as scratch:
        cache = mteb.ResultCache(scratch)
        draft = cache.get_task_result_path(result.task_name, meta)
        draft.parent.mkdir(parents=True, exist_ok=True)
        if (target.parent / SETTINGS).is_file():  # MTEB merges the new task's line into it
            shutil.copyfile(target.parent / SETTINGS, draft.parent / SETTINGS)
        cache.save_to_cache(result, meta, encode_kwargs=dict(encode_kwargs))
        # The result last: where it is, its companions are.
        for path in sorted(draft.parent.iterdir(), key=lambda path: path == draft):
            with open(path, "rb") as written:
                os.fsync(written.fileno())
            os.replace(path, target.parent / path.name)
    return target


def load_result(task: str, meta: Any, folder: Path) -> Any | None:
    """The `TaskResult` that `save_result` wrote; None if there is none."""
    import mteb

    return mteb.ResultCache(folder).load_task_result(task, meta)


def figure(result: Any, metric: str) -> float:
    """A metric in percent: its mean over the splits and subsets of a `TaskResult`.

    Raises:
        ValueError: the result has no such metric.
    """
    entries = [entry for entries in result.scores.values() for entry in entries]
    if not entries or any(metric not in entry for entry in entries):
        raise ValueError(f"{result.task_name} has no figure {metric!r} in every split and subset.")
    return 100 * float(np.mean([entry[metric] for entry in entries]))
