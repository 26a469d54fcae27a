"""Headers of safetensors files and indexes of shards: hostile, damaged and odd ones, each with one clear error."""

import json
import struct
import time
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from instructor_jax.io.bounds import INDEX_BYTES, SHARDS
from instructor_jax.io.weights.names import check_params, params_from_torch
from instructor_jax.io.weights.safetensors_files import read_safetensors
from instructor_jax.io.weights.tensor_files import read_tensors

from ..small_models import SMALL, random_arrays, random_params

ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def write(path: Path, header: Any, data: bytes = bytes(4)) -> Path:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(content)) + content + data)
    return path


HEADERS: dict[str, Any] = {
    "a size below zero": {"a": {**ONE, "shape": [-1]}},
    "an offset below zero": {"a": {**ONE, "data_offsets": [-4, 0]}},
    "offsets turned round": {"a": {**ONE, "data_offsets": [4, 0]}},
    "offsets beyond the file": {"a": {**ONE, "data_offsets": [0, 2**40]}},
    "offsets of 64 bits": {"a": {**ONE, "data_offsets": [2**64 - 4, 2**64]}},
    "one offset": {"a": {**ONE, "data_offsets": [0]}},
    "three offsets": {"a": {**ONE, "data_offsets": [0, 2, 4]}},
    "a fraction": {"a": {**ONE, "shape": [1.5]}},
    "a size as text": {"a": {**ONE, "shape": ["1"]}},
    "a size of true": {"a": {**ONE, "shape": [True]}},
    "no shape": {"a": {"dtype": "F32", "data_offsets": [0, 4]}},
    "no dtype": {"a": {"shape": [1], "data_offsets": [0, 4]}},
    "a dtype as number": {"a": {**ONE, "dtype": 32}},
    "a dtype in small letters": {"a": {**ONE, "dtype": "f32"}},
    "a shape whose product overflows": {"a": {**ONE, "shape": [2**32, 2**32]}},
    "a shape whose product overflows to four bytes": {"a": {**ONE, "shape": [2**63, 2, 1]}},
    "a shape that is too large": {"a": {**ONE, "shape": [2]}},
    "no elements along a huge axis": {"a": {"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]}},
    "no elements along an axis of 64 bits": {"a": {"dtype": "F32", "shape": [2**64 - 1, 0], "data_offsets": [0, 0]}},
    "a hundred thousand axes": {"a": {**ONE, "shape": [1] * 100_000}},
    "thirty-three axes": {"a": {**ONE, "shape": [1] * 33}},
    "two tensors at one place": {"a": ONE, "b": ONE},
    "a gap": {"a": ONE, "b": {**ONE, "data_offsets": [8, 12]}},
    "nothing in it": {"a": {}},
    "a list": [ONE],
    "a number": 3,
    "null": None,
    "metadata that is no text": {"__metadata__": {"a": 1}, "a": ONE},
    "metadata that is a list": {"__metadata__": [], "a": ONE},
    "a key twice": b'{"a":' + json.dumps(ONE).encode() + b',"a":' + json.dumps(ONE).encode() + b"}",
    "a key twice inside": b'{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
    "a key more": {"a": {**ONE, "stride": [1], "more": {"x": [[[[[[[[]]]]]]]]}}, "b": 3},
    "depth": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "not a number": b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}',
    "not UTF-8": b'{"\xff":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
    "half a surrogate pair": b'{"\\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
    "cut": b'{"a":{"dtype":"F32"',
    "empty": b"",
    "zeros": bytes(64),
    "an eighth of float": {"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}},
    "complex": {"a": {"dtype": "C64", "shape": [], "data_offsets": [0, 8]}},
    "unsigned of 32 bits": {"a": {"dtype": "U32", "shape": [1], "data_offsets": [0, 4]}},
}  # fmt: skip


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_header_that_is_wrong_is_one_clear_error(tmp_path: Path, header: Any) -> None:
    path = write(tmp_path / "a.safetensors", header)
    with pytest.raises(ValueError, match=r"a\.safetensors is not a safetensors file that can be read: ") as caught:
        read_safetensors(path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**63, 2**64 - 1, INDEX_BYTES + 1])
def test_a_length_that_the_file_does_not_have_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", length) + json.dumps({"a": ONE}).encode() + bytes(4))
    with pytest.raises(ValueError, match=r"a\.safetensors is not a safetensors file"):
        read_safetensors(path)


def test_a_header_longer_than_any_models_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 99_000_000))
        file.truncate(99_000_100)
    before = time.process_time()
    with pytest.raises(ValueError, match="its header has 99,000,000 bytes, more than the 8,388,608"):
        read_safetensors(path)
    assert time.process_time() - before < 1


