"""The sections of a `RunConfig` that say how a run goes: batch shape, checkpoints, log, held-out examples, evaluation.

Settings of what is computed lie with what they set: those of the loss in `objective.py`, of distillation in
`distillation.py`, of the optimizer in `optimizer.py`.
"""

import dataclasses
import re
from typing import Any

from instructor_jax.io.printable import shown

from .types import check_types


def at_least(config: Any, section: str, **least: int) -> None:
    """Refuses a setting below its least value, by its own name.

    Args:
        config: Configuration that has the settings.
        section: What stands before their names, e.g. "batch.".
        least: Least value of each setting.

    Raises:
        ValueError: A value is too small.
    """
    for name, value in least.items():
        if getattr(config, name) < value:
            raise ValueError(f"{section}{name}={getattr(config, name)} must be at least {value}.")


@dataclasses.dataclass(frozen=True)
class BatchConfig:
    """The static shape of a step: groups of packed sequences.

    Attributes:
        groups: Number of groups of a step on all devices together, a multiple of the devices that hold different
            examples.
        rows: Number of packed sequences of a group.
        length: Number of tokens of a packed sequence; 0 for `max_length`.
        examples: Largest number of examples of a group; 0 for as many as the mixture's lengths ask for.
        negatives: Largest number of hard negatives of an example.
    """

    groups: int = 8
    rows: int = 8
    length: int = 0
    examples: int = 0
    negatives: int = 1

    def __post_init__(self) -> None:
        check_types(self, "batch.")
        at_least(self, "batch.", groups=1, rows=1, length=0, examples=0, negatives=0)


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
    """When the state is saved, and how many checkpoints are kept.

    Attributes:
        every: Number of steps between two checkpoints; one is also saved at the end and when the run is asked to stop.
        keep: Number of latest checkpoints that are kept; the one with the best held-out accuracy is kept besides.
        minutes: Number of minutes after which one is saved besides, with the next line of metrics; 0 for none.
    """

    every: int = 500
    keep: int = 2
    minutes: int = 0

    def __post_init__(self) -> None:
        check_types(self, "checkpoints.")
        at_least(self, "checkpoints.", every=1, keep=1, minutes=0)


@dataclasses.dataclass(frozen=True)
class LogConfig:
    """How often a run reports its metrics, and where to.

    Attributes:
        every: Number of steps of a line of metrics.jsonl, whose figures are means over them.
        tensorboard: Whether TensorBoard's event files are written too.
        wandb: Whether metrics and settings are sent to Weights & Biases, from the first process, by its package.
        hang_seconds: Number of seconds without a step after which the stacks of all threads go to the log; 0 for never.
    """

    every: int = 10
    tensorboard: bool = True
    wandb: bool = False
    hang_seconds: int = 900

    def __post_init__(self) -> None:
        check_types(self, "log.")
        at_least(self, "log.", every=1, hang_seconds=0)


@dataclasses.dataclass(frozen=True)
class ProfileConfig:
    """A trace of a few steps, written to the folder `profile` of the run.

    Attributes:
        steps: Number of steps that are traced; 0 for none.
        after: Number of steps before the first of them, counted from where the run starts or goes on; the first of all
            compiles.
    """

    steps: int = 0
    after: int = 5

    def __post_init__(self) -> None:
        check_types(self, "profile.")
        at_least(self, "profile.", steps=0, after=0)


@dataclasses.dataclass(frozen=True)
class CompilerConfig:
    """How the training step is compiled.

    Attributes:
        flags: XLA's options for the step, each name=value, over those of this package.
        dump: Whether the step's program is written to the folder `hlo` of the run, before and after optimisation.
    """

    flags: tuple[str, ...] = ()
    dump: bool = False

    def __post_init__(self) -> None:
        check_types(self, "compiler.")
        for flag in self.flags:
            name, equals, _ = flag.partition("=")
            if not equals or not name.startswith("xla_"):
                raise ValueError(
                    f"compiler.flags: {shown(flag)} must be name=value with a name of XLA, as in "
                    "xla_tpu_enable_latency_hiding_scheduler=true."
                )

    def options(self, folder: str | None = None) -> dict[str, str | bool | int]:
        """Returns the options by name, as `jax.jit` takes them: truth values and whole numbers as such.

        Args:
            folder: Folder of the dumped programs; None where nothing is dumped.
        """
        dumped = {"xla_dump_to": folder, "xla_dump_hlo_as_text": True} if self.dump and folder else {}
        return {**dumped, **{name: _value(text) for name, text in (flag.split("=", 1) for flag in self.flags)}}


def _value(text: str) -> str | bool | int:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return int(text) if re.fullmatch(r"-?\d{1,18}", text, re.ASCII) else text


@dataclasses.dataclass(frozen=True)
class HeldOutConfig:
    """Examples that are kept from training, to measure on.

    Attributes:
        rows: Number of held-out examples of each task, a tenth of the task at most; 0 for none.
        every: Number of steps between two measurements; one is also made before the first step and after the last.
    """

    rows: int = 64
    every: int = 500

    def __post_init__(self) -> None:
        check_types(self, "held_out.")
        at_least(self, "held_out.", rows=0, every=1)


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """Evaluation tasks that are measured while training, on data that is never trained on.

    Attributes:
        data: Folder of the evaluation sets, as `instructor-jax evaluate --data` reads it.
        tasks: Names of its tasks; few and small ones, since training waits for them.
        every: Number of steps between two measurements; one is also made before the first step and after the last. 0
            for none.
        limit: Largest number of texts of a task; the same ones each time.
    """

    data: str = ""
    tasks: tuple[str, ...] = ("STSBenchmark", "Banking77Classification", "XQuADRetrieval")
    every: int = 0
    limit: int = 1000

    def __post_init__(self) -> None:
        check_types(self, "evaluation.")
        at_least(self, "evaluation.", every=0, limit=1)
        if self.every and not (self.data and self.tasks):
            raise ValueError(
                f"evaluation.every={self.every} needs evaluation.data=FOLDER, the folder of the evaluation sets, and "
                "evaluation.tasks; or set evaluation.every=0."
            )
