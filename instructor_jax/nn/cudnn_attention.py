"""Attention by cuDNN: keeps its scores on the chip of NVIDIA GPUs, several texts a row, with a bias and its gradient.

cuDNN takes each text of a packed row as a sequence of its own, and adds the bias of its first len x len tokens; since a
bias depends on key - query alone, that is the bias of the text wherever it lies. JAX has this only behind a private
name (`jax._src.cudnn`), so a test of its signature says what changed when JAX moves it. It was compiled, and never run:
"auto" does not choose it, and docs/performance.md says what a card has to tell.

Dropout of attention weights is refused: cuDNN draws from a counter that every run of a kernel moves on, so a backward
pass that runs layers in another order than the forward pass, or a layer twice, would drop other weights.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from instructor_jax.backbones.configuration import BackboneConfig, softcap
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.nn.einsum_attention import heads_axis
from instructor_jax.numerics import Dtype, product
from instructor_jax.sharding import constrain, partition_spec

States = Float[Array, "groups rows len heads head_dim"]
_WIDEST_HEAD = 256  # on Hopper and later; a multiple of 8


def most_texts(length: int) -> int:
    """Returns how many texts a row may hold: one for every 8 tokens, as `encode` and training pack them."""
    return max(4, length // 8)


def cudnn_attention(
    compute: Compute,
    config: BackboneConfig,
    segments: Int[Array, "groups rows len"],
    row_keys: Key[Array, "groups rows"] | None,
    platform: str,
) -> "CudnnAttention":
    """Returns the back end for rows of this shape.

    Args:
        compute: What the caller asks for.
        config: Of the encoder.
        segments: The text of each token within its row, in the order of their places; -1 is padding.
        row_keys: Of dropout; None for inference.
        platform: Of the devices that it is compiled for.

    Raises:
        ValueError: cuDNN cannot compute this; says why.
    """
    obstacle = None
    if platform != "gpu":
        obstacle = f"it is for NVIDIA GPUs, and the program is for {platform}"
    elif compute.dtype != jnp.bfloat16:
        obstacle = f"it computes in bfloat16, not in {compute.dtype}"
    elif row_keys is not None and config.attention_dropout:
        obstacle = (
            "the weights that it drops in the backward pass would not be those of the forward pass; set dropout=False"
        )
    elif softcap(config) is not None:
        obstacle = "it does not bound scores, as this encoder does"
    elif config.head_dim % 8 or config.head_dim > _WIDEST_HEAD:
        obstacle = f"heads of {config.head_dim} must be a multiple of 8 and at most {_WIDEST_HEAD}"
    elif segments.shape[-1] % 2:
        obstacle = f"rows of {segments.shape[-1]} tokens must have an even number"
    if obstacle is not None:
        raise ValueError(f"attention='cudnn' is impossible here: {obstacle}; or use 'auto' or 'einsum'.")
    return CudnnAttention(segments, compute.dtype)


class CudnnAttention:
    """The back end that calls cuDNN; states are [groups, rows, len, heads, head_dim].

    Args:
        segments: The text of each token within its row, in the order of their places; -1 is padding.
        dtype: Type of the products: bfloat16.
    """

    def __init__(self, segments: Int[Array, "groups rows len"], dtype: Dtype):
        self._segments = segments
        self._dtype = dtype

    def by_offset(self, function: Callable[[Int[Array, "query key"]], Any]) -> Int[Array, "query key"]:
        """See `AttentionBackend`: a number for each pair of tokens."""
        position = jnp.arange(self._segments.shape[-1], dtype=jnp.int32)
        return function(position[None, :] - position[:, None])

    def project(self, x: Float[Array, "groups rows len embed"], weight: Float[Array, "embed heads head_dim"]) -> States:
        """See `AttentionBackend`."""
        return self.arrange(product("grld,dhe->grlhe", x, weight, self._dtype))

    def arrange(self, states: States) -> States:
        """See `AttentionBackend`."""
        return constrain(states, "batch", None, "act_len", heads_axis(states.shape[3]), None)

    def attend(
        self,
        states: tuple[States, Any, Any],
        bias: Float[Array, "heads_or_1 query key"] | None,
        dropout: DropoutSite,
        row_keys: Key[Array, "groups rows"] | None,
    ) -> States:
        """See `AttentionBackend`; padding gets zeros, and gives gradients of zero."""
        del dropout, row_keys  # `cudnn_attention` refuses it
        no_bias = jnp.zeros((0, 0, 0), self._dtype)
        query, key, value = states
        if key.shape[3] != query.shape[3]:  # grouped heads: one of keys and values for several neighbouring queries
            key, value = (jnp.repeat(state, query.shape[3] // key.shape[3], axis=3) for state in (key, value))
        arguments = (query, key, value, no_bias if bias is None else bias.astype(self._dtype), self._segments)
        if jax.sharding.get_abstract_mesh().empty:
            return _on_one_device(*arguments)
        rows, groups = partition_spec(["batch", None, None, "act_heads"]), partition_spec(["batch"])
        heads = partition_spec(["act_heads" if bias is not None and bias.shape[0] > 1 else None])
        local = jax.shard_map(
            _on_one_device, in_specs=(rows, rows, rows, heads, groups), out_specs=rows, check_vma=False
        )
        return local(*arguments)

    def join(
        self, mixed: States, weight: Float[Array, "heads head_dim embed"]
    ) -> Float[Array, "groups rows len embed"]:
        """See `AttentionBackend`."""
        return product("grlhe,hed->grld", mixed, weight, self._dtype)


def _on_one_device(query: Array, key: Array, value: Array, bias: Array, segments: Array) -> Array:
    """Computes a device's groups and heads."""
    shape = query.shape
    query, key, value = (x.reshape(-1, *x.shape[2:]) for x in (query, key, value))
    segments = segments.reshape(-1, shape[2])
    texts = most_texts(shape[2])
    sizes, starts = text_places(segments, texts)
    real = (segments >= 0)[..., None, None]
    # cuDNN leaves alone what belongs to no text, which may be anything; so nothing of it goes in, out or back.
    query, key, value = (jnp.where(real, x, 0) for x in (query, key, value))
    mixed = _packed_attention(query, key, value, bias[None] if bias.size else None, sizes, starts)
    mixed = jnp.where(real, mixed, 0)
    # A row with more texts than were provided for must not pass for a right one.
    mixed = jnp.where((segments >= texts)[..., None, None], jnp.nan, mixed)
    return mixed.reshape(shape).astype(query.dtype)


