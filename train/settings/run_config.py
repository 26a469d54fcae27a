"""`RunConfig`: everything a user sets for a training run, in sections; `TrainConfig` is what becomes of it.

A recipe is one of these, and `key=value` on the command line changes single fields of it.
"""

import dataclasses
from dataclasses import field
from pathlib import Path
from typing import Literal

from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.nn.compute import Attention, Remat
from instructor_jax.sharding import MeshShape

from ..distillation import DistillConfig
from ..objective import LossConfig
from ..optimizer import OptimizerConfig
from .flat import flat
from .former_names import accepts_former_names, formerly
from .limits import check_limits
from .mixture_config import MixtureConfig
from .sections import (
    BatchConfig,
    CheckpointConfig,
    CompilerConfig,
    EvaluationConfig,
    HeldOutConfig,
    LogConfig,
    ProfileConfig,
    at_least,
)
from .types import check_types


@accepts_former_names
@dataclasses.dataclass(frozen=True)
class RunConfig:
    """One training run, as its user describes it.

    Attributes:
        data: Folder of a mixture, made by `instructor-jax medi build` or `medi import`, or URL of one in a store.
        output: Folder of the run, or URL of one in a store; the same command goes on where it stopped.
        init_from: Model whose weights training starts from, a folder or a name on the hub; "" for random weights of
            `model`.
        tokenizer: Folder with a tokenizer, for random weights; "" trains a SentencePiece vocabulary on the mixture.
        lowercase: Whether that vocabulary reads upper-case letters as lower-case ones, so that fewer subwords do for
            more words.
        model: Shape of a model with random weights.
        max_length: Largest number of tokens of a text, instruction included; 0 for the model's own.
        pool_instruction: Whether instructions are pooled like texts; None for as the model's folder says.
        mixture: Which examples are trained on, and how often.
        batch: Static shape of a step.
        steps: Number of updates.
        seed: Random seed for weights, dropout and data order.
        dropout: Whether dropout is on.
        dtype: Floating-point type of the computation; weights and updates are float32 in any case.
        gradient_cache_chunks: Number of parts in which a group is encoded, one after another, to save memory.
        remat: What each layer computes again in the backward pass: none, dots (all but matrix products), attention
            (all but what attention takes and gives), full.
        attention: Attention back end: einsum, fused (TPU kernels that write no scores to memory), cudnn, or auto.
        loss: The contrastive loss.
        distill: What is learned from a teacher.
        optimizer: The optimizer and its learning rates.
        mesh: How the devices are used.
        workers: Number of processes that build batches; 0 for a thread.
        prefetch: Number of batches that are built before they are needed.
        checkpoints: When the state is saved.
        log: How often metrics are reported.
        profile: Steps that are traced.
        compiler: How the step is compiled.
        held_out: Examples that are kept from training.
        evaluation: Evaluation tasks that are measured while training.
        export: Floating-point type of the weights in the trained model's folder; the two short ones halve it.
        export_length: Largest number of tokens of a text that the trained model reads, instruction included; 0 for as
            many as in training. Relative positions let it read further than it was trained on.
    """

    data: str = ""
    output: str = ""
    init_from: str = formerly("start", default="")
    tokenizer: str = ""
    lowercase: bool = False
    model: ModelConfig = field(default_factory=lambda: ModelConfig(EncoderConfig()))
    max_length: int = 0
    pool_instruction: bool | None = None
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    steps: int = 1000
    seed: int = 42
    dropout: bool = True
    dtype: Literal["float32", "bfloat16"] = "float32"
    gradient_cache_chunks: int = formerly("chunks", default=1)
    remat: Remat = "none"
    attention: Attention = "auto"
    loss: LossConfig = field(default_factory=LossConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    mesh: MeshShape = field(default_factory=MeshShape)
    workers: int = 0
    prefetch: int = formerly("ahead", default=2)
    checkpoints: CheckpointConfig = field(default_factory=CheckpointConfig)
    log: LogConfig = field(default_factory=LogConfig)
    profile: ProfileConfig = field(default_factory=ProfileConfig)
    compiler: CompilerConfig = field(default_factory=CompilerConfig)
    held_out: HeldOutConfig = field(default_factory=HeldOutConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    export: Literal["float32", "bfloat16", "float16"] = "float32"
    export_length: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_limits(flat(self))
        at_least(self, "", steps=1, workers=0, prefetch=1, max_length=0)
        own_schedule = self.optimizer.schedule != "constant" and not self.optimizer.schedule_steps
        if own_schedule and self.optimizer.warmup_steps >= self.steps:
            raise ValueError(
                f"optimizer.warmup_steps={self.optimizer.warmup_steps} must be below steps={self.steps}; lower it."
            )
        if self.init_from and self.tokenizer:
            raise ValueError(
                f"tokenizer={self.tokenizer!r} is for random weights; init_from={self.init_from!r} brings its "
                "own: drop one."
            )
        if self.distill.static_init and self.init_from:
            raise ValueError(
                f"distill.static_init=true is for random weights; init_from={self.init_from!r} brings its "
                "own: drop one."
            )
        if self.distill.static_init and self.model.projection is None:
            raise ValueError("distill.static_init=true needs model.projection, e.g. the size of the teacher's vectors.")
        if self.export_length < 0 or self.export_length == 1:
            raise ValueError(f"export_length={self.export_length} must be at least 2, or 0 for as many as in training.")
        if self.export not in ("float32", "bfloat16", "float16"):
            raise ValueError(f"export={self.export!r} must be float32, bfloat16 or float16.")

    def made_of_data(self, what: str) -> Path:
        """Returns the folder for what is made of the examples once, beside the mixture or in `output`.

        Args:
            what: Last part of its name, e.g. "tokens".
        """
        if not self.data:
            return Path(self.output).absolute() / what
        return Path(f"{Path(self.data).absolute()}.{what}")
