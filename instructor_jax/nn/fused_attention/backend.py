"""The kernels as a back end of attention."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.nn.einsum_attention import for_every_query, heads_axis
from instructor_jax.nn.fused_attention.api import diagonal_offsets, fused_attend
from instructor_jax.nn.fused_attention.plan import KernelPlan
from instructor_jax.numerics import Dtype, product
from instructor_jax.sharding import axis_shards, constrain

States = Float[Array, "groups rows heads head_dim len"]


class FusedAttention:
    """The back end that keeps its scores on the chip; states are [groups, rows, heads, head_dim, len], tokens last.

    Args:
        plan: From `choose_attention`.
        segments: The text of each token within its row; -1 is padding.
        dtype: Type of the products.
    """

    def __init__(self, plan: KernelPlan, segments: Int[Array, "groups rows len"], dtype: Dtype):
        self._plan = plan
        self._segments = segments
        self._dtype = dtype

    def by_offset(self, function: Callable[[Int[Array, "offsets"]], Any]) -> Int[Array, "shards offsets"]:
        """See `AttentionBackend`: a number for every difference once, and once for each device with other examples.

        With a copy for each device the bias's gradient stays local, and is summed over devices once, in the table, not
        in every layer.
        """
        once = function(jnp.asarray(diagonal_offsets(self._plan.length)))
        return constrain(jnp.broadcast_to(once, (axis_shards("batch"), *once.shape)), "batch", None)

    def project(self, x: Float[Array, "groups rows len embed"], weight: Float[Array, "embed heads head_dim"]) -> States:
        """See `AttentionBackend`."""
        states = product("grld,dhe->grhel", x, weight, self._dtype)
        return constrain(states, "batch", None, heads_axis(weight.shape[1]), None, "act_len")

    def arrange(self, states: Float[Array, "groups rows len heads head_dim"]) -> States:
        """See `AttentionBackend`."""
        return constrain(states.transpose(0, 1, 3, 4, 2), "batch", None, heads_axis(states.shape[3]), None, "act_len")

    def attend(
        self,
        states: tuple[States, Any, Any],
        bias: Float[Array, "heads_or_1 shards offsets"] | None,
        dropout: DropoutSite,
        row_keys: Key[Array, "groups rows"] | None,
    ) -> States:
        """See `AttentionBackend`."""
        query, key, value = states
        heads = query.shape[2]
        key, value = (for_every_query(state, heads) for state in (key, value))
        if bias is None:
            bias = self.by_offset(jnp.zeros_like).astype(jnp.float32)[None]
        bias = jnp.broadcast_to(bias, (heads, *bias.shape[1:]))
        return fused_attend(self._plan, query, key, value, bias, self._segments, dropout, row_keys)

    def join(
        self, mixed: States, weight: Float[Array, "heads head_dim embed"]
    ) -> Float[Array, "groups rows len embed"]:
        """See `AttentionBackend`."""
        return product("grhel,hed->grld", mixed, weight, self._dtype)
