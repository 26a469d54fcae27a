"""A study's outcome for people: a Markdown text and an HTML page with one row of points for each task."""

import re
from pathlib import Path
from typing import Any

from instructor_jax import markdown
from instructor_jax.evaluation.studies.outcomes import StudyOutcome, TaskOutcome, as_json
from instructor_jax.io.atomic import whole_file
from instructor_jax.io.json_files import read_json
from instructor_jax.io.ownership import Claim, check_claims
from instructor_jax.pages.own_pages import is_our_page
from instructor_jax.pages.plots import COLOURS, label, plot
from instructor_jax.pages.render import render

_TITLE = "## Study: "
_MISSING = "–"
_INCOMPLETE = "Not run under every variant, and in no mean"
_NOTES = {
    "paraphrase": "The gap is best less worst.",
    "detail": "The gain is the full instruction's over none.",
    "without": "The gain is the instruction's over none.",
    "swapped": "The gain is the right instruction's over the wrong one.",
}


def save_study(outcome: StudyOutcome, folder: Path) -> list[Path]:
    """Writes study-<name>-<model>.json, .md and .html into a folder; gives their paths.

    Raises:
        ImportError: Matplotlib is absent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = (as_json(outcome), study_markdown(outcome), study_page(outcome))
    paths = _paths(folder, outcome.study, outcome.model)
    for path, content in zip(paths, contents, strict=True):
        with whole_file(path) as beside:
            beside.write_text(content, encoding="utf-8")
    return paths


def refuse_other_files(folder: Path, study: str, model: str) -> None:
    """Refuses a folder in which the files of a study would replace others; before any work.

    Raises:
        NotOursError: so it is.
    """
    json_file, text, page = _paths(folder, study, model)
    check_claims([Claim(json_file, _is_study), Claim(text, _is_study_text), Claim(page, is_our_page)])


def _paths(folder: Path, study: str, model: str) -> list[Path]:
    name = re.sub(r"[^\w.-]+", "_", "-".join(part for part in ("study", study, model) if part))
    return [folder / f"{name}{suffix}" for suffix in (".json", ".md", ".html")]


def _is_study(path: Path) -> bool:
    try:
        return {"study", "variants", "means"} <= set(read_json(path))
    except (ValueError, OSError):
        return False


def _is_study_text(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_TITLE)) == _TITLE.encode("ascii")
    except OSError:
        return False


def study_markdown(outcome: StudyOutcome) -> str:
    """Returns a heading, the question, the tasks, the means, and what is in no mean."""
    title = f"{_TITLE}{outcome.study}" + (f" ({markdown.escaped(outcome.model)})" if outcome.model else "")
    parts = [title, outcome.question, *(markdown.table(*each) for each in (_tasks(outcome), _means(outcome)))]
    reasons = [f"{task.task}: {task.reason}" for task in outcome.tasks if task.reason]
    if reasons:
        parts += [f"{_INCOMPLETE}:", markdown.bullets(reasons)]
    return "\n\n".join(parts) + "\n"


def study_page(outcome: StudyOutcome) -> str:
    """Returns the page's HTML."""
    means = {name: mean for name, mean in outcome.means().items() if not name.isdigit()}  # of paraphrases no single one
    complete = _widest_first(outcome)
    alt = f"Every task's score under each of {', '.join(outcome.variants)}; the table above has the figures."
    drawn = plot(alt, lambda axes: _draw(axes, outcome, complete), 1.5 + 0.28 * len(complete)) if complete else None
    return render(
        "instructor_jax.evaluation.studies",
        "report.html.jinja",
        title=f"Study: {outcome.study}",
        question=outcome.question,
        model=outcome.model,
        figures=[(name, f"{mean:.1f}") for name, mean in means.items()],
        note=f"Percent. {_NOTES[outcome.study]}",
        tasks=_tasks(outcome),
        plot=drawn,
        means=_means(outcome),
        incomplete=f"{_INCOMPLETE}.",
        reasons=[f"{task.task}: {task.reason}" for task in outcome.tasks if task.reason],
    )


def _heads(outcome: StudyOutcome) -> list[str]:
    return [*outcome.variants, *(("best", "worst", "gap") if outcome.study == "paraphrase" else ("gain",))]


def _tasks(outcome: StudyOutcome) -> tuple[list[str], list[list[str]]]:
    """Returns a row for each task, the widest apart first; of incomplete ones what there is."""
    heads, complete = _heads(outcome), _widest_first(outcome)
    rows = []
    for task in [*complete, *(task for task in outcome.tasks if not task.complete)]:
        figures = outcome.figures(task) or task.scores
        rows.append([task.task, task.kind, *(_shown(figures.get(head)) for head in heads)])
    return ["task", "kind", *heads], rows


def _means(outcome: StudyOutcome) -> tuple[list[str], list[list[str]]]:
    heads = _heads(outcome)
    means = {kind: outcome.means(kind) for kind in dict.fromkeys(task.kind for task in outcome.tasks)}
    means["all"] = outcome.means()
    return ["kind", *heads], [
        [kind, *(_shown(each.get(head)) for head in heads)] for kind, each in means.items() if each
    ]


def _widest_first(outcome: StudyOutcome) -> list[TaskOutcome]:
    def width(task: TaskOutcome) -> float:
        return list(outcome.figures(task).values())[-1]

    return sorted((task for task in outcome.tasks if task.complete), key=width, reverse=True)


def _shown(figure: float | None) -> str:
    return _MISSING if figure is None else f"{figure:.2f}"


def _draw(axes: Any, outcome: StudyOutcome, tasks: list[TaskOutcome]) -> None:
    places = range(len(tasks), 0, -1)
    for place, task in zip(places, tasks, strict=True):
        scores = [score for score in task.scores.values() if score is not None]
        axes.plot((min(scores), max(scores)), (place, place), color="#c9d1da", linewidth=2, zorder=1)
    for number, variant in enumerate(outcome.variants):
        colour = COLOURS[number % len(COLOURS)]
        axes.scatter(
            [task.scores[variant] for task in tasks], list(places), color=colour, label=variant, s=22, zorder=2
        )
    axes.set_yticks(list(places), [label(task.task) for task in tasks])
    axes.set_xlabel("percent")
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
