"""What a study of instructions found: each task's scores under each variant, their gaps and means.

Tasks of which only some variants ran are kept with what there is, but are in no mean.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Literal

Study = Literal["paraphrase", "detail", "without", "swapped"]

_QUESTIONS: dict[Study, str] = {
    "paraphrase": "Five instructions of the same meaning for each task: how far are the best and the worst apart?",
    "detail": "None, the name of the data set, domain and text type, the full instruction: what does each step add?",
    "without": "The full instruction against none.",
    "swapped": "The right instruction, none, and a wrong one: queries read as documents, or another task's.",
}


@dataclasses.dataclass(frozen=True)
class TaskOutcome:
    """A task's scores under the variants.

    Attributes:
        task: Name of the task, as in `TaskScore`.
        kind: Group of the task, as in `TaskScore`.
        metric: Name of the metric, as in `TaskScore`.
        scores: Percent by variant; None where it did not run.
        reason: Reason why a variant did not run; empty where all did.
    """

    task: str
    kind: str
    metric: str
    scores: Mapping[str, float | None]
    reason: str = ""

    @property
    def complete(self) -> bool:
        """Returns whether every variant ran."""
        return None not in self.scores.values()


@dataclasses.dataclass(frozen=True)
class StudyOutcome:
    """What a study found."""

    study: Study
    model: str
    variants: tuple[str, ...]
    tasks: tuple[TaskOutcome, ...]

    @property
    def question(self) -> str:
        """Returns what the study asks, in a sentence."""
        return _QUESTIONS[self.study]

    def figures(self, task: TaskOutcome) -> dict[str, float]:
        """Returns a complete task's score under each variant, and what the study makes of them; else nothing.

        Of paraphrases the best, the worst and their gap; of the others the gain of the full instruction over the first
        variant.
        """
        scores = {variant: score for variant in self.variants if (score := task.scores[variant]) is not None}
        if not task.complete:
            return {}
        if self.study == "paraphrase":
            best, worst = max(scores.values()), min(scores.values())
            return {**scores, "best": best, "worst": worst, "gap": best - worst}
        return {**scores, "gain": scores["full"] - scores[self.variants[0]]}

    def means(self, kind: str | None = None) -> dict[str, float]:
        """Returns the mean of each figure over the complete tasks (of one kind); nothing where there are none."""
        rows = [self.figures(task) for task in self.tasks if task.complete and kind in (None, task.kind)]
        return {name: sum(row[name] for row in rows) / len(rows) for name in (rows[0] if rows else ())}


def as_json(outcome: StudyOutcome) -> str:
    """Returns everything as JSON, means included."""
    tasks = [{**dataclasses.asdict(task), "figures": outcome.figures(task)} for task in outcome.tasks]
    kinds = {kind: outcome.means(kind) for kind in dict.fromkeys(task.kind for task in outcome.tasks)}
    content = {
        "study": outcome.study,
        "question": outcome.question,
        "model": outcome.model,
        "variants": outcome.variants,
        "tasks": tasks,
        "means": {"all": outcome.means(), **kinds},
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
