"""The layers of an encoder in either layout: how they are made, and run one after another."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float, Int, Key

from instructor_jax.nn.compute import Compute
from instructor_jax.nn.layout import Layout

RunLayer = Callable[[Array, Any, Int[Array, ""]], Array]

_OF_ATTENTION = "of_attention"


def _is_product_with_weights(primitive: Any, *_: Any, **parameters: Any) -> bool:
    """Whether it is a matrix product, but none of attention, which has groups, rows and heads on both sides.

    Where every copy of the weights is computed with apart, the copies are on both sides, too.
    """
    if primitive is not jax.lax.dot_general_p:
        return False
    (_, _), (batch, _) = parameters["dimension_numbers"]
    return len(batch) <= 1


_POLICIES = {
    "full": None,
    "dots": _is_product_with_weights,
    "attention": jax.checkpoint_policies.save_only_these_names(_OF_ATTENTION),
}


def make_layers(make: Callable[[nnx.Rngs], nnx.Module], count: int, layout: Layout, rngs: nnx.Rngs) -> Any:
    """Makes the layers of an encoder: one module whose parameters are stacked, or a list of modules.

    Args:
        make: Makes one layer.
        count: Number of layers.
        layout: How their parameters lie.
        rngs: Source of random keys.
    """
    if not layout.stacked:
        return nnx.List([make(rngs) for _ in range(count)])

    @nnx.split_rngs(splits=count)
    @nnx.vmap(in_axes=0, out_axes=0, transform_metadata={nnx.PARTITION_NAME: "layers"})
    def stacked(rngs: nnx.Rngs) -> nnx.Module:
        return make(rngs)

    return stacked(rngs)


def run_layers(
    run: RunLayer,
    layers: Any,
    x: Float[Array, "groups rows len embed"],
    count: int,
    compute: Compute,
    *,
    recompute: bool = True,
) -> Float[Array, "groups rows len embed"]:
    """Runs the layers one after another.

    Args:
        run: The function (x, layer, index) -> x that runs one.
        layers: From `make_layers`.
        x: What enters the first one.
        count: Number of layers.
        compute: In which layout they are, and what is computed again in the backward pass.
        recompute: Whether that is seen to here; False where `run` does it.
    """
    if not compute.layout.stacked:
        for index, layer in enumerate(layers):
            x = run(x, layer, jnp.int32(index))
        return x
    run = rematerialised(run, compute) if recompute else run
    unroll = count if compute.layout.unroll else 1
    scan = nnx.scan(run, in_axes=(nnx.Carry, 0, 0), out_axes=nnx.Carry, unroll=unroll)
    return scan(x, layers, jnp.arange(count))


def rematerialised(run: RunLayer, compute: Compute) -> RunLayer:
    """Returns a function that runs a layer, and computes again in the backward pass what `compute` does not keep.

    Args:
        run: The function (x, layer, index) -> x; see `run_layers`, in whose loop the result is to be called.
        compute: What is kept, and in which layout the layers are; those that are apart are for inference.
    """
    if compute.remat == "none" or not compute.layout.stacked:
        return run
    return nnx.remat(run, policy=_POLICIES[compute.remat], prevent_cse=False)  # inside scan CSE cannot undo it


def of_attention(states: Array) -> Array:
    """Marks queries, keys, values or a result of attention, which `remat="attention"` keeps for the backward pass."""
    return checkpoint_name(states, _OF_ATTENTION)


def keys_of_layer(row_keys: Key[Array, "groups rows"] | None, index: Int[Array, ""]) -> Array | None:
    """Returns the rows' keys of one layer; the places outside of the layers use the unfolded keys."""
    if row_keys is None:
        return None
    return jax.vmap(jax.vmap(lambda key: jax.random.fold_in(key, index + 1000)))(row_keys)
