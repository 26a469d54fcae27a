"""`report.html` of a run: its curves, and what every task learned, from `metrics.jsonl` alone."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from instructor_jax.io.atomic import whole_file
from instructor_jax.pages.plots import COLOURS, Plot, label, plot
from instructor_jax.pages.render import render

from ..watch.goodput import PARTS, totals
from .metrics_file import FILE, NUMBERS, read_lines

REPORT = "report.html"

Line = dict[str, Any]


def write_report(folder: Path, title: str) -> Path:
    """Writes the report of the run in a folder; returns its path.

    Raises:
        FileNotFoundError: the folder holds no metrics.
        ImportError: Matplotlib is absent.
    """
    if not (folder / FILE).is_file():
        raise FileNotFoundError(f"{folder} holds no {FILE}; it is not the output of a training run.")
    with whole_file(folder / REPORT) as draft:
        draft.write_text(report(read_lines(folder / FILE), title), encoding="utf-8")
    return folder / REPORT


def report(lines: Sequence[Line], title: str) -> str:
    """Returns the page's HTML.

    Args:
        lines: lines of the run's metrics.jsonl.
        title: the page's heading.
    """
    steps = [line for line in lines if all(line.get(name) is not None for name in NUMBERS)]
    measured = [line for line in lines if "held_out" in line]
    evaluated = [line for line in lines if "evaluation" in line]
    return render(
        "instructor_jax.train.run",
        "report.html.jinja",
        title=title,
        lead=f"{steps[-1]['step']:,} steps" if steps else "No step was reported.",
        figures=[*_figures(steps, measured), *_time(lines)],
        curves=_curves(steps, measured) if steps else [],
        evaluation=_evaluation(evaluated) if evaluated else None,
        tasks=_tasks(measured) if measured else [],
    )


_ACCURACY = (
    "Share of examples whose positive scores above every candidate of the batch. Held out: the mean over tasks, of "
    "examples that are never trained on."
)


@dataclasses.dataclass(frozen=True)
class _Curves:
    """A section of plots over the steps."""

    title: str
    note: str
    plots: Sequence[Plot]


def _curves(steps: Sequence[Line], measured: Sequence[Line]) -> list[_Curves]:
    first, last = steps[0]["loss"], steps[-1]["loss"]
    of_loss = f"Mean of each interval, in nats; first {first:.3f}, last {last:.3f}."
    loss = plot(f"Loss by step, from {first:.3f} to {last:.3f}.", _losses(steps, measured), 3.2)
    accuracy = plot("In-batch accuracy by step.", _accuracies(steps, measured), 3.2)
    curves = [_Curves("Loss", of_loss, [loss]), _Curves("In-batch accuracy", _ACCURACY, [accuracy])]
    if "agreement" in steps[-1]:
        note = "Mean cosine of the texts' vectors with the teacher's."
        curves.append(_Curves("Agreement with the teacher", note, [_curve(steps, "agreement")]))
    return [
        *curves,
        _Curves(
            "Gradient norm and learning rate",
            "The norm before clipping.",
            [_curve(steps, "gradient_norm"), _curve(steps, "learning_rate")],
        ),
        _Curves(
            "Speed",
            "Real tokens a second; padding and input are not counted.",
            [_curve(steps, "tokens_per_second")],
        ),
    ]


def _figures(steps: Sequence[Line], measured: Sequence[Line]) -> list[tuple[str, ...]]:
    """Returns the figures at the page's top, each (what, value) or (what, value, remark)."""
    figures: list[tuple[str, ...]] = []
    if steps:
        seconds = sum(line["seconds"] for line in steps)
        tokens = sum(line["tokens_per_second"] * line["seconds"] for line in steps)
        real = sum((1 - line["padding"]) * line["seconds"] for line in steps) / max(seconds, 1e-9)
        waited = sum(line["input_wait"] * line["seconds"] for line in steps) / max(seconds, 1e-9)
        figures += [
            ("tokens trained on", f"{tokens / 1e6:,.1f} M"),
            ("time in steps", _duration(seconds)),
            ("tokens a second", f"{tokens / max(seconds, 1e-9):,.0f}"),
            ("padding", f"{1 - real:.1%}"),
            ("waiting for input", f"{waited:.1%}"),
        ]
        if steps[-1].get("mfu") is not None:
            figures.append(("of the devices' bfloat16 peak", f"{steps[-1]['mfu']:.1%}"))
    if measured:
        first, last = (measured[at]["held_out"]["accuracy"] for at in (0, -1))
        figures.append(("held-out accuracy", f"{last:.3f}", f"first {first:.3f}"))
    return figures


