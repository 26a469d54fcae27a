"""cuDNN's attention without a GPU: JAX's private binding is what it was, and is given the right arrays.

The binding is stood in for by a reference that computes what its documentation says: each text a sequence of its own,
the bias by place within the text, anything at all where there is no text. That cuDNN does so only a card can show.
"""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.cudnn import fused_attention_stablehlo as binding

from instructor_jax.config import EncoderConfig
from instructor_jax.nn.attention import AttentionBackend, attention_backend
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.cudnn_attention import CudnnAttention, for_described_gpus, most_texts, text_places
from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.nn.einsum_attention import EinsumAttention

CONFIG = EncoderConfig(vocab=90, embed=16, layers=1, heads=2, head_dim=8, ffn=32)
# Two groups of two rows of 16 tokens: full, with padding at the end, with padding between, empty.
SEGMENTS = np.array(
    [
        [[0] * 5 + [1] * 3 + [2] * 8, [0] * 9 + [1] * 2 + [-1] * 5],
        [[-1] * 2 + [0] * 4 + [-1] * 3 + [1] * 7, [-1] * 16],
    ],
    np.int32,
)


def test_the_private_binding_takes_what_it_took() -> None:
    """If this fails, JAX has moved what attention='cudnn' calls: adapt `nn/cudnn_attention.py`."""
    taken = inspect.signature(binding.dot_product_attention).parameters
    assert list(taken)[:9] == [
        "query", "key", "value", "bias", "mask", "q_seqlen", "kv_seqlen", "q_offsets", "kv_offsets",
    ]  # fmt: skip
    assert {"scale", "mask_type", "seed", "dropout_rate", "qkv_layout"} <= set(taken)
    assert taken["scale"].default == 1.0
    assert taken["dropout_rate"].default == 0.0
    assert taken["qkv_layout"].default == "BTNH"
    assert binding.MaskType.PADDING
    assert list(inspect.signature(binding.check_compute_capability).parameters) == ["capability"]


def test_where_texts_lie_in_their_rows() -> None:
    sizes, starts = text_places(jnp.asarray(SEGMENTS.reshape(4, 16)), 4)
    assert sizes.tolist() == [[5, 3, 8, -1], [9, 2, -1, -1], [4, 7, -1, -1], [-1] * 4]
    assert starts.tolist() == [[0, 5, 8, -1, -1], [0, 9, -1, -1, -1], [2, 9, -1, -1, -1], [-1] * 5]


def stand_in(query, key, value, *, bias, q_seqlen, kv_seqlen, q_offsets, kv_offsets, scale, mask_type, qkv_layout):
    """What the documentation of the binding says, text by text; NaN where there is none."""
    assert (scale, mask_type, qkv_layout) == (1.0, binding.MaskType.PADDING, "BTNH")
    assert query.dtype == bias.dtype == jnp.bfloat16
    assert bias.shape == (1, query.shape[2], query.shape[1], query.shape[1])
    sizes, starts = np.asarray(q_seqlen), np.asarray(q_offsets)
    np.testing.assert_array_equal(sizes, kv_seqlen)
    np.testing.assert_array_equal(starts, kv_offsets)
    out = jnp.full(query.shape, jnp.nan, jnp.float32)
    query, key, value, bias = (x.astype(jnp.float32) for x in (query, key, value, bias))
    for row in range(query.shape[0]):
        for size, start in zip(sizes[row], starts[row], strict=False):
            if size > 0:
                own = slice(int(start), int(start + size))
                scores = jnp.einsum("qhe,khe->hqk", query[row, own], key[row, own]) + bias[0, :, :size, :size]
                mixed = jnp.einsum("hqk,khe->qhe", jax.nn.softmax(scores), value[row, own])
                out = out.at[row, own].set(mixed)
    return out.astype(jnp.bfloat16)


@pytest.fixture
def on_a_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("instructor_jax.nn.attention.platform_in_force", lambda: "gpu")
    monkeypatch.setattr(binding, "dot_product_attention", stand_in)


