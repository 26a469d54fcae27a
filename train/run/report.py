"""`report.html` of a run: its curves, and what every task learned, from `metrics.jsonl` alone."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from instructor_jax.html import COLOURS, bar, cards, joined, label, page, plot, section, small, table
from instructor_jax.io.atomic import whole_file

from .metrics_writer import FILE, NUMBERS, read_lines

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
    """The page's HTML."""
    steps = [line for line in lines if all(line.get(name) is not None for name in NUMBERS)]
    measured = [line for line in lines if "held_out" in line]
    evaluated = [line for line in lines if "evaluation" in line]
    sections = [_cards(steps, measured)]
    if steps:
        sections += [
            section("Loss", _loss_note(steps), plot(_losses(steps, measured), 3.2)),
            section("In-batch accuracy", _ACCURACY, plot(_accuracies(steps, measured), 3.2)),
            *_agreement(steps),
            section(
                "Gradient norm and learning rate",
                "The norm before clipping.",
                plot(_curve(steps, "gradient_norm"), 2.2),
                plot(_curve(steps, "learning_rate"), 2.2),
            ),
            section(
                "Speed",
                "Real tokens a second; padding and input are not counted.",
                plot(_curve(steps, "tokens_per_second"), 2.2),
            ),
        ]
    if evaluated:
        names = list(evaluated[-1]["evaluation"])
        rows = [
            [f"{line['step']:,}", *(f"{line['evaluation'].get(name, float('nan')):.2f}" for name in names)]
            for line in evaluated
        ]
        sections.append(
            section(
                "Evaluation",
                "Main scores, in percent, of tasks that are never trained on.",
                plot(_scores(evaluated, names), 3.2),
                table(["step", *names], rows),
            )
        )
    if measured:
        sections.append(
            section("Tasks", "Accuracy on held-out rows; click on a heading to sort.", _task_table(measured))
        )
    return page(title, _lead(steps), sections)


_ACCURACY = (
    "Share of rows whose positive scores above every candidate of the batch. Held out: the mean over tasks, of rows "
    "that are never trained on."
)


def _agreement(steps: Sequence[Line]) -> list[str]:
    if "agreement" not in steps[-1]:
        return []
    note = "Mean cosine of the texts' vectors with the teacher's."
    return [section("Agreement with the teacher", note, plot(_curve(steps, "agreement"), 2.2))]


def _lead(steps: Sequence[Line]) -> str:
    return f"{steps[-1]['step']:,} steps" if steps else "No step was reported."


def _loss_note(steps: Sequence[Line]) -> str:
    return f"Mean of each interval, in nats; first {steps[0]['loss']:.3f}, last {steps[-1]['loss']:.3f}."


def _cards(steps: Sequence[Line], measured: Sequence[Line]) -> str:
    values = []
    if steps:
        seconds = sum(line["seconds"] for line in steps)
        tokens = sum(line["tokens_per_second"] * line["seconds"] for line in steps)
        real = sum((1 - line["padding"]) * line["seconds"] for line in steps) / max(seconds, 1e-9)
        waited = sum(line["input_wait"] * line["seconds"] for line in steps) / max(seconds, 1e-9)
        values += [
            ("tokens trained on", f"{tokens / 1e6:,.1f} M"),
            ("time in steps", _duration(seconds)),
            ("tokens a second", f"{tokens / max(seconds, 1e-9):,.0f}"),
            ("padding", f"{1 - real:.1%}"),
            ("waiting for input", f"{waited:.1%}"),
        ]
        if steps[-1].get("mfu") is not None:
            values.append(("of the devices' bfloat16 peak", f"{steps[-1]['mfu']:.1%}"))
    if measured:
        first, last = (measured[at]["held_out"]["accuracy"] for at in (0, -1))
        values.append(("held-out accuracy", joined(f"{last:.3f} ", small(f"(first {first:.3f})"))))
    return cards(values)


def _duration(seconds: float) -> str:
    hours, minutes = int(seconds // 3600), int(seconds % 3600 // 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60:.0f} s"


def _losses(steps: Sequence[Line], measured: Sequence[Line]) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        axes.plot(
            [line["step"] for line in steps], [line["loss"] for line in steps], color=COLOURS[0], label="training"
        )
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
        axes.plot(
            [line["step"] for line in known], [line["accuracy"] for line in known], color=COLOURS[0], label="training"
        )
        if measured:
            values = [line["held_out"]["accuracy"] for line in measured]
            axes.plot([line["step"] for line in measured], values, "o-", color=COLOURS[1], label="held out")
        axes.set_ylim(0, 1)
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


def _curve(steps: Sequence[Line], key: str) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        axes.plot([line["step"] for line in steps], [line[key] for line in steps], color=COLOURS[0])
        axes.set_xlabel("step")
        axes.set_ylabel(key.replace("_", " "))

    return draw


def _task_table(measured: Sequence[Line]) -> str:
    first, last = (measured[at]["held_out"]["tasks"] for at in (0, -1))
    rows = []
    for name, now in last.items():
        before = first.get(name, {}).get("accuracy")
        if now["accuracy"] is None:
            continue
        gain = "" if before is None else f"{now['accuracy'] - before:+.3f}"
        rows.append(
            [
                name,
                f"{now['rows']:.0f}",
                "" if before is None else f"{before:.3f}",
                f"{now['accuracy']:.3f}",
                bar(now["accuracy"], 1.0),
                gain,
                f"{now['loss']:.3f}",
            ]
        )
    return table(["task", "rows", "before", "accuracy", "", "gain", "loss"], rows, sortable=True)
