"""Configurations inferred from shapes: the published sizes are told by theirs."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from instructor_jax.backbones.published import PUBLISHED
from instructor_jax.backbones.t5.family import BACKBONE as T5
from instructor_jax.config import EncoderConfig, ModelConfig, parameter_count
from instructor_jax.convert.shapes import encoder_config_of
from instructor_jax.io.weights.names import torch_shapes

ENCODERS = sorted(
    {model.encoder for model in PUBLISHED.values() if isinstance(model.encoder, EncoderConfig)}, key=repr
)  # of T5, whose weights tell the whole configuration
SMALL = EncoderConfig(vocab=20, embed=12, layers=2, heads=2, head_dim=4, ffn=10, relative_buckets=8)


@pytest.mark.parametrize("config", ENCODERS, ids=lambda config: f"{config.model_type}-{parameter_count(config)}")
def test_every_published_encoder_is_inferred_from_its_shapes(config: EncoderConfig) -> None:
    inferred = T5.weights.infer_config(torch_shapes(ModelConfig(config)))
    if config.model_type == "mt5":  # its weights differ from t5-v1.1's in nothing but the size of the vocabulary
        inferred = dataclasses.replace(inferred, model_type="mt5")
    assert inferred == config


def weights() -> dict[str, np.ndarray]:
    return {name: np.ones(shape, np.float32) for name, shape in torch_shapes(ModelConfig(SMALL)).items()}


def test_weights_that_fit_give_their_configuration(tmp_path: Path) -> None:
    tensors = weights()
    assert encoder_config_of(tmp_path, tensors, dict.fromkeys(tensors, "source"), T5) == SMALL
    tensors["projection.weight"] = np.ones((6, 12), np.float32)
    assert encoder_config_of(tmp_path, tensors, dict.fromkeys(tensors, "source"), T5) == SMALL


@pytest.mark.parametrize("name", torch_shapes(ModelConfig(SMALL)))
def test_each_weight_is_needed_and_checked(tmp_path: Path, name: str) -> None:
    tensors = weights()
    origins = {torch_name: f"source of {torch_name}" for torch_name in tensors}
    grown = tensors | {name: np.ones([size + 1 for size in tensors[name].shape], np.float32)}
    with pytest.raises(ValueError, match=r"fits the other weights|cannot share equally"):
        encoder_config_of(tmp_path, grown, origins, T5)
    with pytest.raises(ValueError, match=f"source of {name} has dtype int32"):
        encoder_config_of(tmp_path, tensors | {name: tensors[name].astype(np.int32)}, origins, T5)
    del tensors[name]
    with pytest.raises(ValueError, match="lacks"):
        encoder_config_of(tmp_path, tensors, origins, T5)


def test_a_broken_config_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(ValueError, match=r"does not hold a whole T5 encoder: model_type='gpt2'.*\)\.$"):
        encoder_config_of(tmp_path, weights(), dict.fromkeys(weights(), "source"), T5)
