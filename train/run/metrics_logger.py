"""What a run tells while it goes: a progress bar, `metrics.jsonl`, boards. Means over the steps of an interval.

Lines are written by one process. A run that goes on from a checkpoint first removes the lines after it, so that every
step stands there once, as it was computed.
"""

import contextlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from instructor_jax.io.printable import printable
from instructor_jax.progress import progress

from ..config import TrainConfig
from ..data.batch_builder import HostBatch
from ..flops import utilization
from ..metrics import Metrics, TaskSums
from ..settings.sections import LogConfig
from ..watch.boards import boards
from ..watch.slow_steps import StepTimes
from .distributed import is_main
from .metrics_file import FILE, cut_after
from .task_figures import by_task, teacher_cosine

logger: logging.Logger = logging.getLogger(__name__)

OnMetrics = Callable[[int, dict[str, Any]], object]
"""Called with the step and a line of metrics.jsonl, less its step; its result is not used."""


class NonFiniteLoss(FloatingPointError):
    """Raised where the loss of a step is not a finite number."""


class MetricsLogger:
    """Collects the metrics of steps and reports them."""

    def __init__(
        self,
        folder: Path,
        config: TrainConfig,
        log: LogConfig,
        start: int,
        on_metrics: OnMetrics | None = None,
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """
        Args:
            folder: Folder of the run.
            config: Configuration of the run.
            log: Settings of how often to report.
            start: Number of steps made before; later lines are removed.
            on_metrics: Function that is called for every line on the process that writes it.
            settings: All settings of the run, by dotted key, for a board that shows them.

        Raises:
            ValueError: A board that is asked for does not start.
        """
        self._path, self._config, self._log, self._on_metrics = folder / FILE, config, log, on_metrics
        self._boards = boards(folder, log, settings) if is_main() else []
        self._bar = progress("training", config.steps, "step", shown=is_main(), initial=start)
        if is_main():
            cut_after(self._path, start)
        self._pending: tuple[int, Metrics, HostBatch, float] | None = None
        self._step = start
        self._times = StepTimes()
        self._done: float | None = None  # when the last step was
        self._clear()

    def add(self, metrics: Metrics, batch: HostBatch, waited: float) -> None:
        """Takes the metrics of a step that was just started, and reports the one before, which is finished by then.

        Args:
            metrics: Metrics of the step, still on the devices.
            batch: Input of the step.
            waited: Seconds that the loop waited for the input.

        Raises:
            NonFiniteLoss: The loss of the step before is NaN or infinite.
        """
        self.flush()
        self._pending = (batch.step, metrics, batch, waited)

    def flush(self) -> None:
        """Waits for the last step and reports it.

        Raises:
            NonFiniteLoss: Its loss is NaN or infinite.
        """
        if self._pending is None:
            return
        (step, metrics, batch, waited), self._pending = self._pending, None
        values = jax.device_get(metrics)
        if not math.isfinite(values.loss):
            raise NonFiniteLoss(
                f"the loss of step {step} is {values.loss}; nothing was saved after it. Lower optimizer.learning_rate, "
                "lengthen optimizer.warmup_steps, or use dtype=float32; the last checkpoint is from before."
            )
        self._collect(values, batch, waited)
        self._bar.update()
        self._step = step + 1
        now = time.perf_counter()
        if self._done is not None and (slow := self._times.add(self._step, now - self._done)):
            logger.warning("%s", slow)
        self._done = now
        if self._step % self._log.every == 0:
            self.report()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the time of what happens inside out of the steps' time and speed."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._began += time.perf_counter() - began
            self._done = None  # the time until the next step is finished is not that step's

    def held_out(self, step: int, sums: TaskSums) -> float:
        """Reports what was measured on held-out examples after `step` steps; returns the accuracy.

        The accuracy is the mean over tasks, each task counting the same.
        """
        tasks = by_task(sums, self._config.tasks)
        accuracy = float(np.mean([one["accuracy"] for one in tasks.values() if one["accuracy"] is not None] or [0.0]))
        loss = float(np.sum(sums.loss) / max(np.sum(sums.weight), 1e-9))
        agreed = teacher_cosine(sums)
        line = {"step": step, "held_out": {"loss": loss, "accuracy": accuracy, **agreed, "tasks": tasks}}
        self._write(line)
        scalars = {"loss": loss, "accuracy": accuracy, **agreed}
        self._scalars(step, {f"held_out/{name}": value for name, value in scalars.items()})
        like = "".join(f", cosine with the teacher {value:.3f}" for value in agreed.values())
        self.say(f"step {step}: held-out loss {loss:.4f}, accuracy {accuracy:.3f} (mean of {len(tasks)} tasks){like}")
        return accuracy

    def evaluated(self, step: int, scores: dict[str, float]) -> None:
        """Reports scores of an evaluation after `step` steps, in percent."""
        self._write({"step": step, "evaluation": scores})
        self._scalars(step, {f"evaluation/{name}": score for name, score in scores.items()})
        self.say(f"step {step}: " + ", ".join(f"{name} {score:.2f}" for name, score in scores.items()))

    def spent(self, start: int, seconds: dict[str, float]) -> None:
        """Notes where the time went since the last such line, in seconds by part.

        Args:
            start: Step that the run began at or went on from.
            seconds: Result of `Goodput.line`.
        """
        self._write({"step": self._step, "start": start, "goodput": seconds})

    def say(self, text: str) -> None:
        """Prints a line above the progress bar."""
        if is_main():
            tqdm.write(printable(text))

    def close(self) -> None:
        """Ends the bar and the files."""
        self._bar.close()
        for board in self._boards:
            board.close()

    def _clear(self) -> None:
        self._steps = self._examples = self._cut = self._tokens = self._texts = 0
        self._waited = self._loss = self._accuracy = self._norm = self._rate = 0.0
        self._judged = 0
        self._sums: Any = None
        self._began = time.perf_counter()

    def _collect(self, values: Metrics, batch: HostBatch, waited: float) -> None:
        self._steps += 1
        self._examples += int(values.by_task.rows.sum())
        self._cut += batch.cut_tokens
        self._tokens += int(values.tokens)
        self._texts += int(values.texts)
        self._waited += waited
        self._loss += float(values.loss)
        if math.isfinite(values.accuracy):
            self._accuracy += float(values.accuracy)
            self._judged += 1
        self._norm += float(values.gradient_norm)
        self._rate = float(values.learning_rate)
        sums = values.by_task
        self._sums = sums if self._sums is None else jax.tree.map(np.add, self._sums, sums)

    def report(self) -> None:
        """Writes the means since the last line; nothing where there was no step."""
        if not self._steps:
            return
        seconds = time.perf_counter() - self._began
        n, group = self._steps, self._config.group
        line = {
            "step": self._step,
            "loss": self._loss / n,
            "accuracy": self._accuracy / self._judged if self._judged else None,
            **teacher_cosine(self._sums),
            "gradient_norm": self._norm / n,
            "learning_rate": self._rate,
            "examples": self._examples / n,
            "texts": self._texts / n,
            "tokens": self._tokens / n,
            "padding": 1 - self._tokens / (n * self._config.groups * group.tokens),
            "cut_tokens": self._cut,
            "seconds": seconds,
            "tokens_per_second": self._tokens / seconds,
            "mfu": utilization(self._config.model, self._tokens / seconds),
            "input_wait": self._waited / seconds,
            "tasks": by_task(self._sums, self._config.tasks),
        }
        self._write(line)
        self._scalars(self._step, {f"train/{key}": value for key, value in line.items() if isinstance(value, float)})
        self._bar.set_postfix_str(
            f"loss {line['loss']:.3f} accuracy {line['accuracy'] or 0:.2f} {line['tokens_per_second']:,.0f} tokens/s"
        )
        self._clear()

    def _write(self, line: dict[str, Any]) -> None:
        if is_main():
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")
            if self._on_metrics is not None:
                self._on_metrics(line["step"], {key: value for key, value in line.items() if key != "step"})

    def _scalars(self, step: int, values: dict[str, float]) -> None:
        for board in self._boards:
            board.scalars(step, values)
