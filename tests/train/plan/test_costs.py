"""Counts of operations, collectives and times against what can be counted by hand."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instructor_jax.sharding import MeshShape, make_mesh, named_sharding
from instructor_jax.train.chips import CHIPS, chip_of
from instructor_jax.train.plan.collectives import Collective, collectives
from instructor_jax.train.plan.costs import Costs, costs
from instructor_jax.train.plan.hlo import parse_hlo
from instructor_jax.train.plan.instruction import Shape
from instructor_jax.train.plan.links import exchange_seconds
from instructor_jax.train.plan.roofline import Work, roofline

M, K, N, LAYERS = 64, 32, 48, 5


def test_products_in_a_scan_are_counted_as_often_as_they_run() -> None:
    def function(x: jax.Array, weights: jax.Array) -> jax.Array:
        return jax.lax.scan(lambda x, w: (jnp.tanh(x @ w @ w.T), None), x, weights)[0]

    compiled = jax.jit(function).lower(
        jax.ShapeDtypeStruct((M, K), np.float32), jax.ShapeDtypeStruct((LAYERS, K, N), np.float32)
    ).compile()  # fmt: skip
    assert costs(parse_hlo(compiled.as_text() or "")).all_flops == LAYERS * 2 * (2 * M * K * N)


def test_collectives_of_a_sharded_product() -> None:
    """x W with the rows of W on four devices each: the products are summed over those."""
    mesh = make_mesh(MeshShape(data=2, fsdp=4))
    x = jax.ShapeDtypeStruct((M, K), np.float32, sharding=named_sharding(mesh, None, "embed"))
    w = jax.ShapeDtypeStruct((K, N), np.float32, sharding=named_sharding(mesh, "embed", None))
    with jax.set_mesh(mesh):
        compiled = jax.jit(lambda x, w: x @ w, out_shardings=named_sharding(mesh)).lower(x, w).compile()
    (one,) = collectives(parse_hlo(compiled.as_text() or ""), 8)
    assert (one.kind, one.participants, one.runs, one.bytes) == ("all-reduce", 4, 1, M * N * 4)
    assert one.sent == 2 * 3 / 4 * M * N * 4


def test_what_a_ring_sends() -> None:
    whole = Shape("f32", (8, 1000))
    kinds = {"all-gather": 28_000, "reduce-scatter": 28_000, "all-reduce": 56_000, "all-to-all": 28_000}
    found = [Collective(kind, (whole,), 8, 3, "") for kind in kinds]
    assert {one.kind: one.sent for one in found} == {kind: 3 * sent for kind, sent in kinds.items()}


def chips(*sides: int) -> list[Any]:
    """Devices of a slice that say where they lie."""
    return [SimpleNamespace(coords=(*place, 0)) for place in np.ndindex(*sides)]


@pytest.mark.parametrize(
    ("sides", "participants", "share", "steps"),
    [
        ((16, 16), 16, 1 / 2, 15),  # a ring along one of two axes
        ((16, 16), 256, 1, 30),  # both
        ((4, 4), 4, 1 / 4, 3),  # a line
        ((4, 4), 16, 1 / 2, 6),  # two lines
        ((4, 4), 2, 1 / 4, 1),
    ],
)
def test_links_that_a_collective_can_use(sides: tuple[int, int], participants: int, share: float, steps: int) -> None:
    chip = CHIPS["TPU v5e"]
    whole = Shape("f32", (1_000_000,))
    for kind, times in (("all-gather", 1), ("all-reduce", 2)):
        one = Collective(kind, (whole,), participants, 3, "")
        expected = one.sent / (share * chip.interconnect) + 3 * times * steps * 1e-6
        assert exchange_seconds(chip, chips(*sides), 1, [one]) == pytest.approx(expected)


def test_gpus_behind_a_switch_use_all_links() -> None:
    chip = CHIPS["NVIDIA H100"]
    one = Collective("all-gather", (Shape("f32", (1_000_000,)),), 8, 1, "")
    expected = one.sent / chip.interconnect + chip.start + 7 * chip.hop
    assert exchange_seconds(chip, [SimpleNamespace()] * 8, 1, [one]) == pytest.approx(expected)


def test_the_longest_of_three_times_is_the_bound() -> None:
    """Nothing to overlap is their sum; four chips in a line send one way over a link of four, in a microsecond each."""
    chip = dataclasses.replace(CHIPS["TPU v5e"], flops=1e12, memory=1e9, interconnect=1e8, high=3.0, highest=6.0)
    count = Costs({"default": 1e12, "high": 1e11, "highest": 0.0}, traffic=5e8, opaque={})
    sent = Collective("collective-permute", (Shape("f32", (50_000_000,)),), 2, 1, "")
    bound = roofline(chip, chips(4, 1), count, [sent], Work(tokens=1000, useful=2e12))
    assert bound.arithmetic == pytest.approx(1.3)
    assert bound.memory == pytest.approx(0.5)
    assert bound.interconnect == pytest.approx(2.0)
    assert (bound.bound, bound.limited_by) == (bound.interconnect, "interconnect")
    assert bound.exchange == pytest.approx(8.0 + 1e-6)
    assert bound.one_by_one == pytest.approx(9.8 + 1e-6)
    assert bound.mfu_one_by_one == pytest.approx(2e12 / (4e12 * 9.8), rel=1e-5)
    assert bound.tokens_per_second == pytest.approx(500)
    assert bound.mfu == pytest.approx(2e12 / (4e12 * 2.0))


def test_datasheets_by_device_kind() -> None:
    kinds = {"TPU v5 lite": "TPU v5e", "TPU v5": "TPU v5p", "TPU v6 lite": "TPU v6e", "NVIDIA H200": "H200 SXM"}
    for kind, name in kinds.items():
        chip = chip_of(kind)
        assert chip is not None
        assert chip.name == name
        assert chip.source.startswith("https://")
    assert chip_of("cpu") is None
