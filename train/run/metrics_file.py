"""`metrics.jsonl`: the lines of a run's metrics as they are read again, by the run itself and by its reports."""

import json
from pathlib import Path
from typing import Any

from instructor_jax.io.atomic import whole_file
from instructor_jax.io.json_files import Fields, parse_json
from instructor_jax.io.tables.gzip_files import read_whole

FILE = "metrics.jsonl"
NUMBERS = (
    "loss", "gradient_norm", "learning_rate", "padding", "seconds", "tokens_per_second", "input_wait"
)  # fmt: skip


def cut_after(path: Path, step: int) -> None:
    """Removes the lines of later steps than `step`, and a last line that a kill left half written.

    Raises:
        ValueError: Another line is damaged; see `read_lines`.
    """
    if not path.is_file():
        return
    kept = [line for line in read_lines(path) if line["step"] <= step] if step else []  # step 0 is measured anew
    with whole_file(path) as draft:
        draft.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Reads the lines of a `metrics.jsonl`; a last line that is not whole is left out.

    Raises:
        ValueError: Another line is no line of metrics; says which.
    """
    texts = read_whole(path).split(b"\n")  # after the last newline: nothing, or what a kill left
    lines = []
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            continue
        try:
            lines.append(_checked(parse_json(text, f"{path}, line {number}"), f"{path}, line {number}"))
        except ValueError as error:
            if number == len(texts):
                break
            raise ValueError(f"{error} It is no line of a run's metrics; delete that line.") from error
    return lines


def _checked(line: Any, where: str) -> dict[str, Any]:
    """Returns a line of metrics, after a check of what reports read of it."""
    fields = Fields(line, where)
    fields.whole("step", most=2**31)
    for name in NUMBERS:
        if name in fields:
            fields.number(name, least=-1e300, most=1e300)
    if "goodput" in fields:
        fields.whole("start", most=2**31)
        inner = Fields(fields.any("goodput"), f"{where}, goodput")
        for name in inner.content:
            inner.number(name, least=0.0, most=1e300)
    for kind in ("held_out", "evaluation"):
        if kind in fields:
            inner = Fields(fields.any(kind), f"{where}, {kind}")
            if kind == "held_out":
                inner.number("loss", least=-1e300, most=1e300)
                inner.number("accuracy", least=0.0, most=1e300)  # of few examples it may exceed 1: see `TaskSums`
                for task, figures in Fields(inner.any("tasks"), f"{where}, tasks").content.items():
                    Fields(figures, f"{where}, task {task!r}").number("loss", least=-1e300, most=1e300)
            else:
                for name in inner.content:
                    inner.number(name, least=-1e300, most=1e300)
    return line
