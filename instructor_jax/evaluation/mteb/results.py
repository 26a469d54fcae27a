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

from instructor_jax.io.bounds import SETTINGS_BYTES
from instructor_jax.io.json_files import parse_json, read_bytes
from instructor_jax.io.ownership import Claim, check_claims

META, SETTINGS = "model_meta.json", "run_settings.jsonl"


def save_result(result: Any, meta: Any, folder: Path, encode_kwargs: Mapping[str, Any]) -> Path:
    """Writes a `TaskResult` where `mteb.ResultCache(folder)` finds it, with its two companion files; returns its path.

    Args:
        result: `mteb.results.TaskResult`.
        meta: the model's `ModelMeta`.
        folder: what `ResultCache` was or will be given.
        encode_kwargs: what the evaluation was called with, for the record.

    Raises:
        NotOursError: a file that is no result of MTEB lies there.
    """
    import mteb

    target = refuse_other_results(result.task_name, meta, folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    before = load_result(result.task_name, meta, folder)
    if before is not None and before.is_mergeable(result, raise_error=False):
        result = before.merge(result)  # of another benchmark, with other splits or subsets of the same data
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


def refuse_other_results(task: str, meta: Any, folder: Path) -> Path:
    """Returns where the result of a task will lie; what lies there and beside it must be results of MTEB.

    Raises:
        NotOursError: there is another file, or a link.
    """
    import mteb

    target = mteb.ResultCache(folder).get_task_result_path(task, meta)
    beside = target.parent
    check_claims([Claim(target, _is_result), Claim(beside / META, _is_meta), Claim(beside / SETTINGS, _is_settings)])
    return target


def _is_result(path: Path) -> bool:
    return _has(path, {"task_name", "scores"})


def _is_meta(path: Path) -> bool:
    return _has(path, {"name", "revision"})


def _is_settings(path: Path) -> bool:
    try:
        lines = read_bytes(path, SETTINGS_BYTES).splitlines()
        return all(isinstance(parse_json(line, path), dict) for line in lines if line.strip())
    except (ValueError, OSError):
        return False


def _has(path: Path, keys: set[str]) -> bool:
    try:
        content = parse_json(read_bytes(path, SETTINGS_BYTES), path, constants=True)  # MTEB writes NaN as it is
        return isinstance(content, dict) and keys <= set(content)
    except (ValueError, OSError):
        return False


def load_result(task: str, meta: Any, folder: Path) -> Any | None:
    """Returns the `TaskResult` that `save_result` wrote; None if there is none."""
    import mteb

    return mteb.ResultCache(folder).load_task_result(task, meta)


def figure(result: Any, metric: str) -> float:
    """Returns a metric in percent: its mean over the splits and subsets of a `TaskResult`.

    Raises:
        ValueError: the result has no such metric.
    """
    entries = [entry for entries in result.scores.values() for entry in entries]
    if not entries or any(metric not in entry for entry in entries):
        raise ValueError(f"{result.task_name} has no figure {metric!r} in every split and subset.")
    return 100 * float(np.mean([entry[metric] for entry in entries]))
