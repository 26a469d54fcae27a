"""Hidden states and weights of every variant against PyTorch's T5 (transformers)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instructor_jax.backbones.registry import backbone_of
from instructor_jax.config import ModelConfig
from instructor_jax.io.folders import read_folder, read_torch_arrays
from instructor_jax.io.settings.family import read_encoder_config
from instructor_jax.io.weights.names import params_from_torch, params_to_torch
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.model import encode_tokens
from instructor_jax.text.batches import TokenBatch

from ...torch_variants import VARIANTS, random_model

pytest.importorskip("torch", reason="needs the extra `torch`")
pytestmark = pytest.mark.torch


def plain(model) -> tuple[ModelConfig, dict[str, np.ndarray]]:
    config = ModelConfig(read_encoder_config(model.config.to_dict()), normalize=False)
    return config, {name: value.numpy() for name, value in model.state_dict().items()}


def right_padded(lengths: list[int], vocab: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    tokens = np.random.default_rng(seed).integers(2, vocab, (len(lengths), max(lengths))).astype(np.int32)
    keep = np.arange(max(lengths)) < np.asarray(lengths)[:, None]
    return np.where(keep, tokens, 0), keep


def hidden_states(config, arrays, batch, dtype=jnp.float32) -> np.ndarray:
    run = jax.jit(partial(encode_tokens, config, compute=Compute(dtype)))
    return np.asarray(run(params_from_torch(config, arrays), batch).astype(jnp.float32))[0]


@pytest.mark.parametrize("variant", VARIANTS)
def test_hidden_states_equal_pytorch(variant):
    import torch

    model = random_model(variant)
    config, arrays = plain(model)
    tokens, keep = right_padded([1, 7, 40, 150], config.encoder.vocab, seed=1)
    with torch.inference_mode():
        expected = model(torch.from_numpy(tokens).long(), attention_mask=torch.from_numpy(keep).long())[0].numpy()
    batch = TokenBatch(tokens[None], np.where(keep, 0, -1)[None].astype(np.int32), keep[None], np.zeros((1, 1), int), 1)
    hidden = hidden_states(config, arrays, batch)
    # 1e-5: both sides are float32 with different summation orders; states here are of order 1
    assert np.abs(hidden - expected)[keep].max() <= 1e-5
    assert np.abs(expected[keep]).max() > 0.5  # the comparison is of numbers that matter


@pytest.mark.parametrize("variant", ["t5-relu", "t5-v1.1-gated", "mt5", "umt5"])
def test_bfloat16_stays_close(variant):
    model = random_model(variant)
    config, arrays = plain(model)
    tokens, keep = right_padded([9, 33, 64], config.encoder.vocab, seed=2)
    batch = TokenBatch(tokens[None], np.where(keep, 0, -1)[None].astype(np.int32), keep[None], np.zeros((1, 1), int), 1)
    exact = hidden_states(config, arrays, batch)
    rounded = hidden_states(config, arrays, batch, jnp.bfloat16)
    for row in range(len(tokens)):  # the mean over tokens is what becomes the vector
        a, b = exact[row][keep[row]].mean(axis=0), rounded[row][keep[row]].mean(axis=0)
        assert a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) >= 0.999  # bfloat16 keeps 8 bits of each number


@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_there_and_back_are_identical(variant):
    config, arrays = plain(random_model(variant))
    back = params_to_torch(config, params_from_torch(config, arrays))
    for name, value in back.items():
        assert value.tobytes() == arrays[name].tobytes(), name
    assert set(arrays) - set(back) <= {"encoder.embed_tokens.weight"}
    assert read_encoder_config(backbone_of(config.encoder).write_config(config.encoder)) == config.encoder


@pytest.mark.parametrize("variant", ["t5-relu", "t5-v1.1-gated", "mt5", "umt5"])
def test_encoder_of_a_whole_model_is_taken(variant, tmp_path):
    whole = random_model(variant, whole=True)
    whole.save_pretrained(tmp_path)
    folder = read_folder(tmp_path)
    params = params_from_torch(folder.config, read_torch_arrays(folder))
    encoder = {name: value.numpy() for name, value in whole.get_encoder().state_dict().items()}
    back = params_to_torch(folder.config, params)
    for name, value in encoder.items():
        ours = back["shared.weight" if name == "embed_tokens.weight" else f"encoder.{name}"]
        assert ours.tobytes() == value.tobytes(), name


@pytest.mark.parametrize("variant", ["t5-relu", "umt5"])
def test_wrong_names_and_shapes_are_named(variant):
    config, arrays = plain(random_model(variant))
    name = "encoder.block.1.layer.0.SelfAttention.k.weight"
    with pytest.raises(ValueError, match=r"missing .*block.1.*SelfAttention.k.weight"):
        params_from_torch(config, {key: value for key, value in arrays.items() if key != name})
    with pytest.raises(ValueError, match=r"unknown \(encoder.block.9.surprise\)"):
        params_from_torch(config, {**arrays, "encoder.block.9.surprise": np.zeros(3)})
    with pytest.raises(ValueError, match=rf"{name} has shape \(3, 3\)"):
        params_from_torch(config, {**arrays, name: np.zeros((3, 3))})


def test_copies_of_the_embedding_must_agree():
    config, arrays = plain(random_model("t5-relu"))
    both = {**arrays, "encoder.embed_tokens.weight": arrays["shared.weight"]}
    only_copy = {key: value for key, value in both.items() if key != "shared.weight"}
    for given in (both, only_copy):
        embedding = params_from_torch(config, given)["encoder"]["embed"]["embedding"]
        np.testing.assert_array_equal(embedding, arrays["shared.weight"])
    with pytest.raises(ValueError, match="differ"):
        params_from_torch(config, {**both, "encoder.embed_tokens.weight": arrays["shared.weight"] + 1})
