"""A ranking of instructions for people and machines: a table for a terminal, an HTML page, JSON."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from instructor_jax.evaluation.studies.labelled_files import LabelledFile
from instructor_jax.evaluation.studies.ranking import CONFIDENCE, Ranked
from instructor_jax.pages.plots import COLOURS, label, plot
from instructor_jax.pages.render import render

_NONE = "(none)"


def as_text(ranking: Sequence[Ranked], labelled: LabelledFile) -> str:
    """Returns the table for a terminal, and below it what is unusual about the instructions."""
    names = list(ranking[0].more)
    heads = ["rank", labelled.metric, f"{CONFIDENCE} % interval", "behind the leader", *names, "instruction"]
    rows = [[str(number), *_cells(entry), _shown(entry)] for number, entry in enumerate(ranking, start=1)]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (heads, *rows)]
    remarks = [f"{_shown(entry)} {remark}" for entry in ranking for remark in entry.remarks]
    return "\n".join([f"{labelled.rows} rows", *(line.rstrip() for line in lines), *remarks])


def as_page(ranking: Sequence[Ranked], facts: dict[str, Any]) -> str:
    """Returns the ranking as an HTML page.

    Args:
        ranking: made by `rank`.
        facts: what was compared, as in the JSON file: file, model, rows, metric and so on.
    """

    def draw(axes: Any) -> None:
        places = range(len(ranking), 0, -1)
        for place, entry in zip(places, ranking, strict=True):
            axes.plot(entry.interval, (place, place), color=COLOURS[0], linewidth=2)
            axes.plot(entry.score, place, "o", color=COLOURS[1])
        axes.set_yticks(list(places), [label(_shown(entry)) for entry in ranking])
        axes.set_xlabel(f"{label(facts['metric'])}, percent")

    alt = "Every instruction's figure and its interval, best first; the table above has the figures."
    return render(
        "instructor_jax.evaluation.studies",
        "ranking_report.html.jinja",
        title="Instructions compared",
        facts=facts,
        confidence=CONFIDENCE,
        more=list(ranking[0].more),
        best=max(abs(entry.score) for entry in ranking),
        entries=[{"score": max(entry.score, 0), "cells": [*_cells(entry), _shown(entry)]} for entry in ranking],
        plot=plot(alt, draw, 1 + 0.4 * len(ranking)),
        remarks=[f"{_shown(entry)} {text}" for entry in ranking for text in entry.remarks],
    )


def as_json(ranking: Sequence[Ranked], facts: dict[str, Any]) -> str:
    """Returns the ranking and what was compared as JSON."""
    entries = [dataclasses.asdict(entry) for entry in ranking]
    return json.dumps({**facts, "ranking": entries}, indent=1, ensure_ascii=False) + "\n"


def _shown(entry: Ranked) -> str:
    """Returns an instruction in quotation marks, which show the blanks at its end."""
    text = " ".join(entry.instruction.splitlines()) if len(entry.instruction.splitlines()) > 1 else entry.instruction
    return f'"{text}"' if text else _NONE


def _cells(entry: Ranked) -> list[str]:
    behind = f"{entry.behind[0]:.1f} to {entry.behind[1]:.1f}" if entry.behind else ""
    interval = f"{entry.interval[0]:.1f} to {entry.interval[1]:.1f}"
    return [f"{entry.score:.2f}", interval, behind, *(f"{value:.2f}" for value in entry.more.values())]
