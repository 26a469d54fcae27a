"""The two layouts of the same parameters: one is the other rearranged, and both give the same vectors."""

import dataclasses
from functools import partial

import jax
import numpy as np
import pytest

from instructor_jax.backbones.published import PUBLISHED
from instructor_jax.config import ModelConfig
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.layout import STACKED, Layout, cpu_layout, stacked_params, unstacked_params
from instructor_jax.nn.model import Params, embed, param_shardings
from instructor_jax.sharding import make_mesh
from instructor_jax.text.batches import TokenBatch

from ..small_models import SMALL, UMT5, assert_identical, random_params

WIDE = ModelConfig(dataclasses.replace(SMALL.encoder, ffn=1024, layers=1), projection=None)
LAYOUTS = [Layout(stacked=False), Layout(stacked=False, mlp_slices=2), Layout(stacked=False, mlp_slices=8)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("config", [SMALL, UMT5, WIDE], ids=["t5", "umt5", "wide"])
def test_apart_and_stacked_again_is_the_identity(config: ModelConfig, layout: Layout) -> None:
    encoder = random_params(config, np.float16)["encoder"]
    apart = unstacked_params(encoder, layout)
    assert len(apart["layers"]) == config.encoder.layers
    assert_identical(stacked_params(apart, layout), encoder)


def test_layers_apart_are_views_where_nothing_is_cut() -> None:
    encoder = random_params(SMALL)["encoder"]
    apart = unstacked_params(encoder, Layout(stacked=False))
    query = apart["layers"][1]["attention"]["query"]
    assert np.shares_memory(query, encoder["layers"]["attention"]["query"])


def in_layout(config: ModelConfig, layout: Layout) -> Params:
    params = random_params(config)
    return params if layout.stacked else {**params, "encoder": unstacked_params(params["encoder"], layout)}


@pytest.mark.slow
@pytest.mark.parametrize("config", [UMT5, WIDE], ids=["umt5", "wide"])
def test_both_give_the_same_vectors(config: ModelConfig) -> None:
    random = np.random.default_rng(1)
    segments = np.repeat(np.array([[[0, 1, 1, 2, -1]]], np.int32), 5, axis=2)
    tokens = random.integers(2, config.encoder.vocab, segments.shape).astype(np.int32)
    batch = TokenBatch(tokens, segments, segments >= 0, np.array([[2, 0, 1, -1]], np.int32), 4)
    layouts = (STACKED, cpu_layout(config.encoder.ffn))
    stacked, apart = (
        np.asarray(jax.jit(partial(embed, config, compute=Compute(layout=layout)))(in_layout(config, layout), batch))
        for layout in layouts
    )
    # float32; slices of the feed-forward width are added in another order
    np.testing.assert_allclose(apart, stacked, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(apart[0, 3], np.zeros(config.embedding_dim))  # a slot without a text
    assert np.abs(stacked[0, :3]).max() > 0.1


@pytest.mark.parametrize("config", [SMALL, UMT5], ids=["t5", "umt5"])
def test_every_layout_has_shardings_of_its_own_shape(config: ModelConfig) -> None:
    layout = cpu_layout(config.encoder.ffn)
    placed = jax.device_put(in_layout(config, layout), param_shardings(config, make_mesh(), layout))
    assert len(jax.tree.leaves(placed)) > config.encoder.layers * 7


@pytest.mark.parametrize(
    ("name", "slices"), [("t5-base", 4), ("t5-large", 8), ("flan-t5-base", 4), ("flan-t5-large", 1), ("t5-11b", 1)]
)
def test_slices_avoid_rows_4_kib_apart(name: str, slices: int) -> None:
    """Widths that are no multiple of 1024 need none, and the largest model is not for CPUs."""
    encoder = PUBLISHED[name].encoder
    layout = cpu_layout(encoder.ffn)
    assert (layout.stacked, layout.mlp_slices) == (False, slices)
    assert encoder.ffn % slices == 0
    if slices > 1:
        assert (encoder.ffn // slices) % 1024
