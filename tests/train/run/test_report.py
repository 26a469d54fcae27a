import json
import re

import pytest

from instructor_jax.train.run.report import report, write_report


def step_line(step: int, **changes: object) -> dict:
    line = {
        "step": step,
        "loss": 3.0 / step,
        "accuracy": 0.5,
        "gradient_norm": 1.0,
        "learning_rate": 1e-4,
        "examples": 10.0,
        "texts": 30.0,
        "tokens": 900.0,
        "padding": 0.1,
        "cut_tokens": 0,
        "seconds": 2.0,
        "tokens_per_second": 450.0,
        "mfu": None,
        "input_wait": 0.01,
        "tasks": {},
    }
    return line | changes


def held_out_line(step: int, accuracy: float) -> dict:
    tasks = {
        "<b>": {"rows": 9.0, "loss": 1.0, "accuracy": accuracy},
        "alone": {"rows": 1.0, "loss": 0.0, "accuracy": None},
    }
    return {"step": step, "held_out": {"loss": 1.0, "accuracy": accuracy, "tasks": tasks}}


def test_says_what_was_measured() -> None:
    text = report([held_out_line(0, 0.25), step_line(1), step_line(2), held_out_line(2, 0.75)], "A & B")
    assert "<title>A &amp; B</title>" in text
    assert "first 3.000, last 1.500" in text
    assert "held-out accuracy" in text
    assert "+0.500" in text
    assert "&lt;b&gt;" in text
    assert "alone" not in text  # nothing was contrasted there
    assert "bfloat16 peak" not in text
    assert text.count("data:image/png;base64,") == 5
    assert re.search(r"<strong>4 *</strong>|0 min 4 s", text)


@pytest.mark.slow
def test_a_run_without_steps_or_held_out_rows_has_a_report_too() -> None:
    assert "No step was reported" in report([], "x")
    assert "held-out accuracy" not in report([step_line(1, mfu=0.4)], "x")
    assert "40.0%" in report([step_line(1, mfu=0.4)], "x")


def test_evaluations_are_a_table() -> None:
    text = report([step_line(1), {"step": 1, "evaluation": {"sts": 50.25}}], "x")
    assert "50.25" in text


def test_writes_beside_the_metrics(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no metrics\.jsonl"):
        write_report(tmp_path, "x")
    (tmp_path / "metrics.jsonl").write_text(json.dumps(step_line(1)) + "\n")
    assert write_report(tmp_path, "x").read_text().startswith("<!doctype html>")
