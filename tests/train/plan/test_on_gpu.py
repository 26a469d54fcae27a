"""Programs compiled for NVIDIA GPUs that nobody has here: the report of TPUs; attention that stays on the chip."""

import dataclasses
import importlib.util
import math

import jax
import pytest

from instructor_jax.nn.compute import Attention
from instructor_jax.sharding import MeshShape, make_mesh
from instructor_jax.text.buckets import Bucket
from instructor_jax.train.config import TrainConfig
from instructor_jax.train.data.group_packing import GroupShape
from instructor_jax.train.objective import LossConfig
from instructor_jax.train.plan.gpus import gpus, target_config
from instructor_jax.train.plan.hlo import parse_hlo
from instructor_jax.train.plan.plan import plan_encode, plan_step
from instructor_jax.train.plan.program import lowered_step
from instructor_jax.train.plan.report import report
from instructor_jax.train.plan.topology import devices_of

from ..random_batches import tiny_config

needs_the_compiler = pytest.mark.skipif(
    importlib.util.find_spec("jax_cuda13_plugin") is None,
    reason="needs NVIDIA's compiler: pip install 'instructor-jax[cuda-plan]'",
)
LENGTH, ROWS, HEADS = 256, 6, 2


def config_for(attention: Attention) -> TrainConfig:
    """A small step in bfloat16 whose axes all differ in size."""
    config = tiny_config(dtype="bfloat16", attention=attention, dropout=False)
    encoder = dataclasses.replace(config.model.encoder, embed=128, heads=HEADS, head_dim=64, ffn=320)
    model = dataclasses.replace(config.model, encoder=encoder, max_length=LENGTH, projection=None)
    group = GroupShape(ROWS, LENGTH, 6, 1)
    return dataclasses.replace(
        config, model=model, group=group, groups=1, loss=LossConfig("in_batch", 0.05), remat="full"
    )


def scores_in_memory(attention: Attention) -> list[str]:
    """Arrays that the compiled step writes to memory with a number for every row, head and pair of tokens."""
    config = config_for(attention)
    mesh = make_mesh(config.mesh, devices_of("h100:1"))
    program = parse_hlo(lowered_step(config, mesh).lowered.compile().as_text() or "")
    return [
        str(shape)
        for _, _, instruction in program.executed()
        for shape in instruction.shapes
        if shape.dims.count(LENGTH) >= 2 and math.prod(shape.dims) >= ROWS * LENGTH**2
    ]


@pytest.mark.slow
@needs_the_compiler
def test_fused_attention_writes_no_scores_to_memory() -> None:
    assert scores_in_memory("cudnn") == []
    assert scores_in_memory("einsum") != []  # so that the search would find them


@pytest.mark.slow
@needs_the_compiler
def test_a_plan_tells_of_gpus_what_it_tells_of_tpus(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSTRUCTOR_JAX_CACHE", "off")
    step = plan_step(config_for("einsum"), "h100:1")
    assert (step.devices, step.kind) == (1, gpus()["h100"].kind)
    assert step.memory is not None
    assert step.memory.available == gpus()["h100"].memory
    assert step.memory.fits
    assert step.roofline is not None
    assert 0 < step.roofline.mfu < 1
    assert step.exchanges == ()
    assert "attention scores of all pairs of tokens" in report(step)
    many = plan_step(dataclasses.replace(config_for("cudnn"), groups=8), "h200:8")
    assert many.devices == 8
    assert many.opaque > 0  # cuDNN's kernels do not tell their operations
    assert sum(one.sent for one in many.exchanges) > 0  # the gradients are summed
    model = config_for("einsum").model
    compute = dataclasses.replace(config_for("einsum").compute, remat="none")
    call = plan_encode(model, compute, "b200:1", MeshShape(), Bucket(LENGTH, 4), 1)
    assert call.kind == gpus()["b200"].kind
    assert call.roofline is not None
    assert call.roofline.tokens_per_second > 0


@pytest.mark.parametrize("name", ["h100:0", "h100:9", "h100:", "h100:2x2", "h200:-1", "b200:1e3"])
def test_a_wrong_number_of_gpus_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"\w+:1 to \w+:8 are GPUs of a machine"):
        devices_of(name)


def test_without_the_plugin_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"instructor-jax\[cuda-plan\]"):
        devices_of("h100:1")


def test_what_the_plugin_says_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from jax.experimental import topologies

    def refuse(*_, **__) -> None:
        raise jax.errors.JaxRuntimeError("UNKNOWN: no such field\nmore")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(topologies, "get_topology_desc", refuse)
    with pytest.raises(ValueError, match=r"no such field\).*jax-cuda13-plugin=="):
        devices_of("h100:1")


def test_descriptions_are_whole() -> None:
    for gpu in gpus().values():
        text = target_config(gpu)
        assert f"device_memory_size: {gpu.memory} " in text
        assert text.count("{") == text.count("}")
