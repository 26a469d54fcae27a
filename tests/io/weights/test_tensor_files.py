"""Weights of a folder: safetensors against the library that defines the format, shards against one whole file."""

import json
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from instructor_jax.io.weights.safetensors_files import read_safetensors, write_safetensors
from instructor_jax.io.weights.tensor_files import find_weights, read_tensors

DTYPES = (np.float32, np.float16, ml_dtypes.bfloat16, np.float64, np.int64, np.int32, np.int16, np.int8, np.uint8, bool)


def sample() -> dict[str, np.ndarray]:
    """Every dtype, and every memory layout that a weight can come in."""
    random = np.random.default_rng(0)
    tensors = {f"x.{np.dtype(dtype).name}": random.integers(0, 2, (3, 4)).astype(dtype) for dtype in DTYPES}
    matrix = random.standard_normal((4, 6)).astype(np.float32)
    tensors |= {"transposed": matrix.T, "strided": matrix[1:, ::2], "reversed": matrix[::-1], "scalar": np.array(2.5)}
    return tensors | {"empty": np.zeros((0, 4), np.float32), "fortran": np.asfortranarray(matrix)}


def assert_same(read: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert set(read) == set(expected)
    for name, array in expected.items():
        assert read[name].dtype == array.dtype, name
        assert read[name].shape == array.shape, name
        np.testing.assert_array_equal(read[name], array, err_msg=name)


# --- One file ------------------------------------------------------------------------------------------------------


def test_writes_what_the_safetensors_library_reads(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", sample(), {"made_by": "test"})
    assert_same(load_file(tmp_path / "model.safetensors"), sample())
    with safe_open(tmp_path / "model.safetensors", framework="np") as file:
        assert file.metadata() == {"format": "pt", "made_by": "test"}


def test_reads_what_it_wrote_as_read_only_views(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", sample())
    read = read_safetensors(tmp_path / "model.safetensors")
    assert_same(read, sample())
    assert not read["transposed"].flags.writeable
    assert not read["transposed"].flags.owndata


@pytest.mark.torch
def test_pytorch_reads_and_writes_the_same_files(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file as load_torch
    from safetensors.torch import save_file as save_torch

    write_safetensors(tmp_path / "ours.safetensors", sample())
    theirs = load_torch(tmp_path / "ours.safetensors")
    assert theirs["x.bfloat16"].dtype == torch.bfloat16
    np.testing.assert_array_equal(theirs["transposed"].numpy(), sample()["transposed"])
    save_torch(theirs, tmp_path / "theirs.safetensors")
    assert_same(read_safetensors(tmp_path / "theirs.safetensors"), sample())


def test_others_may_read_the_file_as_any_other(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", sample())
    (tmp_path / "plain").touch()
    assert (tmp_path / "model.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_replaces_a_file_only_by_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {"x": np.ones(3, np.float32)})
    before = path.read_bytes()
    for bad in (np.ones(3, np.complex64), np.ones(3, ">f4"), np.array(["text"])):
        with pytest.raises(ValueError, match="tensor 'y' has dtype"):
            write_safetensors(path, {"x": np.zeros(3, np.float32), "y": bad})
    with pytest.raises(OSError, match="absent"):
        write_safetensors(tmp_path / "absent" / "model.safetensors", sample())
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def handmade(header: str, data: bytes) -> bytes:
    return struct.pack("<Q", len(header.encode())) + header.encode() + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "header"),
        (b"\xff" * 64, "header"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        (handmade('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', bytes(4)), "a.safetensors"),
        (handmade('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(8)), "a.safetensors"),
        (handmade('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', bytes(8)), "a.safetensors"),
        (handmade('{"a":{"dtype":"F8_E5M2","shape":[4],"data_offsets":[0,4]}}', bytes(4)), "dtype F8_E5M2"),
        (handmade('{"a":' * 3 + "}", b""), "a.safetensors"),
        (
            handmade(
                "{" + '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},' * 2 + '"__metadata__":{}}', bytes(4)
            ),
            "has the key 'a' twice",
        ),
    ],
)
def test_refuses_damaged_files(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_safetensors(tmp_path / "a.safetensors")


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "whole.safetensors", {"x": np.arange(6.0), "y": np.ones((2, 2), np.float32)})
    whole = (tmp_path / "whole.safetensors").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "a.safetensors").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"a\.safetensors"):
            read_safetensors(tmp_path / "a.safetensors")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_header_gives_tensors_or_a_value_error(tmp_path: Path, data: st.DataObject) -> None:
    save_file({"x": np.arange(6.0), "y": np.ones((2, 2), np.float32)}, tmp_path / "a.safetensors")
    content = bytearray((tmp_path / "a.safetensors").read_bytes())
    position = data.draw(st.integers(0, len(content) - 64))  # the data itself has no checksum in this format
    content[position] = data.draw(st.integers(0, 255))
    (tmp_path / "a.safetensors").write_bytes(content)
    try:
        read = read_safetensors(tmp_path / "a.safetensors")
    except ValueError:
        return
    assert sum(array.nbytes for array in read.values()) <= 64
    assert all(array.tobytes() is not None for array in read.values())


# --- A folder ------------------------------------------------------------------------------------------------------


def write_shards(folder: Path, shards: list[dict[str, np.ndarray]], weight_map: dict[str, str] | None = None) -> None:
    listed = {}
    for number, shard in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file(shard, folder / file)
        listed |= dict.fromkeys(shard, file)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map or listed}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


ONE = {"a": np.arange(3.0), "b": np.arange(4.0)}
TWO = {"c": np.arange(5.0)}


def test_shards_are_one_dictionary(tmp_path: Path) -> None:
    write_shards(tmp_path, [ONE, TWO])
    assert_same(read_tensors(tmp_path), ONE | TWO)
    assert find_weights(tmp_path) == tmp_path / "model.safetensors.index.json"


@pytest.mark.torch
def test_bin_shards_are_one_dictionary(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.arange(3.0)}, tmp_path / "pytorch_model-00001-of-00002.bin")
    torch.save({"b": torch.arange(4.0)}, tmp_path / "pytorch_model-00002-of-00002.bin")
    weight_map = {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert_same(read_tensors(tmp_path), {"a": np.arange(3, dtype=np.float32), "b": np.arange(4, dtype=np.float32)})


def test_safetensors_come_before_bin(tmp_path: Path) -> None:
    assert find_weights(tmp_path) is None
    (tmp_path / "pytorch_model.bin").write_bytes(b"never opened")
    assert find_weights(tmp_path) == tmp_path / "pytorch_model.bin"
    save_file(ONE, tmp_path / "model.safetensors")
    assert_same(read_tensors(tmp_path), ONE)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"holds no PyTorch weights; looked for model.safetensors, .*pytorch_model.bin"
    ):
        read_tensors(tmp_path)


def test_two_sets_of_weights_are_refused(tmp_path: Path) -> None:
    write_shards(tmp_path, [ONE, TWO])
    save_file(ONE, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"both model.safetensors and model.safetensors.index.json"):
        read_tensors(tmp_path)


FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.mark.parametrize(
    ("shards", "weight_map", "message"),
    [
        ([ONE, TWO], {"a": FIRST, "b": FIRST}, None),  # c is in no listed shard: the shard is not read at all
        ([ONE, TWO], {"a": FIRST, "c": SECOND}, "holds b, which .* places in no shard"),
        ([ONE, TWO], {"a": FIRST, "b": FIRST, "c": SECOND, "d": SECOND}, f"places d in {SECOND}, which does not hold"),
        ([ONE, TWO], {"a": FIRST, "b": SECOND, "c": SECOND}, f"holds b, .*{SECOND}|places b in {SECOND}"),
        ([ONE, TWO | ONE], {"a": FIRST, "b": FIRST, "c": SECOND}, f"{SECOND} holds a, b, which .* places in {FIRST}"),
        ([ONE], {"a": "model-00001-of-00001.safetensors", "b": "absent.safetensors"}, "missing: absent.safetensors"),
        ([ONE], {"a": "../model.safetensors"}, "not a .safetensors file beside it"),
        ([ONE], {"a": "pytorch_model.bin"}, "not a .safetensors file beside it"),
        ([ONE], {"a": 3}, "not a .safetensors file beside it"),
    ],
)
def test_an_index_that_disagrees_is_refused(
    tmp_path: Path, shards: list[dict[str, np.ndarray]], weight_map: dict[str, str], message: str | None
) -> None:
    write_shards(tmp_path, shards, weight_map)
    if message is None:
        assert_same(read_tensors(tmp_path), ONE)
        return
    with pytest.raises(ValueError, match=message):
        read_tensors(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": {}}', '{"weight_map": []}', "\x00"])
def test_a_broken_index_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(ValueError, match=r"model.safetensors.index.json"):
        read_tensors(tmp_path)


def test_reads_the_published_layout(tiny_instructor: Path) -> None:
    assert read_tensors(tiny_instructor)["shared.weight"].shape == (2000, 32)
    assert read_tensors(tiny_instructor / "2_Dense")["linear.weight"].shape == (24, 32)
