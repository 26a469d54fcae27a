"""Hugging Face's Flax weights, written here with random values, come back bit for bit as PyTorch arrays."""

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
from instructor_jax.convert.from_flax import read, recognises
from instructor_jax.convert.msgpack_tree import flatten, read_msgpack

T5 = EncoderConfig(vocab=20, embed=12, layers=2, heads=2, head_dim=4, ffn=10, relative_buckets=8)
Arrays = dict[str, np.ndarray]


def random_flax(gated: bool = False, per_layer: bool = False, dtype: Any = np.float32) -> Arrays:
    """FlaxT5EncoderModel's names and axes: kernels [in, out], tables [rows, columns]."""
    shapes: dict[str, tuple[int, ...]] = {"shared/embedding": (20, 12), "encoder/final_layer_norm/weight": (12,)}
    for block in (f"encoder/block/{layer}/layer" for layer in range(2)):
        shapes |= {f"{block}/0/SelfAttention/{kernel}/kernel": (12, 8) for kernel in "qkv"}
        shapes |= {f"{block}/{part}/layer_norm/weight": (12,) for part in (0, 1)}
        shapes |= {
            f"{block}/1/DenseReluDense/{kernel}/kernel": (12, 10) for kernel in (("wi_0", "wi_1") if gated else ("wi",))
        }
        shapes |= {f"{block}/0/SelfAttention/o/kernel": (8, 12), f"{block}/1/DenseReluDense/wo/kernel": (10, 12)}
        if per_layer or block.startswith("encoder/block/0"):
            shapes[f"{block}/0/SelfAttention/relative_attention_bias/embedding"] = (8, 2)
    random = np.random.default_rng(3)
    return {name: random.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}


def as_torch(arrays: Arrays) -> Arrays:
    tensors = {}
    for name, array in arrays.items():
        for ending in ("kernel", "embedding", "weight"):
            if name.endswith(f"/{ending}"):
                torch_name = name.removesuffix(ending).replace("/", ".") + "weight"
                tensors[torch_name] = array.T if ending == "kernel" else array
    return tensors


def write(path: Path, arrays: Arrays) -> Path:
    path.write_bytes(serialization.msgpack_serialize(unflatten_dict(arrays, sep="/")))
    return path.parent


def assert_same(read_arrays: Arrays, expected: Arrays) -> None:
    assert set(read_arrays) == set(expected)
    for name, array in expected.items():
        assert read_arrays[name].dtype == array.dtype, name
        np.testing.assert_array_equal(read_arrays[name], array, err_msg=name)


DECODER = {
    "decoder/block/0/layer/1/EncDecAttention/q/kernel": np.ones((12, 8), np.float32),
    "decoder/final_layer_norm/weight": np.ones(12, np.float32),
    "lm_head/kernel": np.ones((12, 20), np.float32),
}


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.float16])
@pytest.mark.parametrize(("gated", "per_layer"), [(False, False), (True, False), (True, True)])
def test_whole_file(tmp_path: Path, gated: bool, per_layer: bool, dtype: Any) -> None:
    arrays = random_flax(gated, per_layer, dtype)
    assert not recognises(tmp_path)
    write(tmp_path / "flax_model.msgpack", arrays)
    assert recognises(tmp_path)
    config, tensors = read(tmp_path)
    assert_same(tensors, as_torch(arrays))
    assert (config.embed, config.layers, config.heads, config.head_dim, config.ffn) == (12, 2, 2, 4, 10)
    assert (config.gated, config.shared_relative_bias) == (gated, not per_layer)


def test_the_config_beside_it_decides(tmp_path: Path) -> None:
    write(tmp_path / "flax_model.msgpack", random_flax())
    (tmp_path / "config.json").write_text(json.dumps(write_config(T5) | {"layer_norm_epsilon": 1e-5}))
    assert read(tmp_path)[0].norm_epsilon == 1e-5
    (tmp_path / "config.json").write_text(json.dumps(write_config(T5) | {"num_layers": 3}))
    with pytest.raises(ValueError, match=r"lacks encoder\.block\.2\."):
        read(tmp_path)


def test_the_decoder_is_left_out_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    arrays = random_flax()
    write(tmp_path / "flax_model.msgpack", arrays | DECODER)
    with caplog.at_level(logging.INFO):
        assert_same(read(tmp_path)[1], as_torch(arrays))
    assert "left out 3 arrays" in caplog.text


def test_a_tree_below_params(tmp_path: Path) -> None:
    arrays = random_flax()
    write(tmp_path / "flax_model.msgpack", {f"params/{name}": array for name, array in arrays.items()})
    assert_same(read(tmp_path)[1], as_torch(arrays))


