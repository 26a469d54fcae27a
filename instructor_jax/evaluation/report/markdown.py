"""The report as Markdown, for a terminal, a repository or a pull request."""

from collections.abc import Sequence

from instructor_jax.evaluation.protocol import REMAINING, Protocol
from instructor_jax.evaluation.report.comparisons import comparison_table, comparisons
from instructor_jax.evaluation.report.published import MARKS, SOURCES, Published
from instructor_jax.evaluation.report.tables import (
    Table,
    average_table,
    data_table,
    missing_tables,
    other_table,
    published_columns,
    run_column,
    run_facts,
    task_table,
)
from instructor_jax.evaluation.runner import Run
from instructor_jax.evaluation.scores import TaskScore
from instructor_jax.markdown import bullets, escaped, table


def markdown(runs: Sequence[tuple[Run, Sequence[TaskScore]]], published: Published) -> str:
    """Returns the whole report.

    Args:
        runs: every run and its scores, at least one.
        published: the figures to stand beside.
    """
    own = [run_column(run, scores, published) for run, scores in runs]
    columns = [*own, *published_columns(published)]
    parts = [TITLE, _runs(runs)]
    parts += ["## Averages of whole benchmarks", bullets(f"{column.title}: {column.describe()}" for column in own)]
    parts += [_table(average_table(columns)), legend()]
    for one in comparisons(columns, published.tasks):
        parts += [f"## Like with like: {escaped(one.title)}", escaped(one.note), _table(comparison_table(one))]
    parts += ["## The paper's 70 tasks, in percent", _table(task_table(columns, published.tasks))]
    others = other_table(runs, published.tasks)
    if others.rows:
        parts += ["## Other tasks, in percent", OTHERS, _table(others)]
    for run, scores in runs:
        parts.append(f"## {escaped(run.title)}: not run")
        reasons = missing_tables(scores)
        parts.append(bullets(f"{reason}: {', '.join(tasks)}" for reason, tasks in reasons) or "Nothing.")
        parts += [f"## {escaped(run.title)}: what was encoded", _table(data_table(scores))]
    parts += ["## Differences from the published evaluation", bullets(REMAINING)]
    return "\n\n".join(parts) + "\n"


TITLE = "# Evaluation"
OTHERS = "None of these figures enters the averages above, and none is in the paper."


def legend() -> str:
    """Returns what the marks beside figures mean, and where the published ones come from."""
    marks = "; ".join(f"{mark} {SOURCES[source]}" for source, mark in MARKS.items())
    return (
        f"{marks}; figures without a mark: {SOURCES['results']}, published averages {SOURCES['readme']}. "
        "(n/m): only n of m tasks have a figure, so there is no mean. The average is the paper's: the mean of nine "
        "group means."
    )


def _runs(runs: Sequence[tuple[Run, Sequence[TaskScore]]]) -> str:
    texts = []
    for run, scores in runs:
        done = sum(score.score is not None for score in scores)
        facts = [f"- {what}: {escaped(value)}" for what, value in run_facts(run)]
        facts.append(f"- tasks: {done} run, {len(scores) - done} not run (reasons below)")
        facts += [f"  - {escaped(line)}" for line in Protocol(**run.protocol).describe()]
        texts.append("\n".join([f"## {escaped(run.title)}", "", *facts]))
    return "\n\n".join(texts)


def _table(rows: Table) -> str:
    return table(rows.heads, rows.rows)
