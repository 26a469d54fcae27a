"""The published scores of eleven models, and where each figure comes from.

`published_scores.csv` has a row per task of the paper, and rows without a task for what is only known as the mean of a
group. Figures whose source is "recalled" were not read anywhere; reports mark them.
"""

import csv
import dataclasses
from importlib import resources

from instructor_jax.evaluation.report.averages import Averages, averages

SOURCES = {
    "results": "the public results repository of MTEB, INSTRUCTOR's reported by its authors in January 2023",
    "readme": "the model list of INSTRUCTOR's repository",
    "log": "a third party's log of the original Billboard script",
    "recalled": "recalled from the paper's main table, not verified",
    "none": "no figure known",
}
MARKS = {"log": "†", "recalled": "‡"}


@dataclasses.dataclass(frozen=True)
class PublishedModel:
    """One model's published figures, in percent.

    Attributes:
        name: Name such as "instructor-large".
        figures: Figures by task.
        sources: Where each of `figures` comes from, by task.
        groups: Means that are only known as such, by group; all recalled.
        average: Published average over nine groups, and its source; None where none is known.
        averages: Averages computed from the figures and `groups`.
    """

    name: str
    figures: dict[str, float]
    sources: dict[str, str]
    groups: dict[str, float]
    average: tuple[float, str] | None
    averages: Averages


@dataclasses.dataclass(frozen=True)
class Published:
    """The table: the paper's 70 tasks with their groups, and the models."""

    tasks: dict[str, str]
    models: tuple[PublishedModel, ...]

    def model(self, name: str) -> PublishedModel:
        """Returns a model by its name."""
        return next(model for model in self.models if model.name == name)


def published_scores() -> Published:
    """Reads the table that ships with the package."""
    text = (resources.files("instructor_jax.evaluation") / "published_scores.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    tasks = {row["task"]: row["group"] for row in rows if row["task"]}
    names = [name for name in rows[0] if name not in ("group", "task", "source")]
    return Published(tasks, tuple(_model(name, rows, tasks) for name in names))


def _model(name: str, rows: list[dict[str, str]], tasks: dict[str, str]) -> PublishedModel:
    own = [row for row in rows if row[name]]
    figures = {row["task"]: float(row[name]) for row in own if row["task"]}
    sources = {row["task"]: row["source"] for row in own if row["task"]}
    means = [row for row in own if not row["task"]]
    groups = {row["group"]: float(row[name]) for row in means if row["group"] != "Average"}
    average = next(((float(row[name]), row["source"]) for row in means if row["group"] == "Average"), None)
    return PublishedModel(name, figures, sources, groups, average, averages(figures, tasks, groups))
