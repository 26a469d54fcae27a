"""The fused attention kernels against the einsum version, and when they are chosen.

On CPUs the kernels run as ordinary operations (Pallas' interpreter). That the real ones compile is tested in
`test_fused_attention_on_tpu.py`.
"""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.nn.compute import Attention, Compute
from instructor_jax.nn.einsum_attention import EinsumAttention
from instructor_jax.nn.fused_attention.api import diagonal_offsets
from instructor_jax.nn.fused_attention.backend import FusedAttention
from instructor_jax.nn.fused_attention.choice import choose_attention
from instructor_jax.nn.fused_attention.plan import KernelPlan, vmem_bytes
from instructor_jax.nn.layers import DropoutSite
from instructor_jax.nn.model import embed, param_shardings
from instructor_jax.nn.relative_bias import offset_buckets
from instructor_jax.sharding import MeshShape, make_mesh, named_sharding
from instructor_jax.text.batches import TokenBatch

from ...small_models import SMALL, UMT5, leaves, random_params

ROWS = 2
BUCKETS = partial(offset_buckets, buckets=32, max_distance=128)
# compiled without LLVM's optimisations: these programs run once and would take longer to compile
FAST = {"xla_backend_optimization_level": 0}


@dataclasses.dataclass(frozen=True)
class Case:
    """Random inputs of one attention call: packed rows, the second of them a quarter padding."""

    length: int
    heads: int
    head_dim: int
    dropout: float = 0.0
    program_rows: int = ROWS
    groups: int = 1
    softcap: float = 0.0

    def inputs(self, dtype: Any) -> tuple[Array, ...]:
        """Query, key, value [groups, rows, heads, len, head_dim], the bias table, and weights of the result."""
        random = np.random.default_rng(self.length)
        shape = (self.groups, ROWS, self.heads, self.length, self.head_dim)
        query, key, value, weights = (jnp.asarray(random.standard_normal(shape), dtype) for _ in range(4))
        return query * self.head_dim**-0.5, key, value, jnp.asarray(random.standard_normal((32, self.heads))), weights

    @property
    def segments(self) -> np.ndarray:
        """Texts of the rows."""
        random = np.random.default_rng(1)
        segments = np.sort(random.integers(0, 4, (self.groups, ROWS, self.length)), axis=-1).astype(np.int32)
        segments[:, 1, self.length * 3 // 4 :] = -1
        return segments

    @property
    def row_keys(self) -> Array | None:
        """Keys of dropout."""
        return jax.random.split(jax.random.key(3), (self.groups, ROWS)) if self.dropout else None


def einsum_version(case: Case, query: Array, key: Array, value: Array, table: Array) -> Array:
    attention = EinsumAttention(jnp.asarray(case.segments), query.dtype, softcap=case.softcap or None)
    bias = jnp.moveaxis(table[attention.by_offset(BUCKETS)], -1, 0)
    return attention.attend((query, key, value), bias, DropoutSite(case.dropout, 1), case.row_keys)


def fused_version(case: Case, query: Array, key: Array, value: Array, table: Array) -> Array:
    config = EncoderConfig(heads=case.heads, head_dim=case.head_dim, dropout=case.dropout)
    segments, keys = jnp.asarray(case.segments), case.row_keys
    plan = choose_attention(Compute(query.dtype, attention="fused"), config, segments, keys)
    assert plan is not None
    assert plan.program_rows == ROWS
    plan = dataclasses.replace(plan, program_rows=case.program_rows, softcap=case.softcap)
    attention = FusedAttention(plan, segments, query.dtype)
    bias = jnp.moveaxis(table[attention.by_offset(BUCKETS)], -1, 0)
    states = (query.swapaxes(3, 4), key.swapaxes(3, 4), value.swapaxes(3, 4))
    return attention.attend(states, bias, DropoutSite(case.dropout, 1), keys).swapaxes(3, 4)


def result_and_gradients(version: Any, case: Case, dtype: Any) -> list[np.ndarray]:
    """The result, and gradients of query, key, value and table, as float32."""
    *arguments, weights = case.inputs(dtype)
    # nothing reads the states of padding, so no gradient comes from there
    weights = weights * jnp.asarray(case.segments >= 0, dtype)[:, :, None, :, None]

    def loss(*arguments: Array) -> tuple[Array, Array]:
        out = version(case, *arguments)
        return (out.astype(jnp.float32) * weights.astype(jnp.float32)).sum(), out

    (_, out), gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2, 3), has_aux=True), compiler_options=FAST)(
        *arguments
    )
    return [np.asarray(x, np.float32) for x in (out, *gradients)]


