"""`RunConfig`: everything a user sets for a training run, in sections; `TrainConfig` is what becomes of it.

A recipe is one of these, and `key=value` on the command line changes single fields of it. What only decides how the
work is done (mesh, workers, intervals) is named apart, because a run may be continued with other such values.
"""

import dataclasses
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.nn.encoder import Remat
from instructor_jax.nn.fused_attention.plan import Attention
from instructor_jax.sharding import MeshShape

from .distillation import DistillConfig
from .mixture_config import MixtureConfig
from .objective import LossConfig
from .optimizer import OptimizerConfig
from .run.limits import check_limits

# Keys whose change leaves the losses of a continued run as they are, but for rounding (mesh, chunks, remat and
# attention).
CHANGEABLE = (
    "output", "mesh", "chunks", "remat", "attention", "workers", "ahead", "checkpoints", "log", "held_out",
    "evaluation", "export", "export_length",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class BatchConfig:
    """The static shape of a step: groups of packed rows.

    Attributes:
        groups: groups of a step on all devices together, a multiple of the devices that hold different examples.
        rows: packed rows of a group.
        length: tokens of a packed row; 0 for `max_length`.
        examples: most examples of a group; 0 for as many as the mixture's lengths ask for.
        negatives: most hard negatives of an example.
    """

    groups: int = 8
    rows: int = 8
    length: int = 0
    examples: int = 0
    negatives: int = 1

    def __post_init__(self) -> None:
        _at_least(self, "batch.", groups=1, rows=1, length=0, examples=0, negatives=0)


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
    """When the state is saved.

    Attributes:
        every: steps between two checkpoints; one is also saved at the end and when the run is asked to stop.
        keep: latest checkpoints that are kept, and besides them the one with the best held-out accuracy.
    """

    every: int = 500
    keep: int = 2

    def __post_init__(self) -> None:
        _at_least(self, "checkpoints.", every=1, keep=1)


@dataclasses.dataclass(frozen=True)
class LogConfig:
    """What is reported.

    Attributes:
        every: steps of a line of metrics.jsonl; its numbers are means over them.
        tensorboard: whether TensorBoard's event files are written too.
    """

    every: int = 10
    tensorboard: bool = True

    def __post_init__(self) -> None:
        _at_least(self, "log.", every=1)


@dataclasses.dataclass(frozen=True)
class HeldOutConfig:
    """Rows that are kept from training, to measure on.

    Attributes:
        rows: of each task, a tenth of it at most; 0 for none.
        every: steps between two measurements; one is also made before the first step and after the last.
    """

    rows: int = 64
    every: int = 500

    def __post_init__(self) -> None:
        _at_least(self, "held_out.", rows=0, every=1)


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """Evaluation tasks that are measured while training, on data that is never trained on.

    Attributes:
        data: folder of the evaluation sets, as `instructor-jax evaluate --data` reads it.
        tasks: names of its tasks; few and small ones, since training waits for them.
        every: steps between two measurements; one is also made before the first step and after the last. 0 for none.
        limit: most texts of a task; the same ones each time.
    """

    data: str = ""
    tasks: tuple[str, ...] = ("STSBenchmark", "Banking77Classification", "XQuADRetrieval")
    every: int = 0
    limit: int = 1000

    def __post_init__(self) -> None:
        _at_least(self, "evaluation.", every=0, limit=1)
        if self.every and not (self.data and self.tasks):
            raise ValueError(
                f"evaluation.every={self.every} needs evaluation.data=FOLDER, the folder of the evaluation sets, and "
                "evaluation.tasks; or set evaluation.every=0."
            )


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """One training run, as its user describes it.

    Attributes:
        data: folder of a mixture, made by `instructor-jax medi build` or `medi import`.
        output: folder of the run; the same command with the same folder goes on where it stopped.
        start: model that training starts from, a folder or a name on the hub; "" for random weights of `model`.
        tokenizer: folder with a tokenizer, for random weights; "" trains a SentencePiece vocabulary on the mixture.
        lowercase: whether that vocabulary reads upper-case letters as lower-case ones: fewer pieces do for more words.
        model: shape of a model with random weights.
        max_length: most tokens of a text, instruction included; 0 for the model's own.
        mixture, batch, loss, distill, optimizer, mesh, checkpoints, log, held_out, evaluation: see there.
        steps: updates to make.
        seed: of weights, dropout and data order.
        dropout: whether dropout is on.
        dtype: of the computation; weights and updates are float32 in any case.
        chunks: parts in which a group is encoded, one after another; saves memory.
        remat: what layers compute again in the backward pass: none, dots, full.
        attention: einsum, fused (TPU kernels that write no scores to memory), or auto.
        workers: processes that build batches; 0 for a thread.
        ahead: batches that are built ahead.
        export: type of the weights in the trained model's folder; the two short ones halve it.
        export_length: most tokens of a text that the trained model reads, instruction included; 0 for as many as in
            training. T5's positions are relative, so that it may read further than it was trained on.
    """

    data: str = ""
    output: str = ""
    start: str = ""
    tokenizer: str = ""
    lowercase: bool = False
    model: ModelConfig = field(default_factory=lambda: ModelConfig(EncoderConfig()))
    max_length: int = 0
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    steps: int = 1000
    seed: int = 42
    dropout: bool = True
    dtype: Literal["float32", "bfloat16"] = "float32"
    chunks: int = 1
    remat: Remat = "none"
    attention: Attention = "auto"
    loss: LossConfig = field(default_factory=LossConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    mesh: MeshShape = field(default_factory=MeshShape)
    workers: int = 0
    ahead: int = 2
    checkpoints: CheckpointConfig = field(default_factory=CheckpointConfig)
    log: LogConfig = field(default_factory=LogConfig)
    held_out: HeldOutConfig = field(default_factory=HeldOutConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    export: Literal["float32", "bfloat16", "float16"] = "float32"
    export_length: int = 0

    def __post_init__(self) -> None:
        check_limits(flat(self))
        _at_least(self, "", steps=1, workers=0, ahead=1, max_length=0)
        own_schedule = self.optimizer.schedule != "constant" and not self.optimizer.schedule_steps
        if own_schedule and self.optimizer.warmup_steps >= self.steps:
            raise ValueError(
                f"optimizer.warmup_steps={self.optimizer.warmup_steps} must be below steps={self.steps}; lower it."
            )
        if self.start and self.tokenizer:
            raise ValueError(
                f"tokenizer={self.tokenizer!r} is for random weights; start={self.start!r} brings its own: drop one."
            )
        if self.distill.start_embeddings and self.start:
            raise ValueError(
                f"distill.start_embeddings=true is for random weights; start={self.start!r} brings its own: drop one."
            )
        if self.distill.start_embeddings and self.model.projection is None:
            raise ValueError(
                "distill.start_embeddings=true needs model.projection, e.g. the size of the teacher's vectors."
            )
        if self.export_length < 0 or self.export_length == 1:
            raise ValueError(f"export_length={self.export_length} must be at least 2, or 0 for as many as in training.")
        if self.export not in ("float32", "bfloat16", "float16"):
            raise ValueError(f"export={self.export!r} must be float32, bfloat16 or float16.")

    def made_of_data(self, what: str) -> Path:
        """Returns the folder for what is made of the examples once: beside the mixture, or in `output`."""
        if not self.data:
            return Path(self.output).absolute() / what
        return Path(f"{Path(self.data).absolute()}.{what}")


def _at_least(config: Any, section: str, **least: int) -> None:
    """Refuses a setting below its least value, by its own name."""
    for name, value in least.items():
        if getattr(config, name) < value:
            raise ValueError(f"{section}{name}={getattr(config, name)} must be at least {value}.")


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Every setting by its dotted key, with values as JSON keeps them."""
    found: dict[str, Any] = {}
    for one in dataclasses.fields(value):
        inner = getattr(value, one.name)
        if dataclasses.is_dataclass(inner):
            found |= flat(inner, f"{prefix}{one.name}.")
        else:
            found[prefix + one.name] = _plain(inner)
    return found


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def differences(old: dict[str, Any], new: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Settings that differ and decide the losses of a run: key -> (old, new).

    A setting that there was not yet when a run began stands for its default, which is what was done before.
    """
    old = {**flat(RunConfig()), **old}
    return {
        key: (old.get(key), new.get(key))
        for key in {**old, **new}
        if key.partition(".")[0] not in CHANGEABLE and old.get(key) != new.get(key)
    }
