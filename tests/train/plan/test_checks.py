"""What counts as a fault among a program's collectives, on programs made up for the purpose."""

import dataclasses

import jax
import pytest

from instructor_jax.backbones.embedding_gemma2.config import EmbeddingGemma2Config
from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.sharding import MeshShape, make_mesh
from instructor_jax.train.config import TrainConfig
from instructor_jax.train.data.group_packing import GroupShape
from instructor_jax.train.flops import training_flops_per_token
from instructor_jax.train.objective import LossConfig
from instructor_jax.train.plan.checks import sharding_faults
from instructor_jax.train.plan.collectives import Collective
from instructor_jax.train.plan.costs import Costs
from instructor_jax.train.plan.instruction import Shape

# 8 groups of 16 examples: 128 queries, 128 positives, 128 negatives
CONFIG = TrainConfig(
    model=ModelConfig(
        EncoderConfig(vocab=4096, embed=512, layers=2, heads=8, head_dim=64, ffn=2048), 320, max_length=64
    ),
    group=GroupShape(rows=48, length=64, examples=16, negatives=1),
    groups=8,
    loss=LossConfig("in_batch", 0.05, dims=(320, 160)),
    mesh=MeshShape(2, 4, 1),
)


def faults(kind: str, *dims: int, config: TrainConfig = CONFIG, operations: float = 1.5) -> list[str]:
    """Of a program that sends one such array among all devices, and computes so many times what it must."""
    mesh = make_mesh(config.mesh, jax.devices()[:8])
    needed = training_flops_per_token(config.model) * config.groups * config.group.tokens / mesh.size
    one = Collective(kind, (Shape("f32", dims),), 8, 1, "")
    return sharding_faults([one], Costs({"default": operations * needed}, 0.0, {}), config, mesh)


@pytest.mark.parametrize(
    ("kind", "dims", "told"),
    [
        ("all-gather", (128, 256), "the scores of the whole batch"),
        ("all-reduce", (1, 128, 384), "the scores of the whole batch"),
        ("all-gather", (2, 512, 2048), "weights of all layers at once"),
        ("all-reduce", (512, 2048), "though it keeps a part"),
        ("all-gather", (8, 48, 64, 512), "activations of other devices' tokens"),
    ],
)
def test_faults(kind: str, dims: tuple[int, ...], told: str) -> None:
    (fault,) = faults(kind, *dims)
    assert told in fault


@pytest.mark.parametrize(
    ("kind", "dims"),
    [
        ("all-gather", (384, 320)),  # everybody's vectors
        ("all-reduce", (256, 160)),  # and their gradient, of a nested size
        ("all-gather", (512, 2048)),  # a layer's weights
        ("reduce-scatter", (512, 2048)),  # and their gradient
        ("all-reduce", (32, 8)),  # position biases
    ],
)
def test_what_must_be_sent_is_none(kind: str, dims: tuple[int, ...]) -> None:
    assert faults(kind, *dims) == []


def test_layers_that_differ() -> None:
    """Four steps of two layers: half of a wide head is as large as a narrow one, and heads are four, too."""
    encoder = EmbeddingGemma2Config(vocab=4096, layers=8, full_every=2, ffn=1536)
    config = dataclasses.replace(CONFIG, model=ModelConfig(encoder, max_length=64), mesh=MeshShape(4, 2, 1))
    for kind, dims in (
        ("all-gather", (4, 4, 512, 256)),  # the wide heads' output of all steps, put together from its halves
        ("all-gather", (4, 512, 512)),  # that of one step
        ("reduce-scatter", (4, 512, 512)),
    ):
        assert faults(kind, *dims, config=config) == []
    (fault,) = faults("all-gather", 4, 512, 1536, config=config)
    assert "weights of all layers at once" in fault


@pytest.mark.parametrize(
    ("kind", "dims"),
    [
        ("all-gather", (2, 128, 8, 64)),  # attention's weights of all layers, as devices hold them
        ("all-reduce", (8, 128, 128)),  # the gradient of the position biases, of all distances
    ],
)
def test_weights_and_biases_that_look_like_activations_are_none(kind: str, dims: tuple[int, ...]) -> None:
    """A part of the embedding is as wide as a text is long, and a device has few tokens of its own."""
    alike = dataclasses.replace(CONFIG, group=GroupShape(rows=3, length=128, examples=1, negatives=1))
    assert faults(kind, *dims, config=alike) == []
    (fault,) = faults("all-gather", 8, 3, 128, 512, config=alike)
    assert "activations of other devices' tokens" in fault


def test_vectors_as_long_as_the_batch_is_large_are_no_scores() -> None:
    model = dataclasses.replace(CONFIG.model, projection=384)
    loss = dataclasses.replace(CONFIG.loss, dims=(384, 256, 128))
    alike = dataclasses.replace(CONFIG, model=model, loss=loss)
    for dims in ((128, 384), (128, 256), (1, 256, 128)):
        assert faults("all-reduce", *dims, config=alike) == []


def test_devices_that_compute_the_same() -> None:
    (fault,) = faults("all-reduce", 8, operations=4.0)
    assert "devices compute the same" in fault