def write_shards(folder: Path, arrays: Arrays, weight_map: dict[str, str] | None = None) -> None:
    names = sorted(arrays)
    files = ["flax_model-00001-of-00002.msgpack", "flax_model-00002-of-00002.msgpack"]
    for file, shard in zip(files, (names[:5], names[5:]), strict=True):
        write(folder / file, {name: arrays[name] for name in shard})
    listed = {name: files[position >= 5] for position, name in enumerate(names)}
    index = {"metadata": {}, "weight_map": listed if weight_map is None else listed | weight_map}
    (folder / "flax_model.msgpack.index.json").write_text(json.dumps(index))


def test_shards(tmp_path: Path) -> None:
    arrays = random_flax() | DECODER
    write_shards(tmp_path, arrays)
    assert recognises(tmp_path)
    assert_same(read(tmp_path)[1], as_torch(random_flax()))
    write(tmp_path / "flax_model.msgpack", arrays)
    with pytest.raises(ValueError, match=r"both flax_model.msgpack and flax_model.msgpack.index.json"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"shared/embedding": "flax_model-00001-of-00002.msgpack"}, "disagree about shared/embedding"),
        ({"shared/other": "flax_model-00002-of-00002.msgpack"}, "disagree about shared/other"),
        ({"shared/embedding": "absent.msgpack"}, r"shard absent\.msgpack, which is missing|disagree about shared"),
        ({"shared/embedding": "../flax_model.msgpack"}, "missing beside it"),
    ],
)
def test_an_index_that_disagrees_is_refused(tmp_path: Path, weight_map: dict[str, str], message: str) -> None:
    write_shards(tmp_path, random_flax(), weight_map)
    with pytest.raises(ValueError, match=message):
        read(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder/block/0/layer/0/SelfAttention/q/bias": np.ones(8)}, "SelfAttention/q/bias in .* is no part of a T5"),
        ({"encoder/block/0/layer/0/SelfAttention/q/embedding": np.ones((12, 8))}, "q/embedding in .* is no part"),
        ({"encoder/block/00/layer/0/SelfAttention/q/kernel": np.ones((12, 8))}, "block/00/.* is no part"),
        ({"batch_stats": np.ones(8)}, "batch_stats in .* is no part"),
        ({"shared/embedding": np.ones((20, 11))}, "fits the other weights"),
        ({"shared/embedding": np.ones((20, 12), int)}, "shared/embedding has dtype int64"),
        ({"shared/embedding": 3}, "shared/embedding in .* is a int"),
        ({"encoder/block/1/layer/0/SelfAttention/q/kernel": np.ones((8, 12))}, r"q/kernel .* has shape \(12, 8\)"),
    ],
)
def test_unknown_and_misshapen_arrays_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    write(tmp_path / "flax_model.msgpack", random_flax() | change)
    with pytest.raises(ValueError, match=message):
        read(tmp_path)


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    arrays = random_flax()
    del arrays["encoder/block/1/layer/1/DenseReluDense/wo/kernel"]
    write(tmp_path / "flax_model.msgpack", arrays)
    with pytest.raises(ValueError, match=r"lacks encoder\.block\.1\.layer\.1\.DenseReluDense\.wo\.weight"):
        read(tmp_path)
    with pytest.raises(ValueError, match="holds no Flax weights"):
        read(tmp_path / "absent")


@pytest.mark.slow
def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "flax_model.msgpack", random_flax()) / "flax_model.msgpack"
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"flax_model\.msgpack is not a whole Flax msgpack file"):
            read(tmp_path)
    for position in range(0, len(whole), 41):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:  # the format has no checksum: a changed weight is a weight, but nothing else may come out
            assert set(read(tmp_path)[1]) == set(as_torch(random_flax()))
        except ValueError as error:
            assert str(tmp_path) in str(error)  # noqa: PT017


def test_msgpack_trees(tmp_path: Path) -> None:
    path = tmp_path / "tree"
    path.write_bytes(serialization.msgpack_serialize({"a": {"b": np.arange(3), "empty": {}}, "c": None}))
    leaves = flatten(read_msgpack(path))
    assert set(leaves) == {"a/b", "c"}
    np.testing.assert_array_equal(leaves["a/b"], np.arange(3))
    for content in ([1, 2], "text", None):
        path.write_bytes(serialization.msgpack_serialize(content))
        with pytest.raises(ValueError, match="not a tree of named arrays"):
            read_msgpack(path)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ValueError, match="git lfs pull"):
        read_msgpack(path)
    for tree in ({"a/b": 1}, {1: 2}):
        with pytest.raises(ValueError, match="cannot be a part of an array's name"):
            flatten(tree)
