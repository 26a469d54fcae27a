"""The statistics of a mixture as one HTML page that needs nothing else: plots are embedded, tables sort by a click."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from instructor_jax.html import Html, bar, cards, code, is_our_page, joined, label, page, plot, section, small, table
from instructor_jax.io.atomic import whole_file

from .stats import LENGTH_EDGES, SIDES, MixtureStats, SideName, TaskStats, Unit

_COLOURS = {"query": "#2f6f9f", "positive": "#d9822b", "negatives": "#8a8f98"}


def write_stats_page(stats: MixtureStats, path: Path, title: str) -> None:
    """Writes the page; it appears whole or not at all.

    Raises:
        FileExistsError: something else than such a page is there.
    """
    refuse_other_page(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as draft:
        draft.write_text(stats_page(stats, title), encoding="utf-8")


def refuse_other_page(path: Path) -> None:
    """Refuses to replace a file that is no page of ours."""
    if os.path.lexists(path) and not is_our_page(path):
        raise FileExistsError(f"{path} exists and is no page that this program wrote; name another place.")


def stats_page(stats: MixtureStats, title: str) -> str:
    """The page's HTML."""
    sections = [
        _cards(stats),
        section("Rows per task", _sizes_note(stats), plot(lambda axes: _draw_sizes(axes, stats), 3.2)),
        section("Lengths", _lengths_note(stats), *(plot(_lengths(stats, unit), 2.6) for unit in stats.units)),
        section("Hard negatives", "Rows by number of hard negatives.", _negatives_table(stats)),
        _contamination(stats),
        section("Tasks", "Click on a heading to sort.", _task_table(stats)),
        section("Instructions", "Most frequent first; at most 20 of a task are listed.", _instruction_table(stats)),
    ]
    return page(title, joined("Fingerprint of the rows: ", code(stats.fingerprint)), sections)


def _cards(stats: MixtureStats) -> str:
    negatives = sum(number * rows for number, rows in stats.negatives.items())
    repeated = sum(task.repeated_rows for task in stats.tasks)
    values = [
        ("tasks", f"{len(stats.tasks):,}"),
        ("rows", f"{stats.rows:,}"),
        ("hard negatives", f"{negatives:,}"),
        ("rows repeated in their task", _share(repeated, stats.rows)),
        ("rows another task has, too", _share(stats.repeated_across, stats.rows)),
    ]
    if stats.evaluation is not None:
        found = sum(task.contaminated for task in stats.tasks)
        values.append(("texts also in evaluation data", f"{found:,}"))
    return cards(values)


def _share(part: int, whole: int) -> str:
    return joined(f"{part:,} ", small(f"({part / whole:.1%})")) if part else "0"


def _sizes_note(stats: MixtureStats) -> str:
    sizes = sorted((task.rows for task in stats.tasks), reverse=True)
    half = int(np.searchsorted(np.cumsum(sizes), stats.rows / 2)) + 1
    return (
        f"The largest task has {sizes[0]:,} rows, the median {int(np.median(sizes)):,}, the smallest {sizes[-1]:,}. "
        f"Half of all rows come from {half} of {len(sizes)} tasks."
    )


def _draw_sizes(axes: Any, stats: MixtureStats) -> None:
    ordered = sorted(stats.tasks, key=lambda task: -task.rows)
    axes.bar(range(len(ordered)), [task.rows for task in ordered], width=0.9, color=_COLOURS["query"])
    axes.set_yscale("log")
    axes.set_ylabel("rows")
    if len(ordered) <= 30:
        axes.set_xticks(
            range(len(ordered)), [label(task.name) for task in ordered], rotation=55, ha="right", fontsize=7
        )
    else:
        axes.set_xlabel("tasks, largest first")
    axes.set_xlim(-0.7, len(ordered) - 0.3)


def _lengths_note(stats: MixtureStats) -> str:
    tokens = " Tokens are counted over instruction and text together." if "tokens" in stats.units else ""
    return f"Of the texts without their instruction; each curve is scaled to its own side.{tokens}"


def _lengths(stats: MixtureStats, unit: Unit) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        longest = 2
        for side in SIDES:
            histograms = [task.lengths[side, unit].histogram for task in stats.tasks if (side, unit) in task.lengths]
            total = np.sum(histograms, axis=0)
            if not np.any(total):
                continue
            longest = max(longest, LENGTH_EDGES[1:][np.flatnonzero(total)[-1]])
            share = total / total.sum()
            axes.stairs(share, LENGTH_EDGES, color=_COLOURS[side], label=side, linewidth=1.8)
            axes.stairs(share, LENGTH_EDGES, color=_COLOURS[side], fill=True, alpha=0.12)
        axes.set_xscale("log")
        axes.set_xlim(1, longest)
        axes.set_xlabel(unit)
        axes.set_ylabel("share of texts")
        axes.legend(frameon=False, fontsize=9)

    return draw


def _negatives_table(stats: MixtureStats) -> str:
    rows = [
        (f"{number}", f"{times:,}", bar(times, max(stats.negatives.values())))
        for number, times in stats.negatives.items()
    ]
    return table(("negatives", "rows", ""), rows)


def _contamination(stats: MixtureStats) -> str:
    title = "Texts shared with evaluation data"
    if stats.evaluation is None:
        return section(title, "Not compared: no evaluation texts were given.")
    note = (
        "Whole texts of 20 or more characters, in lower case and without punctuation. Short generic sentences coincide "
        "by chance; whole questions or passages do not."
    )
    by_set: dict[str, list[str]] = {}
    for (task, name), number in sorted(stats.contaminated.items(), key=lambda item: -item[1]):
        by_set.setdefault(name, []).append(f"{task} {number}")
    rows = [
        (name, f"{texts:,}", _share(found, texts), ", ".join(by_set.get(name, [])))
        for name, (texts, found) in stats.evaluation.items()
    ]
    return section(title, note, table(("evaluation set", "texts", "found in training", "training tasks"), rows))


def _task_table(stats: MixtureStats) -> str:
    largest = max(task.rows for task in stats.tasks)
    heads = ["task", "rows", "", "negatives a row", "query words", "positive words"]
    heads += ["repeated rows"] + (["in evaluation"] if stats.evaluation is not None else []) + ["licence"]
    rows = []
    for task in stats.tasks:
        cells = [task.name, f"{task.rows:,}", bar(task.rows, largest), f"{task.negatives_per_row:.2f}"]
        cells += [_median(task, side) for side in ("query", "positive")]
        cells += [_percent(task.repeated_rows, task.rows)]
        cells += [f"{task.contaminated:,}"] if stats.evaluation is not None else []
        rows.append((*cells, task.licence))
    return table(heads, rows, sortable=True)


def _median(task: TaskStats, side: SideName) -> str:
    return f"{task.lengths[side, 'words'].median:g}"


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if part else "0"


def _instruction_table(stats: MixtureStats) -> str:
    rows = []
    for task in stats.tasks:
        for query, document, number in task.instructions:
            same = Html("<i>same</i>") if query == document else document
            rows.append((task.name, query, same, f"{number:,}"))
    return table(("task", "query", "document", "rows"), rows, sortable=True)
