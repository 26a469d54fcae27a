"""Hidden states, gradients and weights of every family beside T5 against PyTorch (transformers), and under packing."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instructor_jax.backbones.configuration import output_width
from instructor_jax.backbones.registry import backbone_of
from instructor_jax.config import ModelConfig
from instructor_jax.io.settings.family import read_encoder_config
from instructor_jax.io.weights.names import params_from_torch, params_to_torch
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.model import encode_tokens
from instructor_jax.text.batches import TokenBatch

from .torch_families import COMPILED, PLAIN, VARIANTS, plain, random_encoder, random_texts, rows

pytest.importorskip("torch", reason="needs the extra `torch`")
pytestmark = pytest.mark.torch

LENGTHS = [1, 7, 40, 13]
LENGTH = 64


def states(config: ModelConfig, arrays: dict[str, np.ndarray], *batches: TokenBatch, **compute: Any) -> list:
    run = jax.jit(partial(encode_tokens, config, compute=Compute(**compute)))
    params = params_from_torch(config, arrays)
    return [np.asarray(run(params, batch).astype(jnp.float32))[0] for batch in batches]


def of_pytorch(model: Any, batch: TokenBatch) -> Any:
    import torch

    tokens, mask = torch.from_numpy(batch.tokens[0]).long(), torch.from_numpy(batch.segments[0] >= 0).long()
    pad = model.config.pad_token_id or 0  # by which MPNet counts positions
    return model(tokens.masked_fill(mask == 0, pad), attention_mask=mask).last_hidden_state


@pytest.mark.parametrize(("family", "variant"), COMPILED)
def test_hidden_states_equal_pytorch_and_packing_changes_nothing(family: str, variant: str) -> None:
    import torch

    model = random_encoder(family, variant)
    config, arrays = plain(model)
    texts = random_texts(config.encoder.vocab, LENGTHS, seed=1)
    alone = rows(texts, [[0], [1], [2], [3]], LENGTH)
    together = rows(texts, [[1, 0, 2, 3], [3, 2], [], []], LENGTH)
    with torch.inference_mode():
        expected = of_pytorch(model, alone).numpy()
    ours, packed = states(config, arrays, alone, together)
    for text, length in enumerate(LENGTHS):
        # 1e-5: float32 on both sides, sums in another order; states are of order 1
        assert np.abs(ours[text, :length] - expected[text, :length]).max() <= 1e-5
        assert np.abs(expected[text, :length]).max() > 0.5
    # 2e-6: the same products over rows in which other numbers are masked
    for text, row, start in ((1, 0, 0), (0, 0, 7), (2, 0, 8), (3, 0, 48), (3, 1, 0), (2, 1, 13)):
        own = slice(start, start + LENGTHS[text])
        assert np.abs(packed[row, own] - ours[text, : LENGTHS[text]]).max() <= 2e-6 * max(1.0, np.abs(ours[text]).max())


@pytest.mark.parametrize(("family", "variant"), VARIANTS)
def test_weights_and_settings_there_and_back_are_identical(family: str, variant: str) -> None:
    model = random_encoder(family, variant)
    config, arrays = plain(model)
    back = params_to_torch(config, params_from_torch(config, arrays))
    assert set(back) == set(arrays)
    for name, value in back.items():
        assert value.tobytes() == arrays[name].tobytes(), name
    assert read_encoder_config(backbone_of(config.encoder).write_config(config.encoder)) == config.encoder
    assert config.encoder.weight_count == sum(value.size for value in arrays.values())


@pytest.mark.parametrize(("family", "variant"), PLAIN)
def test_bfloat16_stays_close(family: str, variant: str) -> None:
    config, arrays = plain(random_encoder(family, variant))
    batch = rows(random_texts(config.encoder.vocab, LENGTHS, seed=2), [[0], [1], [2], [3]], LENGTH)
    (exact,), (rounded,) = states(config, arrays, batch), states(config, arrays, batch, dtype="bfloat16")
    for text, length in enumerate(LENGTHS):
        a, b = exact[text, :length].mean(axis=0), rounded[text, :length].mean(axis=0)
        assert a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) >= 0.999  # bfloat16 keeps 8 bits of each number


@pytest.mark.parametrize(
    ("family", "variant"),
    [pytest.param(*case, marks=[] if case[0] == "qwen3" else [pytest.mark.slow]) for case in PLAIN]
    + [pytest.param("modernbert", "biases", marks=pytest.mark.slow)],
)
def test_gradients_equal_pytorch(family: str, variant: str) -> None:
    """Of a small loss of all states, with respect to every weight; our layers computed again in the backward pass."""
    import torch

    model = random_encoder(family, variant)
    config, arrays = plain(model)
    batch = rows(random_texts(config.encoder.vocab, LENGTHS, seed=3), [[0], [1], [2], [3]], LENGTH)
    keep = batch.segments[0] >= 0
    target = np.random.default_rng(4).standard_normal((*keep.shape, output_width(config.encoder))).astype(np.float32)
    wanted = target * keep[..., None]
    loss = (torch.tanh(of_pytorch(model, batch)) * torch.from_numpy(wanted)).sum() / keep.sum()
    loss.backward()

    def of_ours(params: dict[str, Any], batch: TokenBatch) -> jax.Array:
        hidden = encode_tokens(config, params, batch, compute=Compute(remat="full"))[0]
        return (jnp.tanh(hidden) * wanted).sum() / keep.sum()

    gradients = params_to_torch(config, jax.jit(jax.grad(of_ours))(params_from_torch(config, arrays), batch))
    theirs = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    fixed = {name for name, _ in model.named_buffers()} & set(gradients)  # no weights to be trained
    assert set(theirs) == set(gradients) - fixed
    assert not any(np.any(gradients[name]) for name in fixed)
    largest = max(float(gradient.abs().max()) for gradient in theirs.values())
    for name, gradient in theirs.items():
        # a bias of keys moves no score against another: its gradient is nothing but rounding
        scale = max(float(gradient.abs().max()), 1e-2 * largest)
        difference = np.abs(gradients[name] - gradient.numpy()).max() / scale
        assert difference <= 1e-4, (name, difference)  # float32 on both sides, sums in another order
