"""Flax and T5X checkpoints: hostile, damaged and odd files, each with one clear error, little memory and time."""

# ruff: noqa: E501  tables of cases, one a line

import json
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import ml_dtypes
import msgpack
import numpy as np
import pytest
from flax import serialization

from instructor_jax.convert import from_flax, from_t5x
from instructor_jax.convert.msgpack_tree import flatten, read_msgpack
from instructor_jax.convert.sources import read_source
from instructor_jax.convert.t5x_arrays import stored_parameters
from instructor_jax.io.bounds import INDEX_BYTES, TREE_DEPTH, TREE_ENTRIES

from ..convert import test_from_flax as flax
from ..convert import test_from_t5x as t5x
from ..convert.test_t5x_arrays import NAME, read_index, sample, specification, write_legacy, write_orbax

MIB = 1 << 20


def packed(tree: Any) -> bytes:
    """The bytes of a tree, which msgpack types as perhaps absent."""
    return bytes(msgpack.packb(tree) or b"")


def array(shape: Any, dtype: Any = "float32", data: bytes | None = bytes(4), kind: int = 1) -> msgpack.ExtType:
    return msgpack.ExtType(kind, packed([shape, dtype, data]))


# --- The format -----------------------------------------------------------------------------------------------------

VALUES = {
    "nothing": None, "true": True, "false": False, "small": 5, "minus": -3, "bytes": 200, "words": 70_000, "long": 2**40,
    "longer": 2**63, "negative": -(2**40), "short": -200, "middle": -40_000, "double": 1.5, "text": "a" * 40, "texts": "b" * 300,
    "long text": "c" * 70_000, "list": [1, 2], "long list": list(range(300)), "map": {"x": {"y": 1}}, "empty": {},
}  # fmt: skip


@pytest.mark.usefixtures("unchecked")
def test_reads_what_msgpack_and_flax_write(tmp_path: Path) -> None:
    arrays = {str(np.dtype(dtype)): np.arange(6).reshape(2, 3).astype(dtype) for dtype in (
        np.float32, np.float16, np.float64, ml_dtypes.bfloat16, np.int8, np.int64, np.uint16, np.uint32, np.bool_)}  # fmt: skip
    arrays |= {"scalar": np.array(2.5), "none": np.zeros((0, 4)), "many": np.arange(70_000.0)}
    path = tmp_path / "a"
    path.write_bytes(serialization.msgpack_serialize({**VALUES, "arrays": arrays, "number": np.float32(2.5)}))
    found = read_msgpack(path)
    assert {name: found[name] for name in VALUES} == VALUES
    assert found["number"] == np.float32(2.5)
    for name, expected in arrays.items():
        np.testing.assert_array_equal(found["arrays"][name], expected)
        assert found["arrays"][name].dtype == expected.dtype
    assert not found["arrays"]["many"].flags.owndata
    path.write_bytes(packed({"many": {str(number): number for number in range(70_000)}}))
    assert len(read_msgpack(path)["many"]) == 70_000


def test_arrays_in_pieces_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serialization, "MAX_CHUNK_SIZE", 40)
    (tmp_path / "a").write_bytes(serialization.msgpack_serialize({"x": {"y": np.arange(60.0).reshape(3, 20)}}))
    np.testing.assert_array_equal(read_msgpack(tmp_path / "a")["x"]["y"], np.arange(60.0).reshape(3, 20))