def text_places(
    segments: Int[Array, "rows len"], texts: int
) -> tuple[Int[Array, "rows texts"], Int[Array, "rows texts_plus_1"]]:
    """Returns the tokens of each text of a row, and where it begins; -1 behind the last one.

    Args:
        segments: The text of each token, ascending along the row; -1 is padding, which may lie anywhere between texts.
        texts: The most texts of a row.
    """
    own: Bool[Array, "rows len texts"] = segments[..., None] == jnp.arange(texts)
    sizes = own.sum(axis=1, dtype=jnp.int32)
    starts = jnp.where(sizes > 0, jnp.argmax(own, axis=1).astype(jnp.int32), -1)
    behind = jnp.full((*starts.shape[:-1], 1), -1, jnp.int32)
    return jnp.where(sizes > 0, sizes, -1), jnp.concatenate([starts, behind], axis=1)


def _packed_attention(query: Array, key: Array, value: Array, bias: Array | None, sizes: Array, starts: Array) -> Array:
    """Calls JAX's private binding: softmax(query key^T + bias) value within each text."""
    from jax._src.cudnn import fused_attention_stablehlo as binding

    return binding.dot_product_attention(
        query, key, value, bias=bias, q_seqlen=sizes, kv_seqlen=sizes, q_offsets=starts, kv_offsets=starts,
        scale=1.0, mask_type=binding.MaskType.PADDING, qkv_layout="BTNH",
    )  # type: ignore[return-value] # fmt: skip


@contextmanager
def for_described_gpus() -> Iterator[None]:
    """Lets programs be traced for GPUs that are only described: JAX would ask for the capability of one that is here.

    All of those that a plan knows are of the generation of Hopper or later.
    """
    from jax._src.cudnn import fused_attention_stablehlo as binding

    asked = binding.check_compute_capability
    binding.check_compute_capability = lambda capability: float(capability) <= 9.0
    try:
        yield
    finally:
        binding.check_compute_capability = asked
