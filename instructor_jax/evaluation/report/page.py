"""The report as one HTML page that needs nothing else: plots first, then the tables, sortable."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from instructor_jax.evaluation.protocol import REMAINING, Protocol
from instructor_jax.evaluation.report.averages import GROUPS, MTEB_GROUPS, mean_of
from instructor_jax.evaluation.report.comparisons import Comparison, comparison_table, comparisons
from instructor_jax.evaluation.report.markdown import OTHERS, legend
from instructor_jax.evaluation.report.published import Published
from instructor_jax.evaluation.report.tables import (
    Column,
    average_table,
    data_table,
    missing_tables,
    number,
    other_table,
    published_columns,
    run_column,
    run_facts,
    task_table,
)
from instructor_jax.evaluation.runner import Run
from instructor_jax.evaluation.scores import TaskScore
from instructor_jax.pages.plots import COLOURS, Plot, label, plot
from instructor_jax.pages.render import render

_BESIDE = ("instructor-base", "instructor-large", "instructor-xl")  # published models that the plots show
_GREYS = ("#c3c9d1", "#9aa3ad", "#6d7782")


def report_page(runs: Sequence[tuple[Run, Sequence[TaskScore]]], published: Published) -> str:
    """Returns the page's HTML.

    Args:
        runs: every run and its scores, at least one.
        published: the figures to stand beside.

    Raises:
        ImportError: Matplotlib is absent.
    """
    own = [run_column(run, scores, published) for run, scores in runs]
    columns = [*own, *published_columns(published)]
    return render(
        "instructor_jax.evaluation.report",
        "page.html.jinja",
        title="Evaluation",
        runs=[_run(run, scores) for run, scores in runs],
        figures=_figures(runs, own, published.tasks),
        averages=" ".join(f"{column.title}: {column.describe()}" for column in own),
        average_table=average_table(columns),
        legend=legend(),
        comparisons=[_compared(one) for one in comparisons(columns, published.tasks)],
        tasks_plot=_tasks_plot(columns, published.tasks),
        task_table=task_table(columns, published.tasks),
        others=_other_tasks(runs, published.tasks),
        remaining=REMAINING,
    )


def _figures(
    runs: Sequence[tuple[Run, Sequence[TaskScore]]], own: Sequence[Column], tasks: Mapping[str, str]
) -> list[tuple[str, ...]]:
    """Returns the figures at the page's top, each (what, value) or (what, value, remark)."""
    mteb = [task for task, group in tasks.items() if group in MTEB_GROUPS]
    figures: list[tuple[str, ...]] = []
    for (run, scores), column in zip(runs, own, strict=True):
        done = sum(score.score is not None for score in scores)
        known = [task for task in mteb if task in column.figures]
        if column.averages.macro is not None:
            figures.append((f"{run.title}: average of 9 groups", number(column.averages.macro, 1)))
        elif known:
            what = f"mean of {len(known)} of MTEB's {len(mteb)} tasks"
            figures.append((f"{run.title}: {what}", number(mean_of(column.figures, known), 1)))
        figures.append((f"{run.title}: tasks run", str(done), f"of {len(scores)}"))
    return figures


def _run(run: Run, scores: Sequence[TaskScore]) -> dict[str, Any]:
    """Returns what the page says about one run."""
    return {
        "title": run.title,
        "facts": run_facts(run),
        "protocol": Protocol(**run.protocol).describe(),
        "not_run": [(reason, ", ".join(tasks)) for reason, tasks in missing_tables(scores)],
        "encoded": data_table(scores),
    }


def _compared(comparison: Comparison) -> dict[str, Any]:
    alt = f"Bars of every model's mean for each group, over {comparison.title}; the table below has the figures."
    drawn = plot(alt, _groups(comparison), 3.4)
    return {"title": comparison.title, "note": comparison.note, "plot": drawn, "table": comparison_table(comparison)}