CASES = [
    Case(128, 2, 64, program_rows=1),  # one block; a program for each row
    Case(256, 1, 128, dropout=0.25),  # several blocks; one program for all rows
    Case(200, 3, 8, dropout=0.1, program_rows=1),  # no whole blocks
    Case(16, 2, 8),  # less than a block
    Case(136, 2, 16, dropout=0.1, softcap=1.5),  # products, which are of order 1, below a soft cap
]


def assert_equal(got: list[np.ndarray], expected: list[np.ndarray]) -> None:
    # the same sums in another order; values of order 1. Padding tokens included: they mix the row's values evenly
    np.testing.assert_allclose(got[0], expected[0], rtol=0, atol=1e-5)
    for gradient, reference in zip(got[1:], expected[1:], strict=True):
        # sums over up to 2 * 256 * 256 pairs for the table, so relative to the largest entry
        np.testing.assert_allclose(gradient, reference, rtol=0, atol=1e-5 * max(1.0, float(np.abs(reference).max())))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.length}-{case.heads}x{case.head_dim}")
def test_float32_equals_einsum(case: Case) -> None:
    expected = result_and_gradients(einsum_version, case, jnp.float32)
    assert_equal(result_and_gradients(fused_version, case, jnp.float32), expected)


@pytest.mark.slow
def test_sharded_over_rows_and_heads() -> None:
    """Eight devices drop the same weights as one, and sum the table's gradient over all of them."""
    case = Case(24, 4, 8, dropout=0.1, groups=4)
    expected = result_and_gradients(einsum_version, case, jnp.float32)
    with jax.set_mesh(make_mesh(MeshShape(data=2, fsdp=2, tensor=2))):
        got = result_and_gradients(fused_version, case, jnp.float32)
    assert_equal(got, expected)


@pytest.mark.slow
def test_bfloat16_is_as_exact_as_einsum() -> None:
    case = Case(128, 2, 64, dropout=0.1)
    low = case.inputs(jnp.bfloat16)

    def exact(case: Case, *arguments: Array) -> Array:
        return einsum_version(case, *(x.astype(jnp.float32) for x in arguments))

    truth = result_and_gradients(exact, case, jnp.bfloat16)
    einsum = result_and_gradients(einsum_version, case, jnp.bfloat16)
    fused = result_and_gradients(fused_version, case, jnp.bfloat16)
    assert low[0].dtype == jnp.bfloat16
    for name, right, one, other in zip(("out", "query", "key", "value", "table"), truth, einsum, fused, strict=True):
        scale = np.abs(right).max()
        # operands of the second product and the result are rounded to 8 bits each, 2^-9 relative; both versions do it
        assert np.abs(other - right).max() <= 2**-7 * scale, name
        # ... in different places, so their errors differ, but not in size
        assert np.sqrt(np.mean((other - right) ** 2)) <= 1.25 * np.sqrt(np.mean((one - right) ** 2)) + 1e-7, name


@pytest.mark.slow
def test_bias_vectors_hold_the_bucket_of_every_pair() -> None:
    length = 384
    segments = jnp.zeros((1, 1, length), jnp.int32)
    matrix = np.asarray(EinsumAttention(segments, jnp.float32).by_offset(BUCKETS))
    offsets = diagonal_offsets(length)
    vector = np.asarray(FusedAttention(KernelPlan(length, 1), segments, jnp.float32).by_offset(BUCKETS))[0]
    by_offset = dict(zip(offsets.tolist(), vector.tolist(), strict=True))
    assert len(by_offset) == 2 * length
    query, key = np.indices(matrix.shape)
    np.testing.assert_array_equal(np.vectorize(by_offset.__getitem__)(key - query), matrix)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("length", [128, 256, 384, 512])
@pytest.mark.parametrize("head_dim", [64, 128])
def test_programs_fit_on_chip(head_dim: int, length: int, dtype: Any) -> None:
    plan = choose_attention(
        Compute(dtype, attention="fused"), EncoderConfig(head_dim=head_dim), jnp.zeros((3, 20, length), jnp.int32)
    )
    assert plan is not None
    assert vmem_bytes(plan, head_dim, jnp.dtype(dtype).itemsize) < 16 << 20
    assert 60 % plan.program_rows == 0


