"""`TaskScore`: what one task gave, as a small JSON file, and the folder of them that makes a run resumable.

A task counts as finished when its file is there *and* was made under the same fingerprint (model, instructions,
protocol, limit, data); so a restarted run repeats nothing, and a run with other settings trusts nothing.
"""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from instructor_jax.evaluation.embedder import Embedder
from instructor_jax.io.atomic import whole_file
from instructor_jax.io.json_files import Fields, read_json, shown_value
from instructor_jax.io.printable import one_line

logger: logging.Logger = logging.getLogger(__name__)

_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class TaskScore:
    """The outcome of one task.

    Attributes:
        benchmark: Name of the benchmark, "mteb", "local", "billboard" or "prompt_retrieval".
        task: Name of the task, unique over all benchmarks.
        kind: Group that the paper counts it in: "Retrieval", "STS", ..., "Billboard", "Prompt Retrieval".
        score: Score in percent (a correlation may be negative); None where it did not run.
        metric: Name of the metric, such as "ndcg_at_10".
        details: Further figures and facts, JSON values.
        reason: Reason why it did not run; empty where it did.
    """

    benchmark: str
    task: str
    kind: str
    score: float | None
    metric: str
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.score is None) != bool(self.reason):
            raise ValueError(f"{self.task}: a score ({self.score}) or a reason ({self.reason!r}), exactly one of them.")


def missing(benchmark: str, task: str, kind: str, metric: str, reason: str) -> TaskScore:
    """Returns the score of a task that cannot run, with the reason in one line."""
    return TaskScore(benchmark, task, kind, None, metric, {}, " ".join(reason.split()))


@dataclasses.dataclass(frozen=True)
class Job:
    """One task, ready to run.

    Attributes:
        benchmark: Name of the benchmark, as in `TaskScore`.
        task: Name of the task, as in `TaskScore`.
        kind: Group of the task, as in `TaskScore`.
        run: Function that evaluates an embedder; it may return a score with a reason instead of a figure, and raise
            ValueError for broken data.
        settings: JSON values of its own that change its score (a language model's name, ...), for the fingerprint.
    """

    benchmark: str
    task: str
    kind: str
    run: Callable[[Embedder], TaskScore]
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def fingerprint(settings: Mapping[str, Any]) -> str:
    """Returns sixteen hexadecimal digits of settings (JSON values), whatever their order."""
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


class ScoreFolder:
    """The scores of one run, one file a task: `<folder>/<benchmark>/<task>.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, benchmark: str, task: str) -> Path:
        """Returns where a task's score lies."""
        return self.folder / benchmark / f"{task}.json"

    def save(self, score: TaskScore, settings: Mapping[str, Any]) -> None:
        """Writes a score and the settings it was made under; the file is whole or absent."""
        path = self.path(score.benchmark, score.task)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "format": _FORMAT,
            "fingerprint": fingerprint(settings),
            "settings": dict(settings),
            **dataclasses.asdict(score),
        }
        with whole_file(path) as beside:
            beside.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def finished(self, benchmark: str, task: str, settings: Mapping[str, Any]) -> TaskScore | None:
        """Returns the score made under the same settings; None if there is none, or the task did not run.

        A task that was missing is tried again: its data may have come.
        """
        path = self.path(benchmark, task)
        if not path.is_file():
            return None
        score, made_under = _read(path)
        if made_under != fingerprint(settings):
            logger.info("%s was made under other settings; running the task again", path)
            return None
        return score if score.score is not None else None

    def all(self) -> list[TaskScore]:
        """Returns every stored score, in the order of benchmark and task."""
        return [_read(path)[0] for path in sorted(self.folder.glob("*/*.json"))]


def _read(path: Path) -> tuple[TaskScore, str]:
    try:
        fields = Fields(read_json(path), path)
        if fields.any("format") != _FORMAT:
            raise ValueError(f"format {shown_value(fields.any('format'))}, this version reads {_FORMAT}.")
        score = TaskScore(
            benchmark=fields.text("benchmark"),
            task=fields.text("task"),
            kind=fields.text("kind"),
            score=float(fields.number("score", least=-1e6, most=1e6)) if "score" in fields else None,
            metric=fields.text("metric"),
            details=dict(Fields(fields.any("details"), path).content),
            reason=fields.text("reason"),
        )
        return score, fields.text("fingerprint")
    except ValueError as error:
        reason = one_line(str(error), 300)
        raise ValueError(f"{path} is not a task's score: {reason} Delete it to run the task again.") from error
