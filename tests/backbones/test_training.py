"""Training steps of encoders beside T5, on one device and on eight: the same losses, before an update and after it."""

from typing import Any

import jax
import numpy as np
import pytest

from instructor_jax.backbones.bert.config import BertConfig
from instructor_jax.backbones.embedding_gemma2.config import EmbeddingGemma2Config
from instructor_jax.backbones.gemma.config import GemmaConfig
from instructor_jax.backbones.modernbert.config import ModernBertConfig
from instructor_jax.backbones.qwen3.config import Qwen3Config
from instructor_jax.backbones.t5gemma.config import T5GemmaConfig
from instructor_jax.config import DenseShape, ModelConfig
from instructor_jax.nn.model import init_params
from instructor_jax.sharding import MeshShape, make_mesh
from instructor_jax.train.optimizer import OptimizerConfig
from instructor_jax.train.step import new_state, train_step

from ..train.random_batches import random_batch, tiny_config

_SHAPE: dict[str, Any] = {"vocab": 64, "embed": 16, "layers": 2, "heads": 2, "head_dim": 8, "ffn": 32}
_MODELS = {
    "bert": ModelConfig(BertConfig(**_SHAPE, positions=16), max_length=16),
    # two heads of queries are split over devices, the one of keys that they share is not
    "qwen3": ModelConfig(Qwen3Config(**_SHAPE, kv_heads=1), max_length=16, pooling="lasttoken"),
    "modernbert": ModelConfig(ModernBertConfig(**_SHAPE, window=4, pad_id=3, eos_id=2), max_length=16),
    "t5gemma": ModelConfig(T5GemmaConfig(**_SHAPE, kv_heads=2, window=4, softcap=2.0, dropout=0.1), max_length=16),
    "embedding_gemma2": ModelConfig(
        EmbeddingGemma2Config(**_SHAPE, kv_heads=1, full_head_dim=16, ple_dim=12, output=20, window=4, full_every=2),
        max_length=16,
    ),
    "gemma": ModelConfig(
        GemmaConfig(**_SHAPE, kv_heads=1, window=4, full_every=2),
        dense=(DenseShape(12, activation="tanh"),), projection=8, max_length=16,
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("family", _MODELS)
def test_steps_are_the_same_on_one_device_and_on_eight(family: str) -> None:
    optimizer = OptimizerConfig(learning_rate=1e-3, warmup_steps=0, schedule="constant")
    config = tiny_config(model=_MODELS[family], remat="full", optimizer=optimizer)
    batch, losses = random_batch(config, 0), []
    for shape in (MeshShape(data=1), MeshShape(data=2, fsdp=2, tensor=2)):
        mesh = make_mesh(shape, jax.devices()[: 1 if shape.data == 1 else 8])
        with jax.set_mesh(mesh):
            state = new_state(config, init_params(config.model, 0, mesh))
            run = jax.jit(train_step, static_argnums=0)
            state, before = run(config, state, batch)
            _, after = run(config, state, batch)
            losses.append((float(before.loss), float(after.loss)))
    assert np.isfinite(losses).all()
    assert losses[0][1] < losses[0][0] - 1e-3  # it learns
    # float32 sums in another order, dropout included; AdamW divides by gradients that may be rounding alone
    np.testing.assert_allclose(losses[1], losses[0], rtol=0, atol=1e-4)
