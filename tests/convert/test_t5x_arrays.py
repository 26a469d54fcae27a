"""The places where T5X keeps arrays, written here as T5X and Orbax write them, and read back bit for bit."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tensorstore
from flax import serialization
from flax.traverse_util import unflatten_dict

from instructor_jax.convert.t5x_arrays import check_plausible, find_checkpoints, stored_parameters

Arrays = dict[str, np.ndarray]


def sample(dtype: Any = np.float32) -> Arrays:
    """Some T5X names; large and small arrays, of one to four axes."""
    random = np.random.default_rng(5)
    shapes = {
        "token_embedder/embedding": (20, 12),
        "encoder/encoder_norm/scale": (12,),
        "encoder/encoder/attention/out/kernel": (2, 3, 4, 12),
        "encoder/layers_1/mlp/wo/kernel": (10, 12),
        "decoder/layers_0/self_attention/query/kernel": (12, 8),
    }
    return {name: random.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}


def load_all(folder: Path) -> Arrays:
    """Every array of the only checkpoint in the folder, once its announced shape and dtype have been compared."""
    (checkpoint,) = find_checkpoints(folder)
    arrays = {}
    for name, opener in stored_parameters(checkpoint).items():
        opened = opener()
        arrays[name] = opened.load()
        assert (opened.shape, opened.dtype) == (arrays[name].shape, arrays[name].dtype), name
    return arrays


def assert_same(read_arrays: Arrays, expected: Arrays) -> None:
    assert set(read_arrays) == set(expected)
    for name, array in expected.items():
        assert read_arrays[name].dtype == array.dtype, name
        np.testing.assert_array_equal(read_arrays[name], array, err_msg=name)


# --- Writers of the layouts ----------------------------------------------------------------------------------------


def write_zarr(folder: Path, name: str, array: np.ndarray) -> dict[str, Any]:
    """One array as T5X keeps it; returns its specification as it stands in the index, with the writer's own driver."""
    bits = "uint16" if array.dtype == np.uint16 else array.dtype.name
    store = tensorstore.open(
        {
            "driver": "zarr",
            "dtype": bits,
            "kvstore": {"driver": "file", "path": f"{folder / name}/"},
            "metadata": {
                "shape": array.shape,
                "chunks": [max(1, size // 2) for size in array.shape],
                "compressor": {"id": "gzip", "level": 1},
            },
        },
        create=True,
    ).result()
    store.write(array).result()
    specification = store.spec().to_json()
    return specification | {"kvstore": {"driver": "gfile", "path": name}}


def write_legacy(
    folder: Path, arrays: Arrays, inline_below: int = 15, changed: Mapping[str, Any] | None = None
) -> Path:
    """A msgpack index with small arrays in it, zarr folders for the others, and optimizer state."""
    folder.mkdir(parents=True, exist_ok=True)
    target = {
        name: array if array.size < inline_below else write_zarr(folder, f"target.{name.replace('/', '.')}", array)
        for name, array in arrays.items()
    }
    target |= changed or {}
    state = {"step": np.int32(7), "param_states": {"encoder": {"encoder_norm": {"scale": {"v": np.ones(12)}}}}}
    tree = {"version": 3, "optimizer": {"target": unflatten_dict(target, sep="/"), "state": state}}
    (folder / "checkpoint").write_bytes(serialization.msgpack_serialize(tree))
    return folder


def write_placeholders(folder: Path, arrays: Arrays) -> Path:
    """The first Orbax versions: the index says where an array is by a name."""
    folder.mkdir()
    for name, array in arrays.items():
        write_zarr(folder, f"optimizer.target.{name.replace('/', '.')}", array)
    target = {name: f"PLACEHOLDER://optimizer.target.{name.replace('/', '.')}" for name in arrays}
    tree = {"version": 3, "optimizer": {"target": unflatten_dict(target, sep="/"), "state": {"step": 3}}}
    (folder / "checkpoint").write_bytes(serialization.msgpack_serialize(tree))
    return folder


def write_orbax(
    folder: Path, arrays: Arrays, root: str | None = "target", ocdbt: bool = True, zarr3: bool = False
) -> Path:
    import orbax.checkpoint as ocp

    tree: Mapping[str, Any] = unflatten_dict(arrays, sep="/")
    if root is not None:
        tree = {root: tree, "state": {"step": np.int32(3)}, "flax_mutables": {}}
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=ocdbt, use_zarr3=zarr3)) as checkpointer:
        checkpointer.save(folder.absolute(), tree)
    return folder


