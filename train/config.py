"""`TrainConfig`: everything that decides what a training run computes, frozen, checked before anything is allocated.

Settings lie with what they set: those of the loss in `objective.py` and `distill.py`, of the optimizer in
`optimizer.py`, of the batch's shape in `group_packing.py`. Devices are not part of it but for the shape of the mesh:
the same configuration gives the same batches and, to rounding, the same losses on any number of them.
"""

import dataclasses
from dataclasses import field
from typing import Literal, get_args

import jax
from jax.sharding import Mesh

from instructor_jax.backbones.published import PUBLISHED
from instructor_jax.config import ModelConfig
from instructor_jax.nn.compute import Attention, Compute, Remat
from instructor_jax.nn.cudnn_attention import most_texts
from instructor_jax.nn.layout import STACKED, UNROLLED
from instructor_jax.nn.model import check_divisible
from instructor_jax.sharding import MeshShape, data_shards

from .data.group_packing import GroupShape
from .distillation import DistillConfig, tasks_without_teacher
from .objective import LossConfig, task_tables
from .optimizer import OptimizerConfig
from .settings.former_names import accepts_former_names, formerly

_UNROLLED_LAYERS = 12  # those of the base size


@accepts_former_names
@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """What a training run computes.

    Attributes:
        model: Model that is trained; embeddings must be normalised, since the losses are on cosines.
        group: Static shape of a group: packed sequences, their length, examples, negatives.
        groups: Number of groups of the global batch, each packed on its own; a multiple of the devices that hold
            different examples. The global batch has at most `groups * group.examples` examples.
        steps: Number of updates.
        loss: The contrastive loss.
        distill: What is learned from a teacher besides.
        optimizer: The optimizer and its learning rates.
        mesh: How the devices are used.
        tasks: Names of the mixture's tasks in the order of their numbers; filled in when the mixture is opened.
        seed: Random seed for initialisation, dropout and data order.
        dropout: Whether the encoder's dropout is on, at the rate of `model.encoder.dropout`.
        dtype: Floating-point type of the computation; parameters, statistics and updates are float32 in any case.
        gradient_cache_chunks: Number of parts into which the sequences of a group are cut, to encode a batch larger
            than memory.
        remat: What each layer computes again in the backward pass: none, dots (all but matrix products), attention
            (all but what attention takes and gives), full.
        attention: Attention back end: einsum, fused (kernels for TPUs that write no scores to memory), cudnn (the same
            for NVIDIA GPUs, without dropout), or auto, which takes the kernels on TPUs.
        unroll: Whether the layers are compiled one by one, not as a loop; `suited_to` decides it.
    """

    model: ModelConfig = PUBLISHED["instructor-large"]
    # batch 4, hard-coded in the code of December 2022
    group: GroupShape = field(default_factory=lambda: GroupShape(rows=12, length=512, examples=4, negatives=1))
    groups: int = 1
    steps: int = 20_000  # large; base about 40,000, xl not said (xlang-ai/instructor-embedding#14, #32, #66)
    loss: LossConfig = field(default_factory=LossConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    mesh: MeshShape = field(default_factory=MeshShape)
    tasks: tuple[str, ...] = ("all",)
    seed: int = 42  # Trainer's default
    dropout: bool = True  # T5's 0.1; the original trained in PyTorch's train mode
    dtype: Literal["float32", "bfloat16"] = "float32"  # the original set no half precision
    gradient_cache_chunks: int = formerly("chunks", default=1)
    remat: Remat = "none"
    attention: Attention = "auto"
    unroll: bool = False

    def __post_init__(self) -> None:
        for name in ("groups", "steps", "gradient_cache_chunks"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1.")
        for name, choices in (("dtype", Literal["float32", "bfloat16"]), ("remat", Remat), ("attention", Attention)):
            allowed = get_args(choices)
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r} must be one of {', '.join(allowed)}.")
        if not self.model.normalize:
            raise ValueError("model must have normalize=True: the losses are on cosines of unit vectors.")
        if self.group.length < self.model.max_length:
            raise ValueError(
                f"group.length={self.group.length} must be at least model.max_length={self.model.max_length}, or a "
                "long text fits into no row; raise the one or lower the other."
            )
        if self.group.rows % self.gradient_cache_chunks:
            divisors = [n for n in range(1, self.group.rows + 1) if self.group.rows % n == 0]
            raise ValueError(
                f"gradient_cache_chunks={self.gradient_cache_chunks} must divide group.rows={self.group.rows}; "
                f"possible are {divisors}."
            )
        if self.attention == "cudnn" and self.group.segments_per_row > most_texts(self.group.length):
            raise ValueError(
                f"group.segments={self.group.segments} must be at most {most_texts(self.group.length)} with "
                "attention='cudnn', which is compiled for that many texts in a row."
            )
        if self.loss.dims and self.loss.dims[0] > self.model.embedding_dim:
            raise ValueError(
                f"loss.dims={self.loss.dims} must be at most {self.model.embedding_dim}, the size of the embedding."
            )
        if not self.tasks or len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"tasks must name at least one task, and none twice: {self.tasks}.")
        if self.tasks != ("all",):
            task_tables(self.loss, self.tasks)
            tasks_without_teacher(self.distill, self.tasks)

    @property
    def compute(self) -> Compute:
        """Returns how the model computes, in type, recomputation, layout of the layers and attention."""
        return Compute(self.dtype, self.remat, UNROLLED if self.unroll else STACKED, self.attention)

    @property
    def teacher_dim(self) -> int:
        """Returns the size of the teacher's vectors beside a batch, which are the student's; 0 without a teacher."""
        return self.model.embedding_dim if self.distill.on else 0

    @property
    def loss_precision(self) -> jax.lax.Precision:
        """Returns the precision of the loss's matrix products.

        Bfloat16 vectors have fewer true digits than HIGH (TF32) keeps.
        """
        return jax.lax.Precision.HIGHEST if self.dtype == "float32" else jax.lax.Precision.HIGH

    def suited_to(self, mesh: Mesh) -> "TrainConfig":
        """Returns the same configuration, compiled in the way that is fast on these devices.

        On CPUs a loop over the layers costs a sixth of the time. Elsewhere it bounds what is gathered at a time, and
        with `remat` it keeps the compiler from undoing it; of deep models the compilation would take minutes.
        """
        cpu = mesh.devices.flat[0].platform == "cpu"
        return dataclasses.replace(
            self, unroll=cpu and self.remat == "none" and self.model.encoder.layers <= _UNROLLED_LAYERS
        )

    def check_mesh(self, mesh: Mesh) -> None:
        """Checks that the batch and every parameter can be divided among the devices.

        Raises:
            ValueError: One cannot; says which, and what to change.
        """
        shards = data_shards(mesh)
        if self.groups % shards:
            raise ValueError(
                f"groups={self.groups} must be a multiple of {shards}, the devices that hold different examples; try "
                f"{-(-self.groups // shards) * shards}."
            )
        check_divisible(self.model, mesh)
