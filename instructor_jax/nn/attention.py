"""Attention over packed rows, by one of three back ends: einsum, which runs anywhere, kernels for TPUs, and cuDNN.

A back end is made once for a call of the model, from the texts of its rows; the layers then use it without knowing
which it is. Letters of its equations: g groups, r rows, l length (q and k where queries and keys differ), d embed, h
heads, e head_dim.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float, Int, Key

from instructor_jax.backbones.configuration import BackboneConfig, softcap
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.cudnn_attention import cudnn_attention
from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.nn.einsum_attention import EinsumAttention, query_block
from instructor_jax.nn.fused_attention.backend import FusedAttention
from instructor_jax.nn.fused_attention.choice import choose_attention, platform_in_force

States = Float[Array, "groups rows heads _ _"]
OffsetFunction = Callable[[Int[Array, "..."]], Int[Array, "..."]]


@runtime_checkable  # beartype asks in tests
class AttentionBackend(Protocol):
    """Attention among the tokens of each text of the rows that it was made for.

    A layer projects its input to queries, keys and values, attends, and projects back. In between the states are in the
    back end's own order of axes.
    """

    def by_offset(self, function: OffsetFunction) -> Int[Array, "..."]:
        """Returns a whole number for every key - query, where `attend` wants that pair's bias.

        Args:
            function: Gives the numbers for an array of differences.
        """
        ...

    def project(self, x: Float[Array, "groups rows len embed"], weight: Float[Array, "embed heads head_dim"]) -> States:
        """Returns queries, keys or values."""
        ...

    def arrange(self, states: Float[Array, "groups rows len heads head_dim"]) -> States:
        """Returns queries, keys or values that a layer projected itself, to change them before they are used."""
        ...

    def attend(
        self,
        states: tuple[States, States, States],
        bias: Float[Array, "heads ..."] | None,
        dropout: DropoutSite,
        row_keys: Key[Array, "groups rows"] | None,
    ) -> States:
        """Returns softmax(query key^T + bias) value, among the tokens of each text.

        Args:
            states: Queries, keys and values from `project` or `arrange`. There may be fewer heads of keys and values
                than of queries: each then serves as many neighbouring ones.
            bias: What is added to the scores, float32: for every head, or once for all, numbers where `by_offset` has
                them; None for nothing.
            dropout: Where weights are dropped.
            row_keys: Of dropout; None for inference.
        """
        ...

    def join(
        self, mixed: States, weight: Float[Array, "heads head_dim embed"]
    ) -> Float[Array, "groups rows len embed"]:
        """Returns the heads' results projected back."""
        ...


def attention_backend(
    compute: Compute,
    config: BackboneConfig,
    segments: Int[Array, "groups rows len"],
    row_keys: Key[Array, "groups rows"] | None = None,
) -> AttentionBackend:
    """Returns the back end for rows of this shape under the mesh in force; see `choose_attention`.

    Args:
        compute: What the caller asks for.
        config: Of the encoder.
        segments: The text of each token within its row; -1 is padding.
        row_keys: Of dropout; None for inference.

    Raises:
        ValueError: "fused" or "cudnn" is asked for and impossible.
    """
    if compute.attention == "cudnn":
        return cudnn_attention(compute, config, segments, row_keys, platform_in_force())
    plan = choose_attention(compute, config, segments, row_keys)
    if plan is None:
        return EinsumAttention(segments, compute.dtype, query_block(segments.shape[-1], compute), softcap(config))
    return FusedAttention(plan, segments, compute.dtype)