def batch(groups: int, length: int) -> TokenBatch:
    random = np.random.default_rng(0)
    segments = np.sort(random.integers(0, 3, (groups, ROWS, length)), axis=2).astype(np.int32)
    segments[:, :, length - 3 :] = -1
    tokens = random.integers(2, 600, segments.shape).astype(np.int32)
    slots = np.tile(np.arange(8, dtype=np.int32), (groups, 1))
    return TokenBatch(tokens, segments, (segments >= 0) & (tokens % 5 > 0), slots, 4)


def gradients(config: ModelConfig, attention: Attention, params: Any, texts: TokenBatch) -> dict[str, Any]:
    """Vectors, and parameters' gradients, of a whole model under scan and rematerialisation."""

    def loss(params: Any) -> tuple[Array, Array]:
        vectors = embed(config, params, texts, compute=Compute(remat="full", attention=attention))
        return (vectors * jnp.arange(vectors.size, dtype=jnp.float32).reshape(vectors.shape) % 7).sum(), vectors

    (_, vectors), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    return {"vectors": vectors, **gradient}


@pytest.mark.slow
@pytest.mark.parametrize("config", [SMALL, UMT5], ids=["one table", "a table for every layer"])
def test_a_sharded_model(config: ModelConfig) -> None:
    """On a mesh, against the einsum version on one device."""
    params, texts = random_params(config), batch(4, 16)
    expected = leaves(jax.jit(partial(gradients, config, "einsum"), compiler_options=FAST)(params, texts))
    mesh = make_mesh(MeshShape(data=2, fsdp=2, tensor=2))
    with jax.set_mesh(mesh):
        params = jax.device_put(params, param_shardings(config, mesh))
        texts = jax.device_put(texts, named_sharding(mesh, "batch"))
        got = leaves(jax.jit(partial(gradients, config, "fused"), compiler_options=FAST)(params, texts))
    assert set(got) == set(expected)
    for name, reference in expected.items():
        # float32, the same sums in another order, through up to three layers and back
        scale = max(1.0, float(np.abs(reference).max()))
        np.testing.assert_allclose(got[name], reference, rtol=0, atol=2e-5 * scale, err_msg=name)


@pytest.mark.slow
def test_cpus_compute_as_ever() -> None:
    """On CPUs "auto" is einsum: the very same program."""
    params, texts = random_params(SMALL), batch(1, 128)
    programs = {
        attention: jax.jit(partial(embed, SMALL, compute=Compute(attention=attention))).lower(params, texts).as_text()
        for attention in ("auto", "einsum", "fused")
    }
    assert programs["auto"] == programs["einsum"]
    assert programs["fused"] != programs["einsum"]


@pytest.mark.parametrize(
    ("config", "dtype", "length", "message"),
    [
        (EncoderConfig(), jnp.float16, 128, "float32 and bfloat16, not in float16"),
        (EncoderConfig(), jnp.bfloat16, 8192, "rows of 8192 tokens in bfloat16 do not fit"),
    ],
)
def test_what_the_kernels_cannot_compute(config: EncoderConfig, dtype: Any, length: int, message: str) -> None:
    segments = jnp.zeros((1, 1, length), jnp.int32)
    assert choose_attention(Compute(dtype), config, segments) is None
    with pytest.raises(ValueError, match=f"'fused' is impossible here: .*{message}"):
        choose_attention(Compute(dtype, attention="fused"), config, segments)


def test_what_does_not_divide_over_the_mesh() -> None:
    segments = jnp.zeros((3, 1, 128), jnp.int32)
    with jax.set_mesh(make_mesh(MeshShape(data=4, tensor=2))):
        with pytest.raises(ValueError, match="3 groups are no multiple of the 4 devices"):
            choose_attention(Compute(attention="fused"), EncoderConfig(), segments)
        with pytest.raises(ValueError, match="3 heads are no multiple of the 2 devices"):
            choose_attention(Compute(attention="fused"), EncoderConfig(heads=3), jnp.zeros((4, 1, 128), jnp.int32))


def test_an_unknown_choice(unchecked: None) -> None:
    with pytest.raises(ValueError, match="attention='flash' must be auto, einsum, fused or cudnn"):
        choose_attention(Compute(attention="flash"), EncoderConfig(), jnp.zeros((1, 1, 128), jnp.int32))  # type: ignore[arg-type]
