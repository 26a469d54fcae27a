"""T5X's names and axes: random weights written under them come back bit for bit as PyTorch arrays.

That the two orientations really mean the same network is shown by the last test: a T5 encoder written out in NumPy with
T5X's axes gives what PyTorch gives with the converted weights.
"""

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from flax import serialization
from flax.traverse_util import unflatten_dict

from instructor_jax.backbones.t5.config_file import write_config
from instructor_jax.config import EncoderConfig
from instructor_jax.convert.from_t5x import read, recognises

T5 = EncoderConfig(vocab=20, embed=12, layers=3, heads=2, head_dim=4, ffn=10, relative_buckets=8)  # 8 of 12 columns
T5_WIDE = dataclasses.replace(T5, heads=5)  # 20 of 12 columns
T5_GATED = dataclasses.replace(T5, gated=True, activation="gelu_new")
UMT5 = dataclasses.replace(T5_GATED, shared_relative_bias=False, model_type="umt5")

Arrays = dict[str, np.ndarray]


# --- The same random weights under both names ----------------------------------------------------------------------


def random_model(config: EncoderConfig, dtype: Any = np.float32, projection: int | None = None) -> Arrays:
    """PyTorch-named weights, kernels [out, in]."""
    random = np.random.default_rng(7)
    joined = config.heads * config.head_dim
    shapes: dict[str, tuple[int, ...]] = {
        "shared.weight": (config.vocab, config.embed),
        "encoder.final_layer_norm.weight": (config.embed,),
    }
    for layer in range(config.layers):
        block = f"encoder.block.{layer}.layer"
        shapes |= {f"{block}.0.SelfAttention.{kernel}.weight": (joined, config.embed) for kernel in "qkv"}
        shapes[f"{block}.0.SelfAttention.o.weight"] = (config.embed, joined)
        shapes |= {f"{block}.{part}.layer_norm.weight": (config.embed,) for part in (0, 1)}
        for kernel in ("wi_0", "wi_1") if config.gated else ("wi",):
            shapes[f"{block}.1.DenseReluDense.{kernel}.weight"] = (config.ffn, config.embed)
        shapes[f"{block}.1.DenseReluDense.wo.weight"] = (config.embed, config.ffn)
        if layer == 0 or not config.shared_relative_bias:
            bias = (config.relative_buckets, config.heads)
            shapes[f"{block}.0.SelfAttention.relative_attention_bias.weight"] = bias
    if projection:
        shapes["projection.weight"] = (projection, config.embed)
    return {
        name: (random.standard_normal(shape) * 0.4 + (len(shape) == 1)).astype(dtype) for name, shape in shapes.items()
    }


