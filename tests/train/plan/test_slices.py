"""What a plan tells of several slices: collectives over the network of the data centre, their time, their faults."""

import dataclasses
import os
from types import SimpleNamespace
from typing import Any

import jax
import pytest

from instructor_jax.sharding import MeshShape, make_mesh
from instructor_jax.train.chips import CHIPS
from instructor_jax.train.plan.checks import sharding_faults
from instructor_jax.train.plan.collectives import Collective, collectives
from instructor_jax.train.plan.costs import Costs
from instructor_jax.train.plan.hlo import parse_hlo
from instructor_jax.train.plan.instruction import Shape
from instructor_jax.train.plan.main import _ready
from instructor_jax.train.plan.plan import exchanges, plan_step
from instructor_jax.train.plan.program import weight_bytes
from instructor_jax.train.plan.roofline import Work, roofline
from instructor_jax.train.plan.topology import devices_of

from .test_on_tpu import CONFIG

TPU_COMPILER = "needs the TPU compiler: pip install 'instructor-jax[tpu]'"


def piece(opcode: str, shape: str, meeting: str, kind: str, target: str) -> str:
    """A line as the TPU compiler writes it for what goes through the hosts."""
    return (
        f"  %{opcode}.{meeting} = ({shape}{{1,0}}, u32[], token[]) {opcode}(%x, %token), channel_id=2, "
        'is_host_transfer=true, frontend_attributes={_xla_host_transfer_handler_name="xla_megascale_runtime",'
        f'_xla_host_transfer_rendezvous="{meeting}",_xla_megascale_reduce_operation="SUM",'
        f'_xla_megascale_target="{target}",_xla_megascale_transfer_type="{kind}"}}\n'
    )


def program(*pieces: str) -> str:
    return f"HloModule small\n\nENTRY %main (x: f32[8,128]) -> f32[8,128] {{\n{''.join(pieces)}}}\n"


@pytest.mark.parametrize(
    ("target", "slices"), [("{1,2}x{0:3}", 2), ("{1:4}x{0:3}", 4), ("{1,3:5}x{0,4}", 4), ("{1,2}x{0}", 2)]
)
def test_a_send_and_a_receive_are_one_collective(target: str, slices: int) -> None:
    text = program(
        piece("send", "f32[4096,8,128]", "sum_0", "ALL_REDUCE", target),
        piece("recv", "f32[4096,8,128]", "sum_0", "ALL_REDUCE", target),
        piece("send", "bf16[7,256]", "gather_0", "ALL_GATHER", target),
        piece("recv", "bf16[14,256]", "gather_0", "ALL_GATHER", target),
        piece("send", "f32[14,256]", "scatter_0", "REDUCE_SCATTER", target),
        piece("recv", "f32[7,256]", "scatter_0", "REDUCE_SCATTER", target),
    )
    found = {one.kind: one for one in collectives(parse_hlo(text), 8)}
    assert {one.slices for one in found.values()} == {one.participants for one in found.values()} == {slices}
    assert {kind: one.bytes for kind, one in found.items()} == {
        "all-reduce": 4096 * 8 * 128 * 4, "all-gather": 14 * 256 * 2, "reduce-scatter": 14 * 256 * 4
    }  # fmt: skip
    assert found["all-reduce"].shapes == (Shape("f32", (4096 * 8 * 128,)),)  # tiles, of an array of whatever axes


def test_the_network_between_slices_is_a_time_of_its_own() -> None:
    """A second within the slice and two of the network: all at once takes two, one after another three and more."""
    chip = dataclasses.replace(CHIPS["TPU v5e"], interconnect=1e8, network=1e6)
    near = Collective("collective-permute", (Shape("f32", (25_000_000,)),), 2, 1, "")
    far = Collective("all-reduce", (Shape("f32", (500_000,)),), 2, 1, "", slices=2)
    devices: list[Any] = [SimpleNamespace(coords=(place, 0, 0)) for place in range(4)]
    bound = roofline(chip, devices, Costs({"default": 1.0}, 1.0, {}), [near, far], Work(1000, 1.0))
    assert bound is not None
    assert (bound.interconnect, bound.network) == (pytest.approx(1.0), pytest.approx(2.0))
    assert (bound.limited_by, bound.bound) == ("network", bound.network)
    assert bound.one_by_one == pytest.approx(2.0 + bound.exchange, rel=1e-6)
    unknown = dataclasses.replace(chip, network=0.0)
    assert roofline(unknown, devices, Costs({"default": 1.0}, 1.0, {}), [near, far], Work(1000, 1.0)) is None
    assert roofline(unknown, devices, Costs({"default": 1.0}, 1.0, {}), [near], Work(1000, 1.0)) is not None


def test_what_goes_between_slices_is_told_apart_and_first() -> None:
    shape = (Shape("f32", (1000,)),)
    near, far = Collective("all-reduce", shape, 2, 9, ""), Collective("all-reduce", shape, 2, 1, "", slices=2)
    assert [(one.slices, one.runs) for one in exchanges([near, far])] == [(2, 1), (1, 9)]


def test_weights_between_slices_are_a_fault() -> None:
    mesh = make_mesh(MeshShape(2, 4, 1, slices=2), jax.devices()[:8])
    config = dataclasses.replace(CONFIG, groups=8, mesh=MeshShape(2, 4, 1, slices=2))

    def told(kind: str, *dims: int) -> list[str]:
        one = Collective(kind, (Shape("f32", dims),), 2, 1, "", slices=2)
        return sharding_faults([one], Costs({"default": 1.0}, 0.0, {}), config, mesh)

    assert told("all-reduce", 1024 * 4096) == []  # gradients
    assert told("all-gather", config.groups * 21, 256) == []  # vectors of the batch
    assert "over the network of the data centre" in told("all-gather", 1024 * 4096)[0]


@pytest.mark.slow
def test_slices_exchange_gradients_and_vectors_alone() -> None:
    """On two slices of four chips each part of the weights is summed once a chunk, and no weight is gathered."""
    pytest.importorskip("libtpu", reason=TPU_COMPILER)
    _ready("2*v5e:2x2")
    os.environ.setdefault("INSTRUCTOR_JAX_CACHE", "off")
    config = dataclasses.replace(CONFIG, groups=8, mesh=MeshShape(2, 4, 1))
    planned = plan_step(config, "2*v5e:2x2")
    mesh = make_mesh(config.mesh, devices_of("2*v5e:2x2"))
    weights = weight_bytes(config.model, mesh)
    far = [one for one in planned.exchanges if one.slices > 1]
    assert {one.participants for one in far} == {2}
    sums = sum(one.bytes * one.runs for one in far if one.kind == "all-reduce")
    table = 4 * 8192 * 1024 // 4  # is summed once, after all chunks
    assert sums == pytest.approx(config.gradient_cache_chunks * (weights - table) + table, rel=0.02)
    vectors = config.groups * config.group.examples * config.group.texts_per_example * config.model.embedding_dim * 4
    assert sum(one.bytes * one.runs for one in far if one.kind != "all-reduce") <= 3 * vectors
    assert planned.faults == ()
    assert planned.roofline is not None
    assert planned.roofline.network == pytest.approx(sum(one.sent for one in far) / 3.125e9, rel=1e-6)
