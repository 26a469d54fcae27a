"""What is computed: models of published sizes with random weights, and batches that are full of random tokens."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from instructor_jax.backbones.published import PUBLISHED
from instructor_jax.config import ModelConfig
from instructor_jax.nn.compute import Attention
from instructor_jax.nn.model import init_params
from instructor_jax.sharding import make_mesh
from instructor_jax.text.batches import TokenBatch
from instructor_jax.train.chips import chip_of
from instructor_jax.train.compiled_step import compiled_step
from instructor_jax.train.config import TrainConfig
from instructor_jax.train.data.batches import PairBatch
from instructor_jax.train.data.group_packing import GroupShape
from instructor_jax.train.objective import LossConfig
from instructor_jax.train.step import TrainState, new_state, state_shardings

SIZES = {"base": "gtr-t5-base", "large": "gtr-t5-large", "xl": "gtr-t5-xl"}
_SMALLEST_VOCABULARY = 400  # ids are drawn below it


def model_of(size: str, length: int, tiny: bool, dropout: float | None = None) -> ModelConfig:
    """Returns the configuration of a published size; with `tiny`, one of its kind that a CPU runs in a moment.

    Args:
        size: Key of `SIZES`.
        length: Tokens of the longest text.
        tiny: Whether to shrink it.
        dropout: Rate of dropout; None for the published one.
    """
    model = PUBLISHED[SIZES[size]]
    encoder: Any = model.encoder
    if tiny:
        encoder = dataclasses.replace(encoder, layers=2, embed=64, ffn=128, heads=2, head_dim=32, vocab=512)
        model = dataclasses.replace(model, projection=None if model.projection is None else 48)
    if dropout is not None:
        encoder = dataclasses.replace(encoder, dropout=dropout)
    return dataclasses.replace(model, encoder=encoder, normalize=True, max_length=length)


def token_batch(groups: int, rows: int, length: int, per_row: int, texts: int, full: bool = True) -> TokenBatch:
    """Returns rows of random tokens, `per_row` texts of equal length in each.

    Args:
        groups: Number of groups.
        rows: Rows of a group.
        length: Tokens of a row.
        per_row: Texts of a row.
        texts: Slots of a group; slot i holds text i // rows of row i % rows.
        full: Whether texts fill their rows; else a fifth of each row is padding, and a quarter of each text not pooled.
    """
    random = np.random.default_rng(0)
    places = max(4, length // 8)
    used = length if full else length - length // 5
    segment = np.where(np.arange(length) < used, np.arange(length) * per_row // used, -1).astype(np.int32)
    segments = np.broadcast_to(segment, (groups, rows, length)).copy()
    tokens = np.where(segments >= 0, random.integers(2, _SMALLEST_VOCABULARY, segments.shape), 0).astype(np.int32)
    within = np.arange(length) - np.searchsorted(segment[:used], np.maximum(segment, 0))
    pooled = (segments >= 0) & (full | (within >= used // per_row // 4))
    slots = np.array([(i % rows) * places + i // rows for i in range(texts)], np.int32)
    slots[np.arange(texts) >= rows * per_row] = -1
    return TokenBatch(tokens, segments, pooled, np.broadcast_to(slots, (groups, texts)).copy(), places)


def pair_batch(config: TrainConfig, per_row: int) -> PairBatch:
    """Returns a full batch of examples, each with a query, a positive and one negative of random tokens."""
    random, n = np.random.default_rng(1), config.group.examples
    texts = token_batch(config.groups, config.group.rows, config.group.length, per_row, 3 * n)
    texts = dataclasses.replace(texts, segments_per_row=config.group.segments_per_row)

    def ids(*shape: int) -> np.ndarray:
        return random.integers(1, 2**32, (config.groups, *shape, 2), np.uint32)

    valid = np.ones((config.groups, n), np.bool_)
    task = np.zeros((config.groups, n), np.int32)
    return PairBatch(texts, task, ids(n), ids(n), ids(n, 1), valid, valid[..., None])


def train_config(model: ModelConfig, rows: int, length: int, examples: int, **settings: Any) -> TrainConfig:
    """Returns the configuration of a step on one device, with the in-batch loss; cuDNN's attention has no dropout."""
    if settings.get("attention") == "cudnn":
        settings["dropout"] = False
    group = GroupShape(rows, length, examples, 1)
    return TrainConfig(model=model, group=group, steps=100, loss=LossConfig("in_batch", 0.05), **settings)


@dataclasses.dataclass
class Training:
    """A step that is ready to run on one device.

    Attributes:
        config: What it computes.
        mesh: Of the device.
        step: Compiled by jit when it is first called, under `jax.set_mesh(mesh)`.
        state: Before the next step.
    """

    config: TrainConfig
    mesh: jax.sharding.Mesh
    step: Any
    state: TrainState


def training(config: TrainConfig, device: Any) -> Training:
    """Initialises a run on a device."""
    mesh = make_mesh(config.mesh, [device])
    config = config.suited_to(mesh)
    shardings = state_shardings(config, mesh)
    with jax.set_mesh(mesh):
        state = jax.jit(partial(new_state, config), out_shardings=shardings)(init_params(config.model, 0, mesh))
    return Training(config, mesh, compiled_step(config, mesh, shardings), state)


def cast(params: Any, dtype: Any) -> Any:
    """Returns the weights in another type, on the device where they lie."""
    return jax.jit(partial(jax.tree.map, lambda leaf: leaf.astype(jnp.dtype(dtype))))(params)


def peak_flops() -> float | None:
    """Returns the bfloat16 peak of this device by its datasheet; None where no table has it."""
    chip = chip_of(jax.devices()[0].device_kind)
    return None if chip is None else chip.flops


def memory_peak_gib() -> float | None:
    """Returns the most device memory that this process had in use; None where the device does not tell."""
    told = jax.devices()[0].memory_stats()
    return None if not told or "peak_bytes_in_use" not in told else told["peak_bytes_in_use"] / 2**30


def attention_kinds(dtype: str) -> tuple[Attention, ...]:
    """Returns the back ends of attention that this device can compute with in a type."""
    return ("einsum", "cudnn") if dtype == "bfloat16" and jax.default_backend() == "gpu" else ("einsum",)
