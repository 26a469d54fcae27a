"""The setting `attention` reaches the layers, in one piece and in chunks."""

import jax
import jax.numpy as jnp
import pytest

from instructor_jax.nn.compute import Attention
from instructor_jax.nn.model import Params, abstract_params
from instructor_jax.train.data.batches import PairBatch
from instructor_jax.train.step import batch_losses

from .random_batches import random_batch, tiny_config


@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize("attention", ["auto", "einsum", "fused"])
def test_the_step_uses_the_kernels_that_are_asked_for(attention: Attention, chunks: int) -> None:
    config = tiny_config(attention=attention, gradient_cache_chunks=chunks)
    batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), random_batch(config, 0))

    def loss(params: Params, batch: PairBatch) -> jax.Array:
        return batch_losses(config, params, batch, dropout_at=jnp.int32(0)).loss.sum()

    program = str(jax.make_jaxpr(jax.grad(loss))(abstract_params(config.model), batch))
    # these devices are CPUs, where "auto" is einsum
    assert ("attention_forward" in program) == (attention == "fused")
    assert ("attention_backward" in program) == (attention == "fused")


def test_an_unknown_choice(unchecked: None) -> None:
    with pytest.raises(ValueError, match="attention='flash' must be one of auto, einsum, fused, cudnn"):
        tiny_config(attention="flash")
