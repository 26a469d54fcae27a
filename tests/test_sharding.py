"""The mesh and the table of axes, and that a sharded model gives the vectors of an unsharded one."""

import ast
import dataclasses
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from house import tree_of
from jax.sharding import AxisType, PartitionSpec

from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.nn.model import abstract_params, embed, model_graph, param_shardings
from instructor_jax.sharding import (
    MeshShape,
    constrain,
    data_shards,
    hybrid_grid,
    make_mesh,
    named_sharding,
    partition_spec,
)
from instructor_jax.text.batches import TokenBatch

from .small_models import SMALL, UMT5, leaves, random_params


@pytest.mark.parametrize(
    ("shape", "devices", "sizes"),
    [
        (MeshShape(), 8, (8, 1, 1)),
        (MeshShape(), 1, (1, 1, 1)),
        (MeshShape(data=-1, tensor=4), 8, (2, 1, 4)),
        (MeshShape(data=1, fsdp=-1), 6, (1, 6, 1)),
        (MeshShape(data=2, fsdp=2, tensor=2), 8, (2, 2, 2)),
    ],
)
def test_sizes(shape: MeshShape, devices: int, sizes: tuple[int, int, int]) -> None:
    assert shape.resolve(devices) == sizes


@pytest.mark.parametrize(
    ("shape", "devices", "message"),
    [
        (MeshShape(data=3), 8, "does not fit 8 devices"),
        (MeshShape(data=-1, tensor=3), 8, "does not fit 8 devices"),
        (MeshShape(data=-1, fsdp=-1), 8, "at most one may be -1"),
        (MeshShape(data=0), 8, "must be at least 1"),
        (MeshShape(data=-2), 8, "must be at least 1"),
        (MeshShape(), 0, "no devices"),
    ],
)
def test_sizes_that_do_not_fit(shape: MeshShape, devices: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shape.resolve(devices)


@dataclasses.dataclass(frozen=True)
class Chip:
    """A device of a slice, as far as meshes ask."""

    id: int
    process_index: int
    slice_index: int
    platform: str = "cpu"
    device_kind: str = "cpu"


def chips(slices: int, each: int = 4) -> list[Chip]:
    """Devices in an order in which slices take turns, two to a process."""
    numbers = [(number, index) for number in range(each) for index in range(slices)]
    return [Chip(number * slices + index, number // 2 * slices + index, index) for number, index in numbers]


@pytest.mark.parametrize(("sizes", "slices"), [((4, 2, 1), 2), ((2, 2, 2), 2), ((4, 1, 4), 4)])
def test_only_examples_are_split_between_slices(sizes: tuple[int, int, int], slices: int) -> None:
    grid = hybrid_grid(sizes, slices, chips(slices))
    assert grid.shape == sizes
    assert len(set(grid.flat)) == grid.size
    for part in np.split(grid, slices, axis=0):
        assert len({chip.slice_index for chip in part.flat}) == 1


def test_devices_that_do_not_say_their_slice_are_dealt_out_by_process() -> None:
    unsaid = [dataclasses.replace(chip, slice_index=0) for chip in chips(2)]
    first, second = np.split(hybrid_grid((4, 2, 1), 2, unsaid), 2, axis=0)
    assert {chip.process_index for chip in first.flat} == {0, 1}
    assert {chip.process_index for chip in second.flat} == {2, 3}


def test_slices_that_do_not_fit_are_told() -> None:
    with pytest.raises(ValueError, match="must divide data=2"):
        MeshShape(data=2, fsdp=4, slices=4).resolve(8)
    with pytest.raises(ValueError, match="must divide data=8"):
        MeshShape(slices=-1).resolve(8)
    with pytest.raises(ValueError, match="slices=4 must be 2"):
        hybrid_grid((4, 2, 1), 4, chips(2))
    with pytest.raises(ValueError, match="must divide the 3 processes"):
        hybrid_grid((2, 3, 1), 2, [Chip(number, number // 2, 0) for number in range(6)])


def test_a_mesh_of_slices_is_one_of_the_same_sizes() -> None:
    mesh = make_mesh(MeshShape(fsdp=2, slices=2))
    assert dict(mesh.shape) == {"data": 4, "fsdp": 2, "tensor": 1}
    assert mesh.axis_types == (AxisType.Auto,) * 3


def test_axes_are_automatic_and_examples_are_split_by_two_of_them() -> None:
    mesh = make_mesh(MeshShape(data=2, fsdp=2, tensor=2))
    assert mesh.axis_types == (AxisType.Auto,) * 3
    assert data_shards(mesh) == 4
    assert make_mesh(devices=jax.devices()[:3]).size == 3


def test_the_table() -> None:
    assert partition_spec(("embed", "ffn")) == PartitionSpec("fsdp", "tensor")
    assert partition_spec(("batch", None, "act_len")) == PartitionSpec(("data", "fsdp"), None, None)
    assert partition_spec(()) == PartitionSpec()
    with pytest.raises(ValueError, match="unknown logical axis 'ffm'; known are layers, vocab"):
        partition_spec(("embed", "ffm"))


def test_every_parameter_has_axes_in_the_table() -> None:
    mesh = make_mesh(MeshShape(data=2, fsdp=2, tensor=2))
    for config in (SMALL, UMT5):
        params = leaves(random_params(config))
        shardings = leaves(param_shardings(config, mesh))
        assert set(shardings) == set(params)
        for name, sharding in shardings.items():
            pieces = sharding.item().shard_shape(params[name].shape)
            split = params[name].size // int(np.prod(pieces))
            assert split == (1 if "norm" in name else 2 if "relative_bias" in name or name == "projection" else 4), name


def test_constrain_does_nothing_without_a_mesh() -> None:
    array = np.zeros((2, 3), np.float32)
    assert constrain(array, "batch", "act_embed") is array


def batch(groups: int) -> TokenBatch:
    random = np.random.default_rng(0)
    segments = np.sort(random.integers(0, 3, (groups, 2, 16)), axis=2).astype(np.int32)
    segments[:, :, 13:] = -1
    tokens = random.integers(2, 600, segments.shape).astype(np.int32)
    slots = np.tile(np.arange(8, dtype=np.int32), (groups, 1))
    return TokenBatch(tokens, segments, (segments >= 0) & (tokens % 5 > 0), slots, 4)


@pytest.mark.parametrize("config", [SMALL, UMT5], ids=["t5", "umt5"])
def test_sharded_equals_unsharded(config) -> None:
    params, texts = random_params(config), batch(groups=4)
    expected = np.asarray(jax.jit(partial(embed, config))(params, texts))
    mesh = make_mesh(MeshShape(data=2, fsdp=2, tensor=2))
    with jax.set_mesh(mesh):
        placed = jax.device_put(params, param_shardings(config, mesh))
        spread = jax.device_put(texts, named_sharding(mesh, "batch"))
        vectors = jax.jit(partial(embed, config), out_shardings=named_sharding(mesh, "batch"))(placed, spread)
    # float32; sums over split axes are added in another order
    np.testing.assert_allclose(np.asarray(vectors), expected, rtol=0, atol=2e-6)


def test_no_other_file_names_a_mesh_axis(repository: Path) -> None:
    """'fsdp' is the name that cannot mean anything else."""
    files = [*(repository / "instructor_jax").rglob("*.py"), *(repository / "train").rglob("*.py")]
    naming = {
        file.relative_to(repository).as_posix()
        for file in files
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Constant) and node.value == "fsdp"
    }
    assert naming == {"instructor_jax/sharding.py"}


def test_shapes_of_parameters_do_not_depend_on_the_caller_s_mesh() -> None:
    config = ModelConfig(EncoderConfig(vocab=32, embed=16, layers=1, heads=2, head_dim=8, ffn=32))
    model_graph.cache_clear()  # as in a process that first asks under a mesh
    with jax.set_mesh(make_mesh()):
        here = abstract_params(config)
    model_graph.cache_clear()
    assert jax.tree.map(lambda x: (x.shape, x.dtype), here) == jax.tree.map(
        lambda x: (x.shape, x.dtype), abstract_params(config)
    )
