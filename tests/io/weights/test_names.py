"""The name table without PyTorch: there and back bit for bit in every dtype, and what each turn does to the axes."""

import dataclasses

import ml_dtypes
import numpy as np
import pytest

from instructor_jax.config import ModelConfig
from instructor_jax.io.weights.names import PROJECTION, check_params, params_from_torch, params_to_torch, torch_shapes

from ...small_models import ENCODER, SMALL, UMT5, assert_identical, random_arrays, random_params

GATED = ModelConfig(dataclasses.replace(ENCODER, gated=True, activation="gelu_new", heads=3), projection=None)
CONFIGS = {"small": SMALL, "gated, wide heads": GATED, "umt5": UMT5}


def any_bits(config: ModelConfig, dtype: type) -> dict[str, np.ndarray]:
    """Arrays of arbitrary bit patterns: infinities, NaN with payloads, denormals and minus zero among them."""
    random = np.random.default_rng(5)
    size = np.dtype(dtype).itemsize
    return {
        name: np.frombuffer(random.bytes(int(np.prod(shape)) * size), dtype).reshape(shape)
        for name, shape in torch_shapes(config).items()
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.float64])
@pytest.mark.parametrize("name", CONFIGS)
def test_there_and_back_keeps_every_bit(name: str, dtype: type) -> None:
    config, arrays = CONFIGS[name], any_bits(CONFIGS[name], dtype)
    params = params_from_torch(config, arrays)
    back = params_to_torch(config, params)
    assert_identical(back, arrays)
    assert all(value.flags.c_contiguous for value in back.values())
    assert_identical(params_from_torch(config, back), params)


def test_what_becomes_of_the_axes() -> None:
    """[out, in] -> [in, out]; heads are the slow part of PyTorch's joined axis; layers come first."""
    config, arrays = SMALL, random_arrays(SMALL)
    params, head_dim = params_from_torch(config, arrays), SMALL.encoder.head_dim
    attention = "encoder.block.1.layer.0.SelfAttention"
    for ours, theirs in (("query", "q"), ("key", "k"), ("value", "v")):
        value = params["encoder"]["layers"]["attention"][ours]
        assert value.shape == (2, 16, 2, 8)
        assert value[1, 3, 1, 5] == arrays[f"{attention}.{theirs}.weight"][1 * head_dim + 5, 3]
    out = params["encoder"]["layers"]["attention"]["out"]
    assert out.shape == (2, 2, 8, 16)
    assert out[1, 1, 5, 3] == arrays[f"{attention}.o.weight"][3, 1 * head_dim + 5]
    assert (
        params["encoder"]["layers"]["mlp"]["wi"][1, 3, 20]
        == (arrays["encoder.block.1.layer.1.DenseReluDense.wi.weight"][20, 3])
    )
    assert params["projection"][3, 11] == arrays[PROJECTION][11, 3]
    bias = params["encoder"]["relative_bias"]["embedding"]
    np.testing.assert_array_equal(bias, arrays["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"])


def test_only_umt5_has_a_table_in_every_layer() -> None:
    tables = [name for name in torch_shapes(UMT5) if "relative_attention_bias" in name]
    assert len(tables) == UMT5.encoder.layers
    assert len([name for name in torch_shapes(SMALL) if "relative_attention_bias" in name]) == 1
    assert random_params(UMT5)["encoder"]["layers"]["attention"]["relative_bias"]["embedding"].shape == (3, 32, 2)


def test_the_decoder_alone_is_left_out() -> None:
    arrays = random_arrays(SMALL)
    decoder = {"decoder.block.0.layer.1.EncDecAttention.q.weight": np.zeros(3), "lm_head.weight": np.zeros(3)}
    assert_identical(params_from_torch(SMALL, arrays | decoder), params_from_torch(SMALL, arrays))
    for name in ("decoders.x", "encoder.decoder.x", "lm_head.bias", "model.lm_head.weight"):
        with pytest.raises(ValueError, match=f"unknown.*{name}"):
            params_from_torch(SMALL, arrays | {name: np.zeros(3)})


@pytest.mark.parametrize("name", [PROJECTION, "shared.weight", "encoder.final_layer_norm.weight"])
def test_a_missing_name_is_quoted(name: str) -> None:
    arrays = {key: value for key, value in random_arrays(SMALL).items() if key != name}
    with pytest.raises(ValueError, match=rf"1 missing \({name}\)"):
        params_from_torch(SMALL, arrays)


def test_a_transposed_matrix_is_refused() -> None:
    name = "encoder.block.0.layer.1.DenseReluDense.wo.weight"
    arrays = random_arrays(SMALL)
    with pytest.raises(ValueError, match=rf"{name} has shape \(24, 16\); the configuration says \(16, 24\)"):
        params_from_torch(SMALL, arrays | {name: arrays[name].T})


def test_layers_of_different_dtypes_are_refused() -> None:
    """They share one array; widening some of them in silence would not come back as it was."""
    name = "encoder.block.1.layer.1.DenseReluDense.wo.weight"
    arrays = random_arrays(SMALL, np.float16)
    with pytest.raises(ValueError, match=rf"{name} has dtype float32.*float16"):
        params_from_torch(SMALL, arrays | {name: arrays[name].astype(np.float32)})


def test_our_parameters_are_checked_by_name_and_shape() -> None:
    params = random_params(SMALL)
    check_params(SMALL, params)
    layers = params["encoder"]["layers"]
    with pytest.raises(ValueError, match=r"parameter projection is missing"):
        check_params(SMALL, {"encoder": params["encoder"]})
    with pytest.raises(ValueError, match=r"unknown parameter head.bias"):
        check_params(SMALL, params | {"head": {"bias": np.zeros(3)}})
    wrong = {**params["encoder"], "layers": {**layers, "mlp": {**layers["mlp"], "wo": layers["mlp"]["wo"][:1]}}}
    with pytest.raises(ValueError, match=r"encoder.layers.mlp.wo has shape \(1, 24, 16\); expected is \(2, 24, 16\)"):
        params_to_torch(SMALL, params | {"encoder": wrong})
    with pytest.raises(ValueError, match=r"unknown parameter projection"):
        check_params(dataclasses.replace(SMALL, projection=None), params)