MORE = "it promises|more entries|nests deeper"
HOSTILE: dict[str, tuple[bytes, str]] = {
    "a list that promises 2**32": (b"\x81\xa1a\xdd\xff\xff\xff\xff", "more entries"),
    "lists that promise much, nested": (b"\x81\xa1a" + b"\xdd\x00\x03\x00\x00" * 500, MORE),
    "a map that promises 2**32": (b"\xdf\xff\xff\xff\xff", "more entries"),
    "maps that promise much, nested": (b"\xdf\x00\x00\x00\x10\xa1a" * 500, MORE),
    "more entries than allowed": (b"\xdf" + struct.pack(">I", TREE_ENTRIES + 1) + b"\xa1a\xc0" * 9, "more entries"),
    "many lists": (b"\x81\xa1a\xdd\x00\x03\x00\x00" + b"\xdd\x00\x03\x00\x00" + b"\xc0" * 300_000, "more entries"),
    "depth": (b"\x81\xa1a" * 100_000 + b"\xc0", f"nests deeper than {TREE_DEPTH}"),
    "depth of lists": (b"\x81\xa1a" + b"\x91" * 100_000 + b"\xc0", f"nests deeper than {TREE_DEPTH}"),
    "a text that promises 2**32": (b"\x81\xa1a\xdb\xff\xff\xff\xff", "a text of 4,294,967,295 bytes"),
    "bytes that promise 2**32": (b"\x81\xa1a\xc6\xff\xff\xff\xff", "it promises 4,294,967,295 bytes where 0 are left"),
    "an array that promises 2**32": (b"\x81\xa1a\xc9\xff\xff\xff\xff\x01", "it promises"),
    "a key of nothing": (b"\x81\xc0\xc0", "a key is a NoneType"),
    "a key of a list": (b"\x81\x90\xc0", "a key is a list"),
    "a key of a map": (b"\x81\x80\xc0", "a key is a dict"),
    "a key of an array": (packed({"x": 1}).replace(b"\xa1x", packed(array([1]))), "a key is a ndarray"),
    "a key twice": (b"\x82\xa1a\xc0\xa1a\xc0", "it has the key 'a' twice"),
    "a text that is no UTF-8": (b"\x81\xa1\xff\xc0", "codec can't decode"),
    "a byte without a meaning": (b"\x81\xa1a\xc1", "the byte 0xc1 begins no value"),
    "something behind the end": (b"\x80\x80", "1 bytes follow its end"),
    "an unknown type": (packed({"x": msgpack.ExtType(77, b"abc")}), "a value of the type 77"),
    "a time": (packed({"x": msgpack.Timestamp(1)}), "a value of the type 255"),
    "a complex number": (serialization.msgpack_serialize({"x": 1j}), "a value of the type 2"),
    "complex numbers": (serialization.msgpack_serialize({"x": np.ones(3, np.complex64)}), "dtype 'complex64'"),
    "objects": (packed({"x": array([1], "object")}), "dtype 'object'"),
    "texts": (packed({"x": array([1], "<U1")}), "dtype '<U1'"),
    "records": (packed({"x": array([1], "i4,i4")}), "dtype 'i4,i4'"),
    "a dtype of a number": (packed({"x": array([1], 3)}), "dtype '3'"),
    "an eighth of float": (serialization.msgpack_serialize({"x": np.ones(3, ml_dtypes.float8_e4m3fn)}), "float8_e4m3fn"),
    "a size below zero": (packed({"x": array([-1])}), "a shape that no weight has"),
    "a size that is huge": (packed({"x": array([2**62])}), "a shape that no weight has"),
    "no elements, hugely": (packed({"x": array([0, 2**62], data=b"")}), "a shape that no weight has"),
    "a size as text": (packed({"x": array(["1"])}), "a shape that no weight has"),
    "a size of true": (packed({"x": array([True])}), "a shape that no weight has"),
    "many axes": (packed({"x": array([1] * 34)}), "a shape that no weight has|more entries"),
    "a shape of thousands": (packed({"x": array([1] * 100_000)}), "more entries"),
    "another size than its bytes": (packed({"x": array([2])}), r"an array of shape \(2,\) has 4 bytes"),
    "no bytes": (packed({"x": array([1], data=None)}), "not given by shape, dtype and bytes"),
    "an array in an array": (packed({"x": array([array([1])])}), "a value of the type 0"),
    "arrays in arrays in arrays": (b"\x81\xa1a" + b"\xc7\xff\x01" * 20_000, "it promises|type 0|byte"),
    "not all pieces": (packed({"x": {"__msgpack_chunked_array__": True, "shape": {"0": 1}, "chunks": {"1": array([1])}}}), "pieces"),
    "pieces of several kinds": (packed({"x": {"__msgpack_chunked_array__": 1, "shape": {"0": 1}, "chunks": {"0": 3}}}), "pieces"),
    "no pieces": (packed({"x": {"__msgpack_chunked_array__": True, "shape": {}, "chunks": {}}}), "pieces"),
    "a shape that is a list": (packed({"x": {"__msgpack_chunked_array__": True, "shape": [1], "chunks": {}}}), "pieces"),
    "pieces of another size": (
        packed({"x": {"__msgpack_chunked_array__": True, "shape": {"0": 2}, "chunks": {"0": array([1])}}}), "has 4 bytes",
    ),
    "a name with an escape sequence": (b"\x81\xa5\x1b[31m\xc1", r"below \\x1b\[31m"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.usefixtures("unchecked")
def test_a_hostile_file_is_refused_at_once(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a").write_bytes(content)
    tracemalloc.start()
    before = time.process_time()
    with pytest.raises(ValueError, match=rf"a is not a whole Flax msgpack file: .*({message})") as caught:
        read_msgpack(tmp_path / "a")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - before < 10
    assert peak < 60 * MIB
    assert len(str(caught.value)) < 700
    assert str(caught.value).isprintable()


def test_a_tree_from_elsewhere_is_bounded_in_depth() -> None:
    tree: dict[str, Any] = {}
    for _ in range(TREE_DEPTH + 5):
        tree = {"a": tree}
    with pytest.raises(ValueError, match=f"nests deeper than {TREE_DEPTH} levels"):
        flatten(tree)


@pytest.mark.parametrize("name", ["", "a/b", "\x1b", 3])
def test_names_of_leaves_are_checked(name: Any) -> None:
    if name in ("", "\x1b"):
        assert flatten({name: 1}) == {name: 1}  # told, if need be, where names are compared
        return
    with pytest.raises(ValueError, match="cannot be a part of an array's name"):
        flatten({name: 1})


# --- Flax -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int32", "int8", "uint16", "bool"])
def test_integers_are_no_weights(tmp_path: Path, dtype: str) -> None:
    arrays = flax.random_flax()
    flax.write(tmp_path / "flax_model.msgpack", arrays | {"shared/embedding": arrays["shared/embedding"].astype(dtype)})
    with pytest.raises(ValueError, match=f"shared/embedding has dtype {dtype}; weights are floating point"):
        from_flax.read(tmp_path)
    model = t5x.as_t5x(t5x.T5, t5x.random_model(t5x.T5))
    name = "encoder/layers_1/mlp/wo/kernel"
    t5x.write(tmp_path / "t", model | {name: model[name].astype(dtype)})
    with pytest.raises(ValueError, match=f"{name} has dtype {dtype}; weights are floating point"):
        from_t5x.read(tmp_path / "t")


@pytest.mark.parametrize(
    "shard", ["../a.msgpack", "/etc/a.msgpack", "a/b.msgpack", "a.bin", "", None, 3, ["a"], "a\0.msgpack"]
)
def test_shards_lie_beside_their_index(tmp_path: Path, shard: Any) -> None:
    (tmp_path / "flax_model.msgpack.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(ValueError, match="lists the shard .*, which is missing beside it"):
        from_flax.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"weight_map": 3}', b"[" * 5000, b"{" + b" " * INDEX_BYTES + b"}"])
def test_a_broken_index_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "flax_model.msgpack.index.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"flax_model\.msgpack\.index\.json"):
        read_source(tmp_path)


# --- T5X ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"\xc1", b"\x81", b"\x90", b"hello", b"\x81\xa1a\xc0", b"\xdf\xff\xff\xff\xff"]
)
def test_a_damaged_index_is_told_as_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint").write_bytes(content)
    with pytest.raises(ValueError, match=r"checkpoint (is not a whole|holds a|has no encoder)"):
        read_source(tmp_path)


PATHS = ["../a", "/etc", "", ".", "..", "a/../../b", "a\0b", "a\\..\\..\\b", "./..", "x" * 5000]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("placeholder", [True, False])
def test_no_array_lies_outside(tmp_path: Path, path: str, placeholder: bool) -> None:
    leaf = f"PLACEHOLDER://{path}" if placeholder else specification(path)
    folder = write_legacy(tmp_path / "a", sample(), changed={"token_embedder/embedding": leaf})
    with pytest.raises((ValueError, OSError), match="not inside|cannot be opened|too long"):
        stored_parameters(folder)["token_embedder/embedding"]()


METADATA: dict[str, Any] = {
    "nothing": "", "a list": "[]", "depth": "[" * 100_000, "depth of objects": '{"a":' * 5000 + "1" + "}" * 5000,
    "two megabytes": "{" + " " * 2 * MIB + "}", "chunks of a terabyte": {"chunks": [2**20, 2**20]},
    "chunks larger than the array": {"chunks": [21, 12]}, "no chunks": {"chunks": []}, "chunks of nothing": {"chunks": [0, 0]},
    "a shape below zero": {"shape": [-1, 12]}, "a shape as text": {"shape": "20"}, "a dtype of objects": {"dtype": "|O"},
    "a dtype nobody knows": {"dtype": "<z9"}, "a compressor nobody knows": {"compressor": {"id": "evil"}},
    "another format": {"zarr_format": 9}, "NaN": '{"shape": NaN}',
}  # fmt: skip


@pytest.mark.parametrize("name", METADATA)
def test_metadata_that_lies_is_refused(tmp_path: Path, name: str) -> None:
    folder = write_legacy(tmp_path / "a", sample())
    index = read_index(folder)
    index["optimizer"]["target"]["token_embedder"]["embedding"] = specification()  # without metadata of its own
    (folder / "checkpoint").write_bytes(serialization.msgpack_serialize(index))
    path, change = folder / NAME / ".zarray", METADATA[name]
    path.write_text(change if isinstance(change, str) else json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=r"token_embedder/embedding in .*a (cannot be opened|has chunks of)"):
        stored_parameters(folder)["token_embedder/embedding"]().load()


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"a":' * 5000 + "1" + "}" * 5000, "{" + " " * INDEX_BYTES + "}", "", "NaN"]
)
def test_orbax_metadata_is_bounded(tmp_path: Path, content: str) -> None:
    folder = write_orbax(tmp_path / "a", sample())
    (folder / "_METADATA").write_text(content)
    with pytest.raises(ValueError, match="_METADATA"):
        read_source(folder)


def test_a_file_that_points_elsewhere_needs_its_folder(tmp_path: Path) -> None:
    folder = write_legacy(tmp_path / "a", sample(), inline_below=0)
    (folder / "checkpoint").rename(folder / "checkpoint_1")
    with pytest.raises(ValueError, match="keeps .* in a folder beside it; give the checkpoint's folder"):
        read_source(folder / "checkpoint_1")