def _tasks_plot(columns: Sequence[Column], tasks: Mapping[str, str]) -> Plot | None:
    own = [column for column in columns if column.own]
    measured = [task for task in tasks if any(task in column.figures for column in own)]
    if not measured:
        return None
    whole = any(not column.sample for column in own)  # figures of samples do not stand beside published ones
    beside = [column for column in columns if not column.own and column.title in _BESIDE and whole]
    alt = f"Every model's score on each of {len(measured)} tasks; the table below has the figures."
    return plot(alt, _tasks([*own, *beside], measured), 1.0 + 0.24 * len(measured))


def _other_tasks(runs: Sequence[tuple[Run, Sequence[TaskScore]]], tasks: Mapping[str, str]) -> dict[str, Any] | None:
    other = other_table(runs, tasks)
    if not other.rows:
        return None
    alt = f"The runs' scores on {len(other.rows)} other tasks; the table below has the figures."
    drawn = plot(alt, _others(runs, [row[0] for row in other.rows]), 1.0 + 0.24 * len(other.rows))
    return {"note": OTHERS, "plot": drawn, "table": other}


def _groups(comparison: Comparison) -> Callable[[Any], None]:
    """Bars by group over the compared tasks, a colour a run, published models in grey."""
    columns = [column for column in comparison.columns if column.own or column.title in _BESIDE]
    groups = [group for group in GROUPS if comparison.of_group(group)]

    def draw(axes: Any) -> None:
        width = 0.8 / len(columns)
        for place, (column, colour) in enumerate(zip(columns, _colours(columns), strict=True)):
            positions = [at + (place - (len(columns) - 1) / 2) * width for at in range(len(groups))]
            heights = [mean_of(column.figures, comparison.of_group(group)) or 0.0 for group in groups]
            axes.bar(positions, heights, width, color=colour, label=label(column.title))
        names = [comparison.heading(group).replace("PairC", "Pair\nc").replace(" ", "\n", 1) for group in groups]
        axes.set_xticks(range(len(groups)), names, fontsize=8)
        axes.set_ylabel("mean of these tasks, %")
        axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.22), ncols=3)

    return draw


def _tasks(columns: Sequence[Column], tasks: Sequence[str]) -> Callable[[Any], None]:
    """Draws a row a task: a dot for each model, large and coloured for runs."""

    def draw(axes: Any) -> None:
        for place, (column, colour) in enumerate(zip(columns, _colours(columns), strict=True)):
            known = [(column.figures[task], at) for at, task in enumerate(tasks) if task in column.figures]
            size, marker = (_dot(place), "o") if column.own else (26, "|")
            if known:
                axes.scatter(
                    *zip(*known, strict=True), s=size, marker=marker, color=colour, label=label(column.title), zorder=3
                )
        _rows(axes, tasks)

    return draw


def _others(runs: Sequence[tuple[Run, Sequence[TaskScore]]], tasks: Sequence[str]) -> Callable[[Any], None]:
    """Draws the same for tasks outside the paper, of runs alone."""

    def draw(axes: Any) -> None:
        for place, (run, scores) in enumerate(runs):
            figures = {score.task: score.score for score in scores if score.score is not None}
            known = [(figures[task], at) for at, task in enumerate(tasks) if task in figures]
            if known:
                colour = COLOURS[place % len(COLOURS)]
                axes.scatter(*zip(*known, strict=True), s=_dot(place), color=colour, label=label(run.title), zorder=3)
        _rows(axes, tasks)

    return draw


def _dot(place: int) -> float:
    """Returns the area of a model's dots: the later ones are smaller, so that equal scores show as rings."""
    return max(80.0 - 22.0 * place, 14.0)


def _rows(axes: Any, tasks: Sequence[str]) -> None:
    axes.set_yticks(range(len(tasks)), [label(task) for task in tasks], fontsize=8)
    axes.set_ylim(len(tasks) - 0.4, -0.6)
    axes.grid(axis="y", color="#eef1f4", linewidth=6, zorder=0)
    axes.set_xlabel("%")
    axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3)


def _colours(columns: Sequence[Column]) -> list[str]:
    ours, theirs = iter(COLOURS * len(columns)), iter(_GREYS * len(columns))
    return [next(ours) if column.own else next(theirs) for column in columns]
