"""Optimizers and learning-rate schedules: AdamW as the original used it, Adafactor for models that leave no room.

The schedule is a pure function of the step. Its nominal end is configuration of its own, apart from the number of
steps: the original planned ten epochs and stopped long before, so its learning rate never left the warm-up.
"""

import dataclasses
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from .settings.types import check_types

_NOT_DECAYED = ("scale", "relative_bias")  # norms and position biases, as in the parameter groups of HF's Trainer


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer and its schedule. The defaults are the original's: Trainer's AdamW, with nothing set.

    Attributes:
        name: Name of the optimizer: adamw, or adafactor (Shazeer and Stern 2018), whose state is a few vectors per
            matrix instead of two copies of it; its learning rate is relative to the size of each parameter (T5 was
            fine-tuned with 1e-3, constant), where a parameter is that of all layers, stacked.
        learning_rate: Highest learning rate, reached after warm-up.
        schedule: How the learning rate falls from there: linear, cosine, or constant (not at all).
        warmup_steps: Number of steps over which it rises linearly from 0; the first step has 0, as Trainer's.
        schedule_steps: Nominal last step, where it has fallen to `final_fraction`; may be after the last step made. In
            a `RunConfig` 0 stands for the run's own steps.
        final_fraction: Fraction of the learning rate that is left there.
        b1, b2, epsilon: Constants of AdamW.
        weight_decay: Weight decay of AdamW, times the learning rate; it applies to all parameters but norm scales,
            biases and the position bias.
        relative: Whether AdamW's updates are multiplied by the root mean square of their parameter, as Adafactor's are.
            For random weights: T5's embeddings start sixteen times as large as its other matrices, and a step that
            moves them at all breaks those.
        split_moments: Whether devices with the same weights (`mesh.data`) each keep a part of AdamW's two moments,
            update their part of the weights, and send it to the others: ZeRO's first stage. It saves up to 8 bytes a
            weight, divided by `mesh.fsdp`, and sends half as much again; see docs/scale.md.
        sum_gradients_once: Whether devices with the same weights add their gradients once, in float32, after all chunks
            of a batch (`gradient_cache_chunks`), in place of a sum for each layer of each chunk, in the type of the
            computation. For slow networks, as between slices; where `mesh.fsdp` splits the weights it changes nothing.
        clip_norm: Global norm to which gradients are scaled down; None for no clipping.
    """

    name: Literal["adamw", "adafactor"] = "adamw"
    learning_rate: float = 2e-5  # the README's command line
    schedule: Literal["linear", "cosine", "constant"] = "linear"  # Trainer's default
    warmup_steps: int = 0
    schedule_steps: int = 20_000
    final_fraction: float = 0.0
    b1: float = 0.9
    b2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    relative: bool = False
    split_moments: bool = False
    sum_gradients_once: bool = False
    clip_norm: float | None = 1.0

    def __post_init__(self) -> None:
        check_types(self, "optimizer.")
        if self.name not in ("adamw", "adafactor") or self.schedule not in ("linear", "cosine", "constant"):
            raise ValueError(
                f"optimizer: name={self.name!r} must be adamw or adafactor, and schedule={self.schedule!r} "
                "linear, cosine or constant."
            )
        rules = (
            ("learning_rate", 0.0 < self.learning_rate < math.inf, "positive"),
            ("epsilon", 0.0 < self.epsilon < math.inf, "positive"),
            ("b1", 0.0 <= self.b1 < 1.0, "in [0, 1)"),
            ("b2", 0.0 <= self.b2 < 1.0, "in [0, 1)"),
            ("final_fraction", 0.0 <= self.final_fraction <= 1.0, "in [0, 1]"),
            ("weight_decay", 0.0 <= self.weight_decay < math.inf, "0 or positive"),
            ("warmup_steps", self.warmup_steps >= 0, "0 or positive"),
            ("clip_norm", self.clip_norm is None or self.clip_norm > 0.0, "positive, or None for no clipping"),
        )
        for name, holds, rule in rules:
            if not holds:
                raise ValueError(f"optimizer.{name}={getattr(self, name)} must be {rule}.")
        if self.weight_decay and self.name == "adafactor":
            raise ValueError(
                f"optimizer.weight_decay={self.weight_decay} is AdamW's only; set it to 0 or name='adamw'."
            )
        if self.relative and self.name == "adafactor":
            raise ValueError("optimizer.relative=True is for adamw; adafactor's updates are relative: drop it.")
        if self.split_moments and self.name == "adafactor":
            raise ValueError("optimizer.split_moments=True is for adamw; adafactor keeps no moments to split: drop it.")
        if self.schedule_steps < 0:
            raise ValueError(f"optimizer.schedule_steps={self.schedule_steps} must be 0 or positive.")
        if self.schedule != "constant" and 0 < self.schedule_steps <= self.warmup_steps:
            raise ValueError(
                f"optimizer.schedule_steps={self.schedule_steps} must exceed warmup_steps={self.warmup_steps}; "
                "raise it, or set schedule='constant'."
            )


def learning_rate(config: OptimizerConfig, step: int | Int[Array, ""]) -> Float[Array, ""]:
    """Returns the learning rate of the update made in `step` (0 is the first), as transformers' schedules do."""
    return jnp.asarray(_schedule(config)(step))


def _schedule(config: OptimizerConfig) -> optax.Schedule:
    peak, final = config.learning_rate, config.learning_rate * config.final_fraction
    falling = max(1, config.schedule_steps - config.warmup_steps)
    after = {
        "linear": optax.schedules.linear_schedule(peak, final, falling),
        "cosine": optax.schedules.cosine_decay_schedule(peak, falling, config.final_fraction),
        "constant": optax.schedules.constant_schedule(peak),
    }[config.schedule]
    if not config.warmup_steps:
        return after
    return optax.schedules.join_schedules(
        [optax.schedules.linear_schedule(0.0, peak, config.warmup_steps), after], [config.warmup_steps]
    )


def make_optimizer(config: OptimizerConfig) -> optax.GradientTransformation:
    """Returns gradient clipping followed by the optimizer with its schedule.

    It is cheap and made anew wherever it is needed.
    """
    if config.name == "adamw":
        update = optax.chain(  # optax.adamw, with a place for the scale of the parameter
            optax.scale_by_adam(config.b1, config.b2, config.epsilon),
            *([optax.scale_by_param_block_rms()] if config.relative else []),
            optax.add_decayed_weights(config.weight_decay, decayed),
            optax.scale_by_learning_rate(_schedule(config)),
        )
    else:
        update = optax.adafactor(_schedule(config))
    clip = optax.identity() if config.clip_norm is None else optax.clip_by_global_norm(config.clip_norm)
    return optax.chain(clip, update)


def decayed(params: Any) -> Any:
    """Returns which parameters weight decay applies to, as a tree of booleans."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: not any(_is_not_decayed(str(getattr(key, "key", ""))) for key in path), params
    )


def _is_not_decayed(name: str) -> bool:
    return name in _NOT_DECAYED or name == "bias" or name.endswith("_bias")
