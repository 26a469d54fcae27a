"""The statistics of a mixture as one HTML page that needs nothing else: plots are embedded, tables sort by a click."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from instructor_jax.io.atomic import whole_file
from instructor_jax.pages.own_pages import is_our_page
from instructor_jax.pages.plots import label, plot
from instructor_jax.pages.render import render

from .stats import LENGTH_EDGES, SIDES, MixtureStats, Unit

_COLOURS = {"query": "#2f6f9f", "positive": "#d9822b", "negatives": "#8a8f98"}
_POWER = "{x:,.0f}"  # of a logarithmic axis; Matplotlib's own labels are formulas, which plots do not read


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
    """Returns the page's HTML."""
    return render(
        "instructor_jax.train.medi",
        "stats_page.html.jinja",
        title=title,
        stats=stats,
        figures=_figures(stats),
        sizes_note=_sizes_note(stats),
        sizes=plot("Rows of every task, largest first, on a logarithmic scale.", _sizes(stats), 3.2),
        lengths_note=_lengths_note(stats),
        lengths=[
            plot(f"Share of queries, positives and negatives by length in {unit}.", _lengths(stats, unit), 2.6)
            for unit in stats.units
        ],
        evaluation=None if stats.evaluation is None else _evaluation(stats),
        largest=max(task.rows for task in stats.tasks),
    )


def _figures(stats: MixtureStats) -> list[tuple[str, ...]]:
    """Returns the figures at the page's top, each (what, value) or (what, value, remark)."""
    negatives = sum(number * rows for number, rows in stats.negatives.items())
    repeated = sum(task.repeated_rows for task in stats.tasks)
    figures: list[tuple[str, ...]] = [
        ("tasks", f"{len(stats.tasks):,}"),
        ("rows", f"{stats.rows:,}"),
        ("hard negatives", f"{negatives:,}"),
        ("rows repeated in their task", *_share(repeated, stats.rows)),
        ("rows another task has, too", *_share(stats.repeated_across, stats.rows)),
    ]
    if stats.evaluation is not None:
        found = sum(task.contaminated for task in stats.tasks)
        figures.append(("texts also in evaluation data", f"{found:,}"))
    return figures


def _share(part: int, whole: int) -> tuple[str, ...]:
    """Returns a number, and which share it is, if any."""
    return (f"{part:,}", f"{part / whole:.1%}") if part else ("0",)


def _sizes_note(stats: MixtureStats) -> str:
    sizes = sorted((task.rows for task in stats.tasks), reverse=True)
    half = int(np.searchsorted(np.cumsum(sizes), stats.rows / 2)) + 1
    return (
        f"The largest task has {sizes[0]:,} rows, the median {int(np.median(sizes)):,}, the smallest {sizes[-1]:,}. "
        f"Half of all rows come from {half} of {len(sizes)} tasks."
    )


def _sizes(stats: MixtureStats) -> Callable[[Any], None]:
    ordered = sorted(stats.tasks, key=lambda task: -task.rows)

    def draw(axes: Any) -> None:
        places = range(len(ordered))
        axes.bar(places, [task.rows for task in ordered], width=0.9, color=_COLOURS["query"])
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(_POWER)
        axes.set_ylabel("rows")
        if len(ordered) <= 30:
            axes.set_xticks(places, [label(task.name, 30) for task in ordered], rotation=55, ha="right", fontsize=7)
        else:
            axes.set_xlabel("tasks, largest first")
        axes.set_xlim(-0.7, len(ordered) - 0.3)

    return draw


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
        axes.xaxis.set_major_formatter(_POWER)
        axes.set_xlim(1, longest)
        axes.set_xlabel(unit)
        axes.set_ylabel("share of texts")
        axes.legend(frameon=False, fontsize=9)

    return draw


def _evaluation(stats: MixtureStats) -> list[dict[str, Any]]:
    """Returns per evaluation set how many of its texts were compared and found, and in which tasks."""
    by_set: dict[str, list[str]] = {}
    for (task, name), number in sorted(stats.contaminated.items(), key=lambda item: -item[1]):
        by_set.setdefault(name, []).append(f"{task} {number}")
    return [
        {"name": name, "texts": texts, "found": _share(found, texts), "tasks": ", ".join(by_set.get(name, []))}
        for name, (texts, found) in (stats.evaluation or {}).items()
    ]
