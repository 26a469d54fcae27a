"""What the real TPU compiler makes of the step's sharding on 16 chips that are not there; a broken rule shows."""

import dataclasses
import importlib.util
import os

import pytest

from instructor_jax import sharding
from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.sharding import MeshShape
from instructor_jax.train.config import TrainConfig
from instructor_jax.train.data.group_packing import GroupShape
from instructor_jax.train.objective import LossConfig
from instructor_jax.train.optimizer import OptimizerConfig
from instructor_jax.train.plan.main import _ready
from instructor_jax.train.plan.plan import plan_step
from instructor_jax.train.plan.record import Plan

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("libtpu") is None, reason="needs the TPU compiler: pip install 'instructor-jax[tpu]'"
    ),
]

# Matrices of 8 MiB, so that they are summed in parts: compilers sum small ones whole.
CONFIG = TrainConfig(
    model=ModelConfig(
        EncoderConfig(vocab=8192, embed=1024, layers=3, heads=8, head_dim=128, ffn=4096), 256, max_length=128
    ),
    group=GroupShape(rows=24, length=128, examples=7, negatives=1),
    groups=16,
    loss=LossConfig("in_batch", 0.05),
    mesh=MeshShape(4, 4, 1),
    dtype="bfloat16",
    dropout=False,
    gradient_cache_chunks=2,
    remat="full",
)
MATRICES = {(1024, 1024), (1024, 4096)}  # of a layer, whole


@pytest.fixture(scope="module")
def planned() -> Plan:
    _ready("v5e:4x4")
    os.environ.setdefault("INSTRUCTOR_JAX_CACHE", "off")
    return plan_step(CONFIG, "v5e:4x4")


def test_it_fits_and_nothing_is_wrong(planned: Plan) -> None:
    assert planned.memory is not None
    assert planned.memory.available == pytest.approx(15.75 * 2**30, rel=1e-3)
    assert planned.fits
    assert planned.faults == ()


def test_parameters_are_gathered_layer_by_layer(planned: Plan) -> None:
    """Every whole weight is gathered in bfloat16, in each pass of each chunk through each layer: three passes."""
    gathered = [one for one in planned.exchanges if one.kind == "all-gather" and one.bytes == 2 * 1024 * 4096]
    assert gathered
    assert {one.participants for one in gathered} == {4}
    chunks = CONFIG.gradient_cache_chunks
    passes = 3 * chunks * CONFIG.model.encoder.layers  # forward, again for the chunk, again for the layer
    assert sum(one.runs for one in gathered) == pytest.approx(2 * passes, abs=2 * chunks)  # wi and wo


def test_gradients_are_scattered(planned: Plan) -> None:
    scattered = [one for one in planned.exchanges if one.kind == "reduce-scatter"]
    assert sum(one.runs for one in scattered if one.bytes >= 2 * 1024 * 4096) >= 2 * CONFIG.model.encoder.layers
    largest = max((one.bytes for one in planned.exchanges if one.kind == "all-reduce"), default=0)
    # parts of gradients are summed over `data`: a quarter of all of a layer's, in float32
    assert largest <= (4 * 1024 * 1024 + 2 * 1024 * 4096) * 4 // 4 + 2**20


def test_a_broken_rule_shows(planned: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices along `fsdp` get the same examples: they compute the same, or send one another activations."""
    monkeypatch.setitem(sharding._RULES, "batch", "data")
    one_layer = dataclasses.replace(CONFIG.model.encoder, layers=2)
    broken = plan_step(
        dataclasses.replace(CONFIG, model=dataclasses.replace(CONFIG.model, encoder=one_layer)), "v5e:4x4"
    )
    told = ("devices compute the same", "activations of other devices' tokens")
    assert any(words in fault for fault in broken.faults for words in told), broken.faults


def test_copies_of_the_weights_add_gradients_once_and_keep_parts_of_the_moments() -> None:
    """Sixteen copies, two chunks of three layers: left alone, kernels' gradients are summed six times, in bfloat16."""
    alone = dataclasses.replace(CONFIG, mesh=MeshShape(16))
    optimizer = OptimizerConfig(split_moments=True, sum_gradients_once=True)
    plans = [plan_step(config, "v5e:4x4") for config in (alone, dataclasses.replace(alone, optimizer=optimizer))]
    numbers = 3 * 1024 * 4096  # of the largest weights, all layers stacked
    summed = [
        [
            one
            for one in plan.exchanges
            if one.kind in ("all-reduce", "reduce-scatter") and one.bytes >= 2 * numbers // 3
        ]
        for plan in plans
    ]
    assert sum(one.runs for one in summed[0]) >= 6
    assert any("bf16" in one.arrays for one in summed[0])
    assert all(one.runs == 1 and "bf16" not in one.arrays for one in summed[1])
    assert sum(one.bytes for one in summed[1]) >= 4 * 2 * numbers
    assert plans[1].faults == ()
    memory = [plan.memory for plan in plans]
    assert memory[0] is not None
    assert memory[1] is not None
    # weights and two moments of equal size before; a sixteenth of the moments after, but for small ones
    assert memory[1].arguments <= (1 + 2 / 16 + 0.05) / 3 * memory[0].arguments