@pytest.mark.parametrize("name", ["\x1b]0;owned\x07", "\u202egnp.exe", "a\nb", "x" * 5000, "\x9b2J", ""])
def test_names_reach_no_terminal_as_they_are(tmp_path: Path, name: str) -> None:
    save_file({name: np.zeros(1, np.float32)} | random_arrays(SMALL), tmp_path / "a.safetensors")
    arrays = read_safetensors(tmp_path / "a.safetensors")
    assert name in arrays
    with pytest.raises(ValueError, match=r"1 unknown \(") as caught:
        params_from_torch(SMALL, arrays)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


# --- Weights that are no floating point -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "bool"])
@pytest.mark.parametrize("name", ["shared.weight", "projection.weight", "encoder.block.1.layer.0.layer_norm.weight"])
def test_integers_are_no_weights(dtype: str, name: str) -> None:
    arrays = random_arrays(SMALL)
    with pytest.raises(ValueError, match=rf"{name} has dtype {dtype}; weights must be float16, bfloat16, float32 or "):
        params_from_torch(SMALL, arrays | {name: arrays[name].astype(dtype)})


@pytest.mark.parametrize("dtype", ["complex64", "complex128", ml_dtypes.float8_e4m3fn, ml_dtypes.int4])
def test_neither_are_other_kinds(dtype: Any) -> None:
    arrays = random_arrays(SMALL)
    with pytest.raises(ValueError, match=r"shared.weight has dtype .*; weights must be float16"):
        params_from_torch(SMALL, arrays | {"shared.weight": arrays["shared.weight"].astype(dtype)})


def test_our_own_parameters_are_judged_alike() -> None:
    params = random_params(SMALL)
    params["projection"] = params["projection"].astype(np.int32)
    with pytest.raises(ValueError, match="parameter projection has dtype int32; weights must be"):
        check_params(SMALL, params)
    with pytest.raises(ValueError, match="parameter projection has shape"):
        check_params(SMALL, {**params, "projection": None})


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_not_a_number_in_both_copies_of_the_embedding_is_no_difference(dtype: Any) -> None:
    arrays = random_arrays(SMALL, dtype)
    arrays["shared.weight"][3, 4] = np.nan
    arrays["encoder.embed_tokens.weight"] = arrays["shared.weight"].copy()
    assert np.isnan(params_from_torch(SMALL, arrays)["encoder"]["embed"]["embedding"][3, 4])


# --- Indexes of shards ----------------------------------------------------------------------------------------------

ODD_SHARDS = ["../model.safetensors", "/etc/passwd.safetensors", "a/b.safetensors", "..", ".", "", "a\\b.safetensors",
              "a\0.safetensors", "x" * 5000 + ".safetensors", "model.bin", None, 3, ["a.safetensors"], {"a": 1},
              "./model.safetensors", "model.safetensors/"]  # fmt: skip


@pytest.mark.parametrize("shard", ODD_SHARDS)
def test_a_shard_is_a_file_beside_the_index(tmp_path: Path, shard: Any) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    save_file({"a": np.zeros(1)}, tmp_path / "model.safetensors")
    save_file({"a": np.zeros(1)}, folder / "b.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(ValueError, match=r"places 'a' in .*, which is not a \.safetensors file beside it") as caught:
        read_tensors(folder)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"3", b"null", b"{}", b'{"weight_map": null}', b'{"weight_map": []}', b'{"weight_map": {}}',
     b"\xff\xfe",
     b'{"weight_map": ' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"weight_map": NaN}', b"{" + b" " * INDEX_BYTES + b"}"],
)  # fmt: skip
def test_an_index_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors.index.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors\.index\.json"):
        read_tensors(tmp_path)


def test_thousands_of_shards_are_refused_before_one_is_opened(tmp_path: Path) -> None:
    weight_map = {str(number): f"{number}.safetensors" for number in range(SHARDS + 1)}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(ValueError, match=r"lists 513 files; at most 512 are opened"):
        read_tensors(tmp_path)


@pytest.mark.parametrize(
    "name", ["modèle.safetensors", "模型.safetensors", "a b.safetensors", "-a.safetensors", "é\u0301.safetensors"]
)
def test_odd_names_of_shards_are_read(tmp_path: Path, name: str) -> None:
    save_file({"a": np.arange(3.0)}, tmp_path / name)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    assert read_tensors(tmp_path)["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "name",
    ["model.fp16.safetensors", "diffusion_pytorch_model.safetensors", "consolidated.00.pth", "model-q4.gguf",
     "model.onnx",
     "tf_model.h5", "rust_model.ot", "pytorch_model.fp16.bin"],
)  # fmt: skip
def test_weights_of_another_name_are_not_taken_but_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(ValueError, match=rf"holds no PyTorch weights; looked for .*\(it has {name}, which"):
        read_tensors(tmp_path)


def test_safetensors_win_over_bin_as_in_transformers(tmp_path: Path) -> None:
    save_file({"a": np.arange(3.0)}, tmp_path / "model.safetensors")
    (tmp_path / "pytorch_model.bin").write_bytes(b"never opened")
    (tmp_path / "model.fp16.safetensors").write_bytes(b"never opened")
    assert read_tensors(tmp_path)["a"].tolist() == [0, 1, 2]
