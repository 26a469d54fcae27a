import json

import numpy as np
import pytest

from instructor_jax.train.data.batch_builder import HostBatch
from instructor_jax.train.metrics import Metrics, TaskSums
from instructor_jax.train.run.metrics_file import cut_after, read_lines
from instructor_jax.train.run.metrics_logger import MetricsLogger, NonFiniteLoss
from instructor_jax.train.run.task_figures import by_task
from instructor_jax.train.settings.sections import LogConfig

from ..random_batches import random_batch, tiny_config

CONFIG = tiny_config(steps=6)


def sums(rows: tuple[float, ...], correct: tuple[float, ...], contrasted: tuple[float, ...]) -> TaskSums:
    array = np.asarray
    return TaskSums(2.0 * array(rows), array(rows), array(rows), array(correct), array(contrasted))


def metrics(loss: float) -> Metrics:
    own = sums((4.0, 0.0, 2.0), (3.0, 0.0, 0.0), (4.0, 0.0, 0.0))
    value = np.float32
    return Metrics(value(loss), value(0.75), value(1.5), value(1e-4), np.int32(100), np.int32(18), own)


def batch(step: int) -> HostBatch:
    return HostBatch(step, random_batch(CONFIG, 0), 6, 100, 1)


def test_lines_hold_means_of_their_steps(tmp_path) -> None:
    logger = MetricsLogger(tmp_path, CONFIG, LogConfig(every=2, tensorboard=True), 0)
    for step, loss in enumerate((1.0, 3.0, 5.0, 7.0, 9.0)):
        logger.add(metrics(loss), batch(step), 0.0)
    logger.flush()
    logger.report()
    logger.report()  # nothing new: no line
    logger.close()
    lines = read_lines(tmp_path / "metrics.jsonl")
    assert [(line["step"], line["loss"]) for line in lines] == [(2, 2.0), (4, 6.0), (5, 9.0)]
    assert lines[0]["tokens"] == 100
    assert lines[0]["padding"] == pytest.approx(1 - 100 / (8 * 4 * 16))
    assert lines[0]["cut_tokens"] == 2
    assert lines[0]["mfu"] is None
    assert lines[0]["tasks"] == {
        "first": {"rows": 8.0, "loss": 2.0, "accuracy": 0.75},
        "third": {"rows": 4.0, "loss": 2.0, "accuracy": None},
    }
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_loss_that_is_no_number_names_its_step(tmp_path) -> None:
    logger = MetricsLogger(tmp_path, CONFIG, LogConfig(every=1, tensorboard=False), 0)
    logger.add(metrics(1.0), batch(0), 0.0)
    logger.add(metrics(float("inf")), batch(1), 0.0)
    with pytest.raises(NonFiniteLoss, match="the loss of step 1 is inf"):
        logger.flush()
    logger.close()


def test_held_out_accuracy_weighs_tasks_equally(tmp_path) -> None:
    logger = MetricsLogger(tmp_path, CONFIG, LogConfig(tensorboard=False), 0)
    assert logger.held_out(3, sums((30.0, 2.0, 5.0), (30.0, 0.0, 0.0), (30.0, 2.0, 0.0))) == 0.5
    logger.close()
    (line,) = read_lines(tmp_path / "metrics.jsonl")
    assert line["held_out"]["loss"] == 2.0


def test_going_on_removes_later_and_broken_lines(tmp_path) -> None:
    file = tmp_path / "metrics.jsonl"
    whole = [{"step": step, "loss": 0.1 * step} for step in (1, 2, 3)]
    file.write_text("".join(json.dumps(line) + "\n" for line in whole) + '{"step": 4, "lo')
    assert read_lines(file) == whole
    cut_after(file, 2)
    assert read_lines(file) == whole[:2]
    cut_after(file, 0)
    assert read_lines(file) == []


def test_tasks_without_rows_are_left_out() -> None:
    assert by_task(sums((0.0, 1.0, 0.0), (0.0,) * 3, (0.0, 1.0, 0.0)), ("a", "b", "c")) == {
        "b": {"rows": 1.0, "loss": 2.0, "accuracy": 0.0}
    }