# --- Reading back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.float64])
@pytest.mark.parametrize("inline_below", [0, 15, 10**6])
def test_legacy_layout(tmp_path: Path, dtype: Any, inline_below: int) -> None:
    write_legacy(tmp_path / "checkpoint_7", sample(dtype), inline_below)
    assert_same(load_all(tmp_path / "checkpoint_7"), sample(dtype))
    assert_same(load_all(tmp_path), sample(dtype))


def test_first_orbax_layout(tmp_path: Path) -> None:
    write_placeholders(tmp_path / "checkpoint_3", sample())
    assert_same(load_all(tmp_path), sample())


@pytest.mark.parametrize(("ocdbt", "zarr3"), [(True, False), (False, False), (True, True)])
@pytest.mark.parametrize("place", ["checkpoint_3/state", "default", ""])
def test_orbax_layout(tmp_path: Path, ocdbt: bool, zarr3: bool, place: str) -> None:
    arrays = sample(ml_dtypes.bfloat16)
    write_orbax(tmp_path / "run" / place, arrays, ocdbt=ocdbt, zarr3=zarr3)
    assert_same(load_all(tmp_path / "run"), arrays)


@pytest.mark.parametrize("root", ["params", None])
def test_orbax_parameters_under_other_roots(tmp_path: Path, root: str | None) -> None:
    assert_same(load_all(write_orbax(tmp_path / "a", sample(), root)), sample())


def read_index(folder: Path) -> dict[str, Any]:
    tree = serialization.msgpack_restore((folder / "checkpoint").read_bytes())
    assert isinstance(tree, dict)
    return tree


def test_version_2_wrote_bfloat16_as_integers(tmp_path: Path) -> None:
    expected = sample(ml_dtypes.bfloat16)
    bits = {name: array.view(np.uint16) for name, array in expected.items()}
    folder = write_legacy(tmp_path / "a", bits, inline_below=0)
    assert_same(load_all(folder), bits)
    (folder / "checkpoint").write_bytes(serialization.msgpack_serialize(read_index(folder) | {"version": 2}))
    assert_same(load_all(folder), expected)


def test_specifications_from_before_tensorstore_0_1_14_and_from_buckets(tmp_path: Path) -> None:
    folder = write_legacy(tmp_path / "a", sample())
    tree = read_index(folder)
    specification = tree["optimizer"]["target"]["token_embedder"]["embedding"]
    specification["path"] = specification.pop("kvstore")["path"]
    specification["kvstore"] = {"driver": "gcs", "bucket": "t5x-dummy-bucket"}
    (folder / "checkpoint").write_bytes(serialization.msgpack_serialize(tree))
    assert_same(load_all(folder), sample())


def test_nothing_is_opened_before_it_is_asked_for(tmp_path: Path) -> None:
    folder = write_legacy(tmp_path / "a", sample())
    (folder / "target.decoder.layers_0.self_attention.query.kernel" / ".zarray").write_text("broken")
    openers = stored_parameters(folder)
    assert set(openers) == set(sample())
    assert openers["encoder/layers_1/mlp/wo/kernel"]().shape == (10, 12)
    with pytest.raises(ValueError, match=r"decoder/layers_0/self_attention/query/kernel in .* cannot be opened"):
        openers["decoder/layers_0/self_attention/query/kernel"]()


def test_finds_the_steps_of_a_run(tmp_path: Path) -> None:
    assert find_checkpoints(tmp_path) == []
    legacy = write_legacy(tmp_path / "checkpoint_10", sample())
    orbax = write_orbax(tmp_path / "checkpoint_9" / "state", sample())
    (tmp_path / "checkpoint_8").mkdir()
    assert find_checkpoints(tmp_path) == [legacy, orbax]
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-1000000"\n')  # TensorFlow's, not an index
    assert find_checkpoints(tmp_path) == [legacy, orbax]


