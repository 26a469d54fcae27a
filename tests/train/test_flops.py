import dataclasses
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from instructor_jax.backbones.published import PUBLISHED
from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.nn.model import abstract_params, embed
from instructor_jax.text.batches import TokenBatch
from instructor_jax.train import flops
from instructor_jax.train.flops import peak_flops, training_flops_per_token, utilization


def test_a_forward_pass_is_a_third_of_what_xla_counts() -> None:
    """XLA's own count of a forward pass over full rows, which has attention's scores and the norms on top."""
    config = ModelConfig(EncoderConfig(vocab=64, embed=256, layers=2, heads=4, head_dim=64, ffn=1024), projection=8)
    groups, rows, length = 1, 4, 16
    shape: Any = jax.ShapeDtypeStruct
    batch = TokenBatch(
        tokens=shape((groups, rows, length), jnp.int32),
        segments=shape((groups, rows, length), jnp.int32),
        pooled=shape((groups, rows, length), jnp.bool_),
        slots=shape((groups, rows), jnp.int32),
        segments_per_row=4,
    )
    # layers apart: XLA counts the body of a scan once
    one_layer = dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, layers=1))
    lowered = jax.jit(lambda p, b: embed(one_layer, p, b)).lower(abstract_params(one_layer), batch)
    analysis = lowered.compile().cost_analysis()
    assert analysis is not None
    counted = analysis["flops"]
    ours = training_flops_per_token(one_layer) / 3 * groups * rows * length
    assert 1.0 <= counted / ours < 1.15


def test_published_sizes() -> None:
    """85 M weights in the layers of base (Raffel et al. 2020: 220 M with decoder and table), six operations each."""
    assert training_flops_per_token(PUBLISHED["gtr-t5-base"]) == pytest.approx(6 * 85e6, rel=0.01)


@pytest.mark.parametrize(
    ("kind", "peak"), [("NVIDIA H200", 989e12), ("TPU v5 lite", 197e12), ("TPU v5", 459e12), ("cpu", None)]
)
def test_peaks(kind: str, peak: float | None) -> None:
    assert peak_flops(kind) == peak


@pytest.mark.parametrize(("cores", "chips"), [(1, 4), (2, 2)])  # v5e; TPU7x and v4 without megacore
def test_devices_that_share_a_chip_share_its_peak(monkeypatch, cores: int, chips: int) -> None:
    devices = [SimpleNamespace(device_kind="TPU v4", core_on_chip=index % cores) for index in range(4)]
    monkeypatch.setattr(
        flops, "jax", SimpleNamespace(devices=lambda: devices, local_devices=lambda: devices, device_count=lambda: 4)
    )
    config = PUBLISHED["gtr-t5-base"]
    full = 275e12 * chips / training_flops_per_token(config)  # tokens a second at the peak of all chips
    assert utilization(config, full) == pytest.approx(1.0)


def test_a_cpu_has_no_utilization() -> None:
    assert utilization(PUBLISHED["gtr-t5-base"], 1000.0) is None
