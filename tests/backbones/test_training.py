"""A training step of encoders beside T5, on one device and on eight: the same loss and the same update."""

import jax
import numpy as np
import pytest

from instructor_jax.backbones.bert.config import BertConfig
from instructor_jax.backbones.gemma.config import GemmaConfig
from instructor_jax.backbones.modernbert.config import ModernBertConfig
from instructor_jax.backbones.qwen3.config import Qwen3Config
from instructor_jax.config import DenseShape, ModelConfig
from instructor_jax.nn.model import init_params
from instructor_jax.sharding import MeshShape, make_mesh
from instructor_jax.train.step import new_state, train_step

from ..small_models import leaves
from ..train.random_batches import random_batch, tiny_config

_SHAPE = {"vocab": 64, "embed": 16, "layers": 2, "heads": 2, "head_dim": 8, "ffn": 32}
_MODELS = {
    "bert": ModelConfig(BertConfig(**_SHAPE, positions=16), max_length=16),
    # two heads of queries are split over devices, the one of keys that they share is not
    "qwen3": ModelConfig(Qwen3Config(**_SHAPE, kv_heads=1), max_length=16, pooling="lasttoken"),
    "modernbert": ModelConfig(ModernBertConfig(**_SHAPE, window=4, pad_id=3, eos_id=2), max_length=16),
    "gemma": ModelConfig(
        GemmaConfig(**_SHAPE, kv_heads=1, window=4, full_every=2),
        dense=(DenseShape(12, activation="tanh"),), projection=8, max_length=16,
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("family", _MODELS)
def test_a_step_is_the_same_on_one_device_and_on_eight(family: str) -> None:
    config = tiny_config(model=_MODELS[family], remat="full")
    batch, results = random_batch(config, 0), []
    for shape in (MeshShape(data=1), MeshShape(data=2, fsdp=2, tensor=2)):
        mesh = make_mesh(shape, jax.devices()[: 1 if shape.data == 1 else 8])
        with jax.set_mesh(mesh):
            state = new_state(config, init_params(config.model, 0, mesh))
            new, metrics = jax.jit(train_step, static_argnums=0)(config, state, batch)
            results.append((float(metrics.loss), leaves(jax.device_get(new.params))))
    (loss, params), (other_loss, other_params) = results
    assert np.isfinite(loss)
    assert other_loss == pytest.approx(loss, abs=1e-5)  # float32 sums in another order, dropout included
    before = leaves(jax.device_get(init_params(config.model, 0)))
    assert any(np.abs(params[name] - before[name]).max() > 0 for name in params)
    # AdamW divides a gradient by its own size: where that is rounding, so is the sign of an update of 1e-5 at most
    for name, value in params.items():
        assert np.abs(value - other_params[name]).max() <= 2.1e-5, name