# --- What is refused -----------------------------------------------------------------------------------------------

NAME = "target.token_embedder.embedding"


def specification(path: str = NAME, **other: Any) -> dict[str, Any]:
    return {"driver": "zarr", "kvstore": {"driver": "gfile", "path": path}, **other}


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        (specification(f"../a/{NAME}"), "not inside"),
        (specification("/etc"), "not inside"),
        (specification(""), "not inside"),
        (specification(kvstore={"driver": "http", "base_url": "http://localhost"}), "only zarr is read"),
        (specification("target.absent"), "embedding in .* cannot be opened"),
        (specification(driver="n5"), "'n5' store"),
        (specification(metadata={"shape": [20, 13]}), r"shape \[20, 13\], its zarr array has \(20, 12\)"),
        (f"PLACEHOLDER://../a/{NAME}", "not inside"),
        ("elsewhere", "holds a str for token_embedder/embedding"),
        (None, "holds a NoneType for token_embedder/embedding"),
        (3.5, "holds a float for token_embedder/embedding"),
    ],
)
def test_only_arrays_inside_the_folder_are_opened(tmp_path: Path, leaf: Any, message: str) -> None:
    folder = write_legacy(tmp_path / "a", sample(), changed={"token_embedder/embedding": leaf})
    with pytest.raises(ValueError, match=message):
        stored_parameters(folder)["token_embedder/embedding"]()


@pytest.mark.parametrize("damage", [slice(0, -9), slice(0, 0), None])
def test_an_interrupted_copy_is_noticed(tmp_path: Path, damage: slice | None) -> None:
    """A zarr reader takes a chunk that is not there for zeros."""
    folder = write_legacy(tmp_path / "a", sample())
    chunk = folder / "target.encoder.layers_1.mlp.wo.kernel" / "1.1"
    if damage is None:
        chunk.unlink()
    else:
        chunk.write_bytes(chunk.read_bytes()[damage])
    array = stored_parameters(folder)["encoder/layers_1/mlp/wo/kernel"]()
    with pytest.raises(ValueError, match=r"encoder/layers_1/mlp/wo/kernel in .* is damaged or copied only in part"):
        array.load()


def test_sizes_that_the_files_could_not_hold_are_refused(tmp_path: Path) -> None:
    """TensorStore would take the memory before it looks at the chunks, and the process would be gone."""
    folder = write_legacy(tmp_path / "a", sample())
    check_plausible(folder, [opener() for opener in stored_parameters(folder).values()])
    index = read_index(folder)
    index["optimizer"]["target"]["token_embedder"]["embedding"] = specification()
    (folder / "checkpoint").write_bytes(serialization.msgpack_serialize(index))
    metadata = folder / NAME / ".zarray"
    metadata.write_text(json.dumps(json.loads(metadata.read_text()) | {"shape": [10**12, 12]}))
    with pytest.raises(ValueError, match="declares arrays of 48000000"):
        check_plausible(folder, [opener() for opener in stored_parameters(folder).values()])


def test_a_damaged_index_is_refused(tmp_path: Path) -> None:
    index = write_legacy(tmp_path / "a", sample()) / "checkpoint"
    whole = index.read_bytes()
    no_encoder = serialization.msgpack_serialize({"optimizer": {"target": {"decoder": {}}}})
    for content in (*(whole[:length] for length in range(0, len(whole), 61)), b"\xc1", b"\x90", no_encoder):
        index.write_bytes(content)
        with pytest.raises(ValueError, match=r"a/checkpoint"):
            stored_parameters(tmp_path / "a")


def test_damaged_orbax_metadata_is_refused(tmp_path: Path) -> None:
    folder = write_orbax(tmp_path / "a", sample())
    metadata = json.loads((folder / "_METADATA").read_text())
    for content in ("", "{", "[]", "{}", json.dumps(metadata | {"tree_metadata": {"x": 3}})):
        (folder / "_METADATA").write_text(content)
        with pytest.raises(ValueError, match="_METADATA"):
            stored_parameters(folder)
