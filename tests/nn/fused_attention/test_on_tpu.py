"""The fused attention kernels through the real TPU compiler, for chips that are not there; nothing runs."""

import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from jaxtyping import Array

from instructor_jax.backbones.published import PUBLISHED
from instructor_jax.backbones.t5.config import T5Config
from instructor_jax.backbones.t5.encoder import SelfAttention
from instructor_jax.nn.attention import attention_backend
from instructor_jax.nn.compute import Attention, Compute
from instructor_jax.nn.relative_bias import offset_buckets
from instructor_jax.sharding import MeshShape, data_shards, make_mesh, named_sharding

LENGTH = 512


class CappedConfig(T5Config):
    """A family whose scores are bounded, with the head's width of Gemma."""

    softcap = 50.0


EVERY_DEVICE = MeshShape()  # with other rows


@pytest.fixture(scope="module")
def tpus() -> list[Any]:
    """Four v5e chips, described."""
    pytest.importorskip("libtpu", reason="needs the TPU compiler: pip install 'instructor-jax[tpu]'")
    from jax.experimental import topologies

    return list(topologies.get_topology_desc("v5e:2x2", "tpu").devices)


def compile_layer(
    config: Any,
    attention: Attention,
    devices: list[Any],
    shape: MeshShape = EVERY_DEVICE,
    rows: int = 2,
    *,
    dropout: bool = False,
) -> jax.stages.Compiled:
    """One attention layer in bfloat16 for these devices: its result and all gradients."""
    mesh = make_mesh(shape, devices)
    groups = data_shards(mesh)
    with nnx.use_eager_sharding(False):
        graph, state = nnx.split(nnx.eval_shape(lambda: SelfAttention(config, nnx.Rngs(0))))

    def forward(params: Any, table: Array, x: Array, segments: Array) -> Array:
        keys = jax.random.split(jax.random.key(0), segments.shape[:2]) if dropout else None
        backend = attention_backend(Compute(jnp.bfloat16, attention=attention), config, segments, keys)
        buckets = backend.by_offset(partial(offset_buckets, buckets=32, max_distance=128))
        return nnx.merge(graph, nnx.State(params))(x, jnp.moveaxis(table[buckets], -1, 0), backend, keys)

    def both(params: Any, table: Array, x: Array, segments: Array, gradient: Array) -> Any:
        out, backward = jax.vjp(lambda params, table, x: forward(params, table, x, segments), params, table, x)
        return out, backward(gradient)

    def described(shape: tuple[int, ...], dtype: Any, *logical: str | None) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype, sharding=named_sharding(mesh, *logical))

    params = {
        name: described(variable.shape, jnp.float32, *variable.get_metadata()["out_sharding"])
        for name, variable in dict(state.items()).items()
        if isinstance(variable, nnx.Variable)
    }
    table = described((32, config.heads), jnp.float32, None, "heads")
    x = described((groups, rows, LENGTH, config.embed), jnp.bfloat16, "batch")
    with jax.set_mesh(mesh):
        return jax.jit(both).lower(params, table, x, described(x.shape[:3], jnp.int32, "batch"), x).compile()


def writes_scores(program: str) -> bool:
    """Whether some array of the program ends in [len, len]."""
    return re.search(rf"\[(\d+,)+{LENGTH},{LENGTH}\]", program) is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        *(PUBLISHED[name].encoder for name in ("t5-base", "t5-large", "t5-3b")),
        CappedConfig(heads=4, head_dim=256),
        T5Config(heads=4, head_dim=512),  # as wide as the heads of EmbeddingGemma 2's layers that see all of a text
    ],
    ids=["t5-base", "t5-large", "t5-3b", "bounded scores", "wide heads"],
)
def test_forward_and_backward_compile(tpus: list[Any], config: T5Config) -> None:
    """On a TPU "auto" is the kernels, and no array of scores is left."""
    fused = compile_layer(config, "auto", tpus[:1], dropout=True)
    program = str(fused.as_text())
    assert "attention_forward" in program
    assert "attention_backward" in program
    # as wide as a row is long, states look like scores
    assert config.head_dim == LENGTH or not writes_scores(program)


@pytest.mark.slow
def test_einsum_writes_scores_and_moves_more(tpus: list[Any]) -> None:
    """What the test above would find; and how much is saved, for 8 rows of the base size."""
    config = PUBLISHED["t5-base"].encoder
    fused, einsum = (compile_layer(config, attention, tpus[:1], rows=8) for attention in ("fused", "einsum"))
    assert writes_scores(str(einsum.as_text()))
    # 8 x 12 x 512 x 512 scores in float32 are 96 MiB; what the kernels keep is a few arrays of 8 x 512 x 768
    kept: list[Any] = [program.memory_analysis() for program in (einsum, fused)]
    moved: list[Any] = [program.cost_analysis() for program in (einsum, fused)]
    assert kept[0].temp_size_in_bytes > 2 * kept[1].temp_size_in_bytes
    assert moved[0]["bytes accessed"] > 2 * moved[1]["bytes accessed"]


@pytest.mark.slow
def test_sharded_over_rows_and_heads(tpus: list[Any]) -> None:
    """Every device computes its own heads of its own rows; nothing of the size of activations is gathered for that."""
    program = compile_layer(PUBLISHED["t5-base"].encoder, "auto", tpus, MeshShape(data=2, tensor=2))
    program = str(program.as_text())
    assert "attention_backward" in program
    assert not writes_scores(program)
    assert "all-gather" not in program