def as_t5x(config: EncoderConfig, model: Arrays, split_heads: bool = False, scanned: bool = False) -> Arrays:
    """The same weights by T5X names, kernels [in, out]."""
    heads = (config.heads, config.head_dim)
    layers: list[Arrays] = []
    for layer in range(config.layers):
        prefix = f"encoder.block.{layer}.layer"
        attention = {torch: model[f"{prefix}.0.SelfAttention.{torch}.weight"].T for torch in ("q", "k", "v", "o")}
        if split_heads:
            attention = {
                torch: kernel.reshape(*heads, -1) if torch == "o" else kernel.reshape(-1, *heads)
                for torch, kernel in attention.items()
            }
        names = {"query": "q", "key": "k", "value": "v", "out": "o"}
        arrays = {f"attention/{t5x}/kernel": attention[torch] for t5x, torch in names.items()}
        arrays["pre_attention_layer_norm/scale"] = model[f"{prefix}.0.layer_norm.weight"]
        arrays["pre_mlp_layer_norm/scale"] = model[f"{prefix}.1.layer_norm.weight"]
        for kernel in ("wi_0", "wi_1", "wo") if config.gated else ("wi", "wo"):
            arrays[f"mlp/{kernel}/kernel"] = model[f"{prefix}.1.DenseReluDense.{kernel}.weight"].T
        if not config.shared_relative_bias:
            bias = model[f"{prefix}.0.SelfAttention.relative_attention_bias.weight"]
            arrays["relpos_bias/rel_embedding"] = bias.T
        layers.append(arrays)
    t5x = {
        "token_embedder/embedding": model["shared.weight"],
        "encoder/encoder_norm/scale": model["encoder.final_layer_norm.weight"],
    }
    if config.shared_relative_bias:
        bias = model["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
        t5x["encoder/relpos_bias/rel_embedding"] = bias.T
    if scanned:
        t5x |= {f"encoder/encoder/{name}": np.stack([one[name] for one in layers], axis=1) for name in layers[0]}
    else:
        t5x |= {f"encoder/layers_{i}/{name}": array for i, one in enumerate(layers) for name, array in one.items()}
    if "projection.weight" in model:
        t5x["projection_layer/kernel"] = model["projection.weight"].T
    return {name: np.ascontiguousarray(array) for name, array in t5x.items()}


def with_decoder(arrays: Arrays) -> Arrays:
    random = np.random.default_rng(1)
    names = ("layers_0/self_attention/query/kernel", "layers_0/encoder_decoder_attention/out/kernel")
    decoder = {f"decoder/{name}": random.standard_normal((12, 8)).astype(np.float32) for name in names}
    return arrays | decoder | {"decoder/decoder_norm/scale": np.ones(12, np.float32)}


def write(folder: Path, arrays: Arrays) -> Path:
    """A T5X index with all arrays in it; the other places to keep them have their own tests."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = {"version": 3, "optimizer": {"target": unflatten_dict(arrays, sep="/"), "state": {"step": 7}}}
    (folder / "checkpoint").write_bytes(serialization.msgpack_serialize(tree))
    return folder


def assert_same(read_arrays: Arrays, expected: Arrays) -> None:
    assert set(read_arrays) == set(expected)
    for name, array in expected.items():
        assert read_arrays[name].dtype == array.dtype, name
        assert read_arrays[name].flags.c_contiguous, name
        np.testing.assert_array_equal(read_arrays[name], array, err_msg=name)


# --- Reading back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("projection", [None, 6])
@pytest.mark.parametrize("config", [T5, T5_WIDE, T5_GATED, UMT5])
def test_every_variant(tmp_path: Path, config: EncoderConfig, projection: int | None) -> None:
    model = random_model(config, projection=projection)
    write(tmp_path / "checkpoint_7", as_t5x(config, model))
    for folder in (tmp_path / "checkpoint_7", tmp_path):
        assert recognises(folder)
        found, tensors = read(folder)
        assert found == config
        assert_same(tensors, model)


@pytest.mark.parametrize("split_heads", [False, True])
@pytest.mark.parametrize("scanned", [False, True])
@pytest.mark.parametrize("config", [T5, UMT5])
def test_kernels_with_a_heads_axis_and_scanned_layers(
    tmp_path: Path, config: EncoderConfig, split_heads: bool, scanned: bool
) -> None:
    model = random_model(config)
    found, tensors = read(write(tmp_path / "a", as_t5x(config, model, split_heads, scanned)))
    assert found == config
    assert_same(tensors, model)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.float64])
def test_the_dtype_on_disk_stays(tmp_path: Path, dtype: Any) -> None:
    model = random_model(T5, dtype)
    assert_same(read(write(tmp_path / "a", as_t5x(T5, model)))[1], model)


def test_an_orbax_run(tmp_path: Path) -> None:
    import orbax.checkpoint as ocp

    model = random_model(T5, projection=6)
    tree = {"target": unflatten_dict(with_decoder(as_t5x(T5, model)), sep="/"), "state": {"step": np.int32(3)}}
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "checkpoint_3" / "state", tree)
    assert recognises(tmp_path)
    found, tensors = read(tmp_path)
    assert found == T5
    assert_same(tensors, model)


def test_the_decoder_is_left_out_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = random_model(T5)
    folder = write(tmp_path / "a", with_decoder(as_t5x(T5, model)))
    with caplog.at_level(logging.INFO):
        assert_same(read(folder)[1], model)
    assert "left out 3 decoder arrays" in caplog.text


def test_an_encoder_may_own_its_embedding(tmp_path: Path) -> None:
    arrays = as_t5x(T5, model := random_model(T5))
    arrays["encoder/token_embedder/embedding"] = arrays.pop("token_embedder/embedding")
    assert_same(read(write(tmp_path / "a", arrays))[1], model)
    arrays["token_embedder/embedding"] = arrays["encoder/token_embedder/embedding"]
    with pytest.raises(ValueError, match=r"token_embedder/embedding .* are both shared.weight"):
        read(write(tmp_path / "b", arrays))


def test_a_config_beside_the_checkpoint_decides(tmp_path: Path) -> None:
    model = random_model(T5_GATED)
    folder = write(tmp_path / "a", as_t5x(T5_GATED, model))
    config = dataclasses.replace(T5_GATED, activation="silu", norm_epsilon=1e-5, model_type="mt5", dropout=0.0)
    (folder / "config.json").write_text(json.dumps(write_config(config)))
    assert read(folder)[0] == config
    (folder / "config.json").write_text(json.dumps(write_config(dataclasses.replace(config, ffn=11))))
    with pytest.raises(ValueError, match=r"mlp/wi_0/kernel .* has shape \(10, 12\), but \(11, 12\)"):
        read(folder)


# --- What is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder/layers_1/mlp/gate/kernel": np.ones((2, 2))}, "encoder/layers_1/mlp/gate/kernel, which no known"),
        ({"encoder/layers_01/mlp/wo/kernel": np.ones((10, 12))}, "encoder/layers_01/mlp/wo/kernel, which no known"),
        ({"encoder/side_relpos_bias/rel_embedding": np.ones((2, 8))}, "side_relpos_bias/rel_embedding, which no known"),
        ({"left_encoder/encoder_norm/scale": np.ones(12)}, "left_encoder/encoder_norm/scale, which no known"),
        ({"encoder/layers_1/attention/key/kernel": None}, "lacks encoder.block.1.layer.0.SelfAttention.k.weight"),
        ({"encoder/encoder_norm/scale": None}, "lacks encoder.final_layer_norm.weight"),
        ({"encoder/relpos_bias/rel_embedding": None}, "lacks .*relative_attention_bias.weight, from whose shape"),
        ({"token_embedder/embedding": None}, "lacks shared.weight"),
        ({"encoder/layers_1/mlp/wo/kernel": np.ones((9, 12))}, r"layers_1/mlp/wo/kernel .* has shape \(12, 9\)"),
        ({"encoder/layers_1/mlp/wo/kernel": np.ones((10, 12, 1))}, r"has shape \(10, 12, 1\), where 2 axes belong"),
        ({"encoder/layers_1/attention/out/kernel": np.ones(96)}, "where 2 or 3 axes belong"),
        ({"encoder/relpos_bias/rel_embedding": np.ones((3, 8))}, "which 3 heads cannot share equally"),
        ({"encoder/layers_1/mlp/wi_0/kernel": np.ones((12, 10))}, "layers_1/mlp/wi_0/kernel, which the rest leaves no"),
        ({"encoder/layers_5/pre_mlp_layer_norm/scale": np.ones(12)}, "4 layers, but none of layer 3"),
        ({"encoder/layers_9999/pre_mlp_layer_norm/scale": np.ones(12)}, "4 layers, but none of layer 3"),
        ({"encoder/layers_1/relpos_bias/rel_embedding": np.ones((2, 8))}, "lacks .*block.2.*relative_attention_bias"),
        ({"encoder/layers_0/relpos_bias/rel_embedding": np.ones((2, 8))}, "are both encoder.block.0.*bias"),
        ({"encoder/encoder_norm/scale": np.ones(12, np.int32)}, "encoder_norm/scale has dtype int32"),
        ({"projection_layer/kernel": np.ones((11, 6))}, r"projection_layer/kernel .* has shape \(6, 11\)"),
        ({"projection_layer/bias": np.ones(6)}, "projection_layer/bias, which no known"),
    ],
)
def test_unknown_missing_and_misshapen_arrays_are_named(
    tmp_path: Path, change: dict[str, np.ndarray | None], message: str
) -> None:
    arrays = as_t5x(T5, random_model(T5)) | {name: array for name, array in change.items() if array is not None}
    arrays = {name: array for name, array in arrays.items() if name not in change or change[name] is not None}
    with pytest.raises(ValueError, match=message):
        read(write(tmp_path / "a", arrays))


def test_other_folders_are_not_recognised(tmp_path: Path) -> None:
    assert not recognises(tmp_path)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-1000000"\n')  # TensorFlow's
    assert not recognises(tmp_path)
    with pytest.raises(ValueError, match="is no T5X checkpoint"):
        read(tmp_path)


def test_a_damaged_index_is_told_as_damaged(tmp_path: Path) -> None:
    """A folder with an index is a checkpoint, whatever is wrong with it: not a folder without weights."""
    other = write(tmp_path / "other", {"encoder/layers/kernel": np.ones(3)})
    assert recognises(other)
    with pytest.raises(ValueError, match=r"holds encoder/layers/kernel, which no known T5 encoder has"):
        read(other)
    (other / "checkpoint").write_bytes(b"\xc1")
    assert recognises(other)
    with pytest.raises(ValueError, match=r"other/checkpoint is not a whole Flax msgpack file"):
        read(other)


def test_several_steps_are_a_question(tmp_path: Path) -> None:
    arrays = as_t5x(T5, random_model(T5))
    write(tmp_path / "checkpoint_10", arrays)
    write(tmp_path / "checkpoint_9", arrays)
    assert recognises(tmp_path)
    with pytest.raises(ValueError, match=r"holds the checkpoints checkpoint_10, checkpoint_9; name the folder of one"):
        read(tmp_path)


# --- The two orientations mean the same network --------------------------------------------------------------------


def t5x_encoder(config: EncoderConfig, arrays: Arrays, tokens: np.ndarray, buckets: np.ndarray) -> np.ndarray:
    """A T5 encoder on T5X's own arrays: kernels [embed, heads, head_dim], bias tables [heads, buckets].

    Args:
        config: its shape.
        arrays: by T5X names, heads as an axis of their own.
        tokens: ids, [len].
        buckets: of each query and key position, [len, len].
    """

    def norm(hidden: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return hidden / np.sqrt((hidden**2).mean(-1, keepdims=True) + config.norm_epsilon) * scale

    def gelu(x: np.ndarray) -> np.ndarray:
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    hidden = arrays["token_embedder/embedding"][tokens]
    for layer in range(config.layers):
        one = {name.removeprefix(f"encoder/layers_{layer}/"): array for name, array in arrays.items()}
        table = one.get("relpos_bias/rel_embedding", arrays.get("encoder/relpos_bias/rel_embedding"))
        assert table is not None
        normed = norm(hidden, one["pre_attention_layer_norm/scale"])
        query, key, value = (
            np.einsum("le,ehd->lhd", normed, one[f"attention/{part}/kernel"]) for part in ("query", "key", "value")
        )
        scores = np.einsum("qhd,khd->hqk", query, key) + table[:, buckets]
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        hidden = hidden + np.einsum("hqk,khd,hde->qe", weights, value, one["attention/out/kernel"])
        normed = norm(hidden, one["pre_mlp_layer_norm/scale"])
        if config.gated:
            inner = gelu(normed @ one["mlp/wi_0/kernel"]) * (normed @ one["mlp/wi_1/kernel"])
        else:
            inner = np.maximum(normed @ one["mlp/wi/kernel"], 0)
        hidden = hidden + inner @ one["mlp/wo/kernel"]
    return norm(hidden, arrays["encoder/encoder_norm/scale"])


@pytest.mark.torch
@pytest.mark.parametrize("config", [T5_WIDE, UMT5])
def test_pytorch_computes_the_same_with_the_converted_weights(tmp_path: Path, config: EncoderConfig) -> None:
    torch = pytest.importorskip("torch")
    import transformers
    from transformers.models.t5.modeling_t5 import T5Attention

    model = random_model(config, np.float64)
    tensors = read(write(tmp_path / "a", as_t5x(config, model, split_heads=True)))[1]
    classes: dict[str, tuple[Any, Any]] = {
        "t5": (transformers.T5Config, transformers.T5EncoderModel),
        "umt5": (transformers.UMT5Config, transformers.UMT5EncoderModel),
    }
    configuration, encoder = classes[config.model_type]
    settings = {key: value for key, value in write_config(config).items() if key != "model_type"}
    network = encoder(configuration(**settings)).double().eval()
    state = {name: torch.from_numpy(array.copy()) for name, array in tensors.items()}
    network.load_state_dict(state | {"encoder.embed_tokens.weight": state["shared.weight"]})

    tokens = np.random.default_rng(2).integers(0, config.vocab, 17)
    distance = torch.arange(17)[None, :] - torch.arange(17)[:, None]
    buckets = T5Attention._relative_position_bucket(
        distance, True, config.relative_buckets, config.relative_max_distance
    ).numpy()
    expected = t5x_encoder(config, as_t5x(config, model, split_heads=True), tokens, buckets)
    with torch.no_grad():
        hidden = network(torch.from_numpy(tokens)[None]).last_hidden_state[0].numpy()
    # PyTorch's norm and softmax pass through float32 even in a float64 model: 1.4e-6 was seen, of values up to 2.7.
    np.testing.assert_allclose(hidden, expected, rtol=0, atol=1e-5)