@pytest.mark.slow
def test_it_gives_what_einsum_gives_gradients_included(on_a_gpu) -> None:
    random = np.random.default_rng(0)

    def drawn(*shape: int) -> jax.Array:
        return jnp.asarray(random.normal(size=shape), jnp.bfloat16)

    x, weights = drawn(2, 2, 16, 16), [drawn(16, 2, 8) * 0.3 for _ in range(3)]
    table = jnp.asarray(random.normal(size=(2, 31)), jnp.float32)
    out_weight = drawn(2, 8, 16)

    def result(backend: AttentionBackend, x, weights, table):
        query, key, value = (backend.project(x, weight) for weight in weights)
        bias = table[:, backend.by_offset(lambda offset: offset + 15)]
        return backend.join(backend.attend((query, key, value), bias, DropoutSite(0.0, 1), None), out_weight)

    def loss(backend, *arguments):
        out = result(backend, *arguments).astype(jnp.float32)
        return jnp.where((SEGMENTS >= 0)[..., None], out, 0).sum(), out

    compute = Compute("bfloat16", attention="cudnn")
    theirs = attention_backend(compute, CONFIG, jnp.asarray(SEGMENTS))
    assert isinstance(theirs, CudnnAttention)
    ours = EinsumAttention(jnp.asarray(SEGMENTS), jnp.dtype("bfloat16"))
    both = [jax.value_and_grad(partial(loss, backend), argnums=(0, 1, 2), has_aux=True) for backend in (theirs, ours)]
    ((_, found), gradients), ((_, expected), wanted) = (run(x, weights, table) for run in both)
    # bfloat16: 8 bits of a sum of 16 numbers of size 1
    np.testing.assert_allclose(found[SEGMENTS >= 0], expected[SEGMENTS >= 0], atol=0.1)
    assert (np.asarray(found)[SEGMENTS < 0] == 0).all()  # whatever cuDNN leaves there
    for one, other in zip(jax.tree.leaves(gradients), jax.tree.leaves(wanted), strict=True):
        one, other = np.asarray(one, np.float32), np.asarray(other, np.float32)
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, atol=0.03 * np.abs(other).max())


@pytest.mark.slow
def test_a_row_with_too_many_texts_gives_no_wrong_vectors(on_a_gpu) -> None:
    segments = jnp.asarray(np.arange(16, dtype=np.int32)[None, None])  # 16 texts of one token; 4 are provided for
    assert most_texts(16) == 4
    backend = attention_backend(Compute("bfloat16", attention="cudnn"), CONFIG, segments)
    states = jnp.ones((1, 1, 16, 2, 8), jnp.bfloat16)
    out = backend.attend((states, states, states), jnp.zeros((2, 16, 16)), DropoutSite(0.0, 1), None)
    assert np.isnan(np.asarray(out, np.float32)[0, 0, 4:]).all()
    assert np.isfinite(np.asarray(out, np.float32)[0, 0, :4]).all()


@pytest.mark.parametrize(
    ("dtype", "config", "platform", "dropout", "reason"),
    [
        ("bfloat16", CONFIG, "cpu", False, "it is for NVIDIA GPUs, and the program is for cpu"),
        ("float32", CONFIG, "gpu", False, "it computes in bfloat16, not in float32"),
        ("bfloat16", CONFIG, "gpu", True, "set dropout=False"),
        ("bfloat16", EncoderConfig(head_dim=12), "gpu", False, "heads of 12 must be a multiple of 8"),
    ],
)
def test_what_is_impossible_is_said(monkeypatch, dtype, config, platform, dropout, reason) -> None:
    monkeypatch.setattr("instructor_jax.nn.attention.platform_in_force", lambda: platform)
    keys = jax.random.split(jax.random.key(0), (2, 2)) if dropout else None
    with pytest.raises(ValueError, match=reason):
        attention_backend(Compute(dtype, attention="cudnn"), config, jnp.asarray(SEGMENTS), keys)


def test_what_is_changed_for_described_gpus_is_changed_back() -> None:
    asked = binding.check_compute_capability
    with for_described_gpus():
        assert binding.check_compute_capability("9.0")
    assert binding.check_compute_capability is asked
