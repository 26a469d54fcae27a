import importlib.util

import jax
import numpy as np
import pytest

from instructor_jax.sharding import MeshShape, make_mesh, slices_of
from instructor_jax.train.plan.main import _ready
from instructor_jax.train.plan.topology import devices_of, is_here


@pytest.mark.parametrize("name", ["v5e:3x3", "v5e:16", "v5e:32x32", "v5p:4x4", "v9:2x2", "banana"])
def test_a_wrong_name_lists_the_right_ones(name: str) -> None:
    if importlib.util.find_spec("libtpu") is None and name in ("v9:2x2", "banana"):
        pytest.skip("of other families only the TPU compiler knows: pip install 'instructor-jax[tpu]'")
    with pytest.raises(ValueError, match=r"v5e: 1x1.*16x16.*v5p: 2x2x1"):
        devices_of(name)


@pytest.mark.parametrize("name", ["2*h100:8", "2*cpu:4", "2*gpu"])
def test_only_tpu_slices_are_several(name: str) -> None:
    with pytest.raises(ValueError, match=r"only TPU slices can be several.*N\*FAMILY:SHAPE"):
        devices_of(name)


@pytest.mark.parametrize("name", ["0*v5e:4x4", "2*2*v5e:4x4", "2 * v5e:4x4", "*v5e:4x4", "2*v5e:3x3", "1000*v5e:4x4"])
def test_wrong_numbers_of_slices_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"N\*FAMILY:SHAPE for N slices"):
        devices_of(name)


def test_too_many_slices_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="at most 64 slices"):
        devices_of("65*v5e:1x1")


def test_devices_of_slices_say_where_they_lie() -> None:
    pytest.importorskip("libtpu", reason="needs the TPU compiler: pip install 'instructor-jax[tpu]'")
    _ready("3*v5e:2x2")
    devices = devices_of("3*v5e:2x2")
    assert [device.slice_index for device in devices] == [0] * 4 + [1] * 4 + [2] * 4
    assert slices_of(devices) == 3
    assert dict(make_mesh(MeshShape(), devices).shape) == {"data": 12, "fsdp": 1, "tensor": 1}


@pytest.mark.parametrize(
    "shape", [MeshShape(), MeshShape(fsdp=2), MeshShape(fsdp=4), MeshShape(fsdp=8), MeshShape(2, 8, 2)]
)
def test_fsdp_and_tensor_stay_within_a_slice_whatever_their_size(shape: MeshShape) -> None:
    pytest.importorskip("libtpu", reason="needs the TPU compiler: pip install 'instructor-jax[tpu]'")
    _ready("2*v5e:4x4")
    mesh = make_mesh(shape, devices_of("2*v5e:4x4"))
    for group in mesh.devices.reshape(mesh.shape["data"], -1):
        assert len({device.slice_index for device in group}) == 1


@pytest.mark.parametrize("topology", ["v5e:4x4", "v6e:4x4", "v5p:2x2x4", "v4:2x2x4"])
@pytest.mark.parametrize("fsdp", [2, 4, 8, 16])
def test_an_axis_may_be_a_part_of_a_side_of_any_torus(topology: str, fsdp: int) -> None:
    """Chips that hold parts of the same weights are neighbours: they fill a box."""
    pytest.importorskip("libtpu", reason="needs the TPU compiler: pip install 'instructor-jax[tpu]'")
    _ready(topology)
    mesh = make_mesh(MeshShape(fsdp=fsdp), devices_of(topology))
    assert len(set(mesh.devices.flat)) == 16
    for group in mesh.devices.reshape(-1, fsdp):
        places = np.array([device.coords for device in group])
        assert np.prod(np.ptp(places, axis=0) + 1) == fsdp


def test_devices_of_this_machine() -> None:
    assert is_here("cpu:4")
    assert devices_of("cpu") == jax.devices()
    assert devices_of("cpu:4") == jax.devices()[:4]
    with pytest.raises(ValueError, match=rf"there are {jax.device_count()} devices"):
        devices_of("cpu:500")


@pytest.mark.parametrize("name", ["cpu:999999999", "cpu:0", "cpu:-1", "gpu:x", "cpu:", "cpu:" + "9" * 5000])
def test_numbers_that_no_machine_has_are_told_at_once(name: str) -> None:
    with pytest.raises(ValueError, match=r"write [cg]pu:1 to [cg]pu:512"):
        devices_of(name)


def test_without_the_compiler_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"instructor-jax\[tpu\]"):
        devices_of("v5e:4x4")


def test_what_the_compiler_says_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from jax.experimental import topologies

    def refuse(*_, **__) -> None:
        raise jax.errors.JaxRuntimeError("ABORTED: Internal error when accessing libtpu multi-process lockfile.\nmore")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(topologies, "get_topology_desc", refuse)
    with pytest.raises(ValueError, match=r"lockfile\.\).*v5e: 1x1"):
        devices_of("v5e:4x4")
