"""Plans of the very step that runs, on CPU devices; and what a plan keeps, tells and finds again."""

import dataclasses
import json
from operator import attrgetter
from pathlib import Path
from typing import Any

import jax
import pytest

from instructor_jax import cli
from instructor_jax.backbones.published import PUBLISHED
from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.nn.compute import Compute
from instructor_jax.sharding import MeshShape, make_mesh
from instructor_jax.text.buckets import Bucket
from instructor_jax.train.config import TrainConfig
from instructor_jax.train.data.group_packing import GroupShape
from instructor_jax.train.flops import training_flops_per_token
from instructor_jax.train.objective import LossConfig
from instructor_jax.train.plan.plan import plan_encode, plan_step
from instructor_jax.train.plan.program import abstract_batch
from instructor_jax.train.plan.record import Exchange, Plan, from_json, to_json
from instructor_jax.train.plan.report import report, table
from instructor_jax.train.plan.search.sweep import meshes, sweep
from instructor_jax.train.plan.settings import planned_config
from instructor_jax.train.recipes import recipe
from instructor_jax.train.settings.sections import CompilerConfig

from ..random_batches import random_batch, tiny_config

MODEL = ModelConfig(EncoderConfig(vocab=512, embed=64, layers=2, heads=4, head_dim=16, ffn=256), 64, max_length=64)
CONFIG = TrainConfig(
    model=MODEL,
    group=GroupShape(rows=6, length=64, examples=2, negatives=1),
    groups=8,
    loss=LossConfig("in_batch", 0.05),
    mesh=MeshShape(2, 4, 1),
    gradient_cache_chunks=2,
    remat="full",
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of plans."""
    monkeypatch.setenv("INSTRUCTOR_JAX_CACHE", str(tmp_path / "xla"))
    return tmp_path / "plans"


@pytest.fixture(scope="module")
def planned() -> Plan:
    return plan_step(CONFIG, "cpu")


def test_the_batch_is_that_of_a_run() -> None:
    config = tiny_config()
    ours, real = abstract_batch(config, make_mesh(MeshShape())), random_batch(config, seed=0)
    for name in (
        "texts.tokens",
        "texts.pooled",
        "texts.slots",
        "task",
        "query_id",
        "negative_id",
        "valid",
        "negative_valid",
    ):
        a, b = attrgetter(name)(ours), attrgetter(name)(real)
        assert (a.shape, a.dtype) == (b.shape, b.dtype), name


@pytest.mark.slow
def test_a_plan_of_a_step(planned: Plan) -> None:
    assert planned.mesh == {"data": 2, "fsdp": 4, "tensor": 1}
    assert planned.memory is not None
    assert planned.fits
    tokens = CONFIG.groups * CONFIG.group.tokens
    # chunks and layers are computed again: 10 operations a weight where 6 are useful; attention and loss on top
    assert 1.3 <= planned.operations * 8 / (tokens * training_flops_per_token(MODEL)) <= 2.5
    assert planned.roofline is None
    assert {"all-gather", "all-reduce"} <= {one.kind for one in planned.exchanges}
    assert "fits" in report(planned)
    assert table([planned]).count("\n") == 2


@pytest.mark.slow
def test_json_there_and_back(planned: Plan) -> None:
    assert from_json(json.loads(json.dumps(to_json(planned)))) == planned


def test_a_plan_is_made_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = dataclasses.replace(MODEL, encoder=dataclasses.replace(MODEL.encoder, layers=1))
    first = plan_encode(model, Compute("float32"), "cpu:1", MeshShape(), Bucket(64, 2), 1)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(jax.stages.Lowered, "compile", lambda *_: pytest.fail("compiled again"))
    assert plan_encode(model, Compute("float32"), "cpu:1", MeshShape(), Bucket(64, 2), 1) == first


def test_a_compiler_of_another_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What JAX said of a program that a newer libtpu had made for v5p."""

    def refuse(*_) -> str:
        raise jax.errors.JaxRuntimeError("INTERNAL: RET_CHECK failure: async-update instruction\nmore")

    monkeypatch.setattr(jax.stages.Compiled, "as_text", refuse)
    with pytest.raises(ValueError, match=r"async-update instruction\).*pip install 'instructor-jax\[tpu\]'"):
        plan_encode(MODEL, Compute("float32"), "cpu:1", MeshShape(), Bucket(64, 2), 1)


def test_products_in_parts_are_told_with_what_makes_them_whole() -> None:
    piece = Exchange("collective-permute", "bf16[16384,1,64]", 2, 19_584, 2**21, 4e10)
    plan = Plan("training step", "v5p:2x2x4", "TPU v5", 16, {"fsdp": 16}, {}, None, traffic=1.0, exchanges=(piece,))
    flag = 'compiler.flags=["xla_jf_spmd_threshold_for_windowed_einsum_mib=1000000"]'
    assert flag in report(plan)
    assert flag not in report(dataclasses.replace(plan, exchanges=(dataclasses.replace(piece, runs=9),)))
    assert flag not in report(dataclasses.replace(plan, kind="NVIDIA H100"))


@pytest.mark.slow
def test_a_plan_compiles_with_the_flags_of_the_run(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The options that reach JAX are the run's, a plan without them is another one, and the dry run has them, too."""
    options: list[dict[str, Any]] = []
    jit = jax.jit

    def noted(*args: Any, **named: Any) -> Any:
        options.append(dict(named.get("compiler_options") or {}))
        return jit(*args, **named)

    monkeypatch.setattr(jax, "jit", noted)
    plain = plan_step(CONFIG, "cpu")
    flags = CompilerConfig(flags=("xla_cpu_enable_fast_math=false", "xla_backend_optimization_level=1"), dump=True)
    planned = plan_step(CONFIG, "cpu", options=flags.options())
    given = {"xla_cpu_enable_fast_math": False, "xla_backend_optimization_level": 1}
    assert options[-1].items() >= given.items()
    assert "xla_dump_to" not in options[-1]  # a plan has no run's folder
    assert planned.settings == plain.settings | given
    assert len(list(cache.iterdir())) == 2
    assert "xla_backend_optimization_level=1" in report(planned)
    for command in (["plan", "tiny", "--topology", "cpu:8"], ["train", "tiny", "--dry-run"]):
        with pytest.raises(SystemExit):
            cli.main([*command, "batch.groups=8", 'compiler.flags=["xla_no_such_option=1"]'])
        assert "the compiler does not take" in capsys.readouterr().err


def test_published_sizes_need_no_folder() -> None:
    run = dataclasses.replace(recipe("modern_base"), init_from="gtr-t5-xl")
    config = planned_config(run)
    assert config.model.encoder == PUBLISHED["gtr-t5-xl"].encoder
    assert config.group.examples == 64 // 3
    with pytest.raises(ValueError, match="downloads nothing"):
        planned_config(dataclasses.replace(run, init_from="nobody/knows-this"))


def made_up(base: Plan, config: TrainConfig, constant: int, each: int, available: int = 100_000) -> Plan:
    """A plan whose step takes `constant` bytes and `each` for an example."""
    assert base.memory is not None
    examples = config.groups * config.group.examples
    memory = dataclasses.replace(
        base.memory, available=available, arguments=constant, results=0, shared=0, code=0, temporaries=each * examples
    )
    settings = {
        **base.settings, "examples": examples, "remat": config.remat, "chunks": config.gradient_cache_chunks
    }  # fmt: skip
    return dataclasses.replace(
        base, memory=memory, settings=settings, mesh=dict(zip("dfts", dataclasses.astuple(config.mesh), strict=True))
    )


@pytest.mark.slow
@pytest.mark.parametrize(("each", "batches"), [(30, [32, 512, 2048]), (3000, [32, 64]), (1, [32, 512, 8192, 65536])])
def test_a_sweep_takes_the_best_mesh_and_grows_its_batch(planned: Plan, each: int, batches: list[int]) -> None:
    """Of plans made up: fsdp=4 is best, and the batch grows from 16 to the largest that fits and one beyond it."""

    def planner(config: TrainConfig) -> Plan:
        if config.mesh.tensor > 1:
            raise ValueError("heads")
        return made_up(planned, config, abs(config.mesh.fsdp - 4) + 10 * (config.remat == "full"), each)

    found = sweep(CONFIG, 8, planner)
    assert len(found.plans) <= 12
    assert found.best is not None
    assert found.largest is not None
    assert found.best.mesh["f"] == 4
    # with the recipe's chunks, then with one; then what else layers may keep, and the best of it on every mesh
    assert [one.settings["chunks"] for one in found.plans[:2]] == [2, 1]
    assert [one.settings["remat"] for one in found.plans[:4]] == ["full", "full", "attention", "dots"]
    assert {one.settings["remat"] for one in found.plans[4:]} == {"attention"}
    sizes = [one.settings["examples"] for one in found.plans if one.settings["examples"] > 16]
    assert sizes[: len(batches)] == batches
    # half as much again would not fit, or no compilation was left
    assert found.largest.settings["examples"] * 2 * each > 90_000 or len(found.plans) == 12
    assert found.refused
    assert all(one.resolve(8) for one in meshes(CONFIG, 8))


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    small = ["model.encoder.vocab=90", "model.encoder.embed=16", "model.encoder.heads=2", "model.encoder.head_dim=8"]
    cli.main(
        ["plan", "tiny", "--topology", "cpu:8", "model.encoder.ffn=32", "model.projection=8", "model.max_length=32",
         "batch.groups=8", "--encode", "--json", str(tmp_path / "plan.json"), *small]
    )  # fmt: skip
    assert "encode on cpu:8" in capsys.readouterr().out
    assert json.loads((tmp_path / "plan.json").read_text())["memory"]["fits"]
    with pytest.raises(SystemExit):
        cli.main(["plan", "tiny", "--topology", "v5e:5x5"])
    assert "16x16" in capsys.readouterr().err