def _time(lines: Sequence[Line]) -> list[tuple[str, ...]]:
    """Returns where the run's time went, each (what, value) or (what, value, remark)."""
    spent = totals(lines)
    if spent is None:
        return []
    parts = ", ".join(f"{name} {_duration(spent[name])}" for name in PARTS if spent[name] >= 0.5)
    figures: list[tuple[str, ...]] = [("goodput", f"{spent['goodput']:.1%}", parts)]
    if spent["restarts"]:
        figures.append(("restarts", f"{spent['restarts']:.0f}", f"lost {_duration(spent['lost'])} of steps"))
    return figures


def _evaluation(evaluated: Sequence[Line]) -> dict[str, Any]:
    names = list(evaluated[-1]["evaluation"])
    rows = [
        [f"{line['step']:,}", *(f"{line['evaluation'].get(name, float('nan')):.2f}" for name in names)]
        for line in evaluated
    ]
    drawn = plot(f"Scores of {len(names)} evaluation tasks by step.", _scores(evaluated, names), 3.2)
    return {"plot": drawn, "heads": ["step", *names], "rows": rows}


def _duration(seconds: float) -> str:
    hours, minutes = int(seconds // 3600), int(seconds % 3600 // 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60:.0f} s"


def _losses(steps: Sequence[Line], measured: Sequence[Line]) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        _line(axes, steps, "loss", label="training")
        if measured:
            values = [line["held_out"]["loss"] for line in measured]
            axes.plot([line["step"] for line in measured], values, "o-", color=COLOURS[1], label="held out")
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.legend(frameon=False, fontsize=9)

    return draw


def _accuracies(steps: Sequence[Line], measured: Sequence[Line]) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        known = [line for line in steps if line.get("accuracy") is not None]
        _line(axes, known, "accuracy", label="training")
        if measured:
            values = [line["held_out"]["accuracy"] for line in measured]
            axes.plot([line["step"] for line in measured], values, "o-", color=COLOURS[1], label="held out")
        axes.set_ylim(-0.03, 1.03)  # room for markers at both ends
        axes.set_xlabel("step")
        axes.legend(frameon=False, fontsize=9)

    return draw


def _scores(evaluated: Sequence[Line], names: Sequence[str]) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        for number, name in enumerate(names):
            known = [line for line in evaluated if name in line["evaluation"]]
            values = [line["evaluation"][name] for line in known]
            axes.plot(
                [line["step"] for line in known], values, "o-", color=COLOURS[number % len(COLOURS)], label=label(name)
            )
        axes.set_xlabel("step")
        axes.legend(frameon=False, fontsize=9)

    return draw


def _curve(steps: Sequence[Line], key: str) -> Plot:
    name = key.replace("_", " ")

    def draw(axes: Any) -> None:
        _line(axes, steps, key)
        axes.set_xlabel("step")
        axes.set_ylabel(name)

    return plot(f"The {name} by step.", draw, 2.2)


def _line(axes: Any, steps: Sequence[Line], key: str, **more: Any) -> None:
    """Draws a figure by step; a single one as a dot, since a line of one point is not seen."""
    marker = "o" if len(steps) == 1 else None
    values = [line[key] for line in steps]
    axes.plot([line["step"] for line in steps], values, marker=marker, color=COLOURS[0], **more)


def _tasks(measured: Sequence[Line]) -> list[dict[str, Any]]:
    """Returns what every task learned, of those whose accuracy is known."""
    first, last = (measured[at]["held_out"]["tasks"] for at in (0, -1))
    known = {name: now for name, now in last.items() if now["accuracy"] is not None}
    return [{"name": name, "before": first.get(name, {}).get("accuracy"), **now} for name, now in known.items()]
