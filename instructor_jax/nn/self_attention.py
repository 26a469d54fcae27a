"""Self-attention with what families add to it: biases, grouped heads, norms of queries and keys, rotary positions.

Letters: g groups, r rows, l length, d embed, h heads, e head_dim, k the three of queries, keys and values.
"""

import dataclasses

from flax import nnx
from jaxtyping import Array, Float, Key

from instructor_jax.nn.attention import AttentionBackend
from instructor_jax.nn.dropout import DropoutSite
from instructor_jax.nn.layers import RMSNorm, parameter, unit_rms, zeros
from instructor_jax.nn.rotary import Rotation, rotated
from instructor_jax.nn.stack import of_attention
from instructor_jax.numerics import product


@dataclasses.dataclass(frozen=True)
class AttentionShape:
    """What a self-attention is.

    Attributes:
        embed: Width of what goes in and comes out.
        heads: Number of heads of queries.
        kv_heads: Number of heads of keys and values; divides `heads`.
        head_dim: Width of a head.
        scale: What the scores are multiplied by.
        dropout: Share of the attention weights that are dropped in training.
        bias: Whether something is added to queries, keys, values and the result.
        joined: Whether queries, keys and values have one matrix, [embed, 3, heads, head_dim].
        norm_epsilon: Of the RMS norm of queries and keys; None where they have none.
        norm_offset: Of that norm; see `nn.layers.RMSNorm`.
        norms_value: Whether values are normalised, too, without a scale.
    """

    embed: int
    heads: int
    kv_heads: int
    head_dim: int
    scale: float
    dropout: float
    bias: bool = False
    joined: bool = False
    norm_epsilon: float | None = None
    norm_offset: float = 0.0
    norms_value: bool = False


class SelfAttention(nnx.Module):
    """Queries, keys and values of a text's tokens, what they give one another, and the projection back."""

    def __init__(self, shape: AttentionShape, rngs: nnx.Rngs):
        self.shape = shape
        embed, head_dim, spread = shape.embed, shape.head_dim, shape.embed**-0.5
        if shape.joined:
            sizes, axes = (embed, 3, shape.heads, head_dim), ("embed", None, "heads", "head_dim")
            self.qkv = parameter(rngs.params(), sizes, spread, axes)
            self.qkv_bias = nnx.data(zeros(sizes[1:], axes[1:]) if shape.bias else None)
        else:
            for name, heads, axis in self._parts():
                setattr(self, name, parameter(rngs.params(), (embed, heads, head_dim), spread, ("embed", *axis)))
                setattr(self, f"{name}_bias", nnx.data(zeros((heads, head_dim), axis) if shape.bias else None))
        back = (shape.heads, head_dim, embed)
        self.out = parameter(rngs.params(), back, (shape.heads * head_dim) ** -0.5, ("heads", "head_dim", "embed"))
        self.out_bias = nnx.data(zeros((embed,), ("norm",)) if shape.bias else None)
        self.query_norm, self.key_norm = nnx.data(None), nnx.data(None)
        if shape.norm_epsilon is not None:
            self.query_norm = RMSNorm(head_dim, shape.norm_epsilon, shape.norm_offset)
            self.key_norm = RMSNorm(head_dim, shape.norm_epsilon, shape.norm_offset)
        self.dropout = DropoutSite(shape.dropout, site=1)

    def __call__(
        self,
        x: Float[Array, "groups rows len embed"],
        attention: AttentionBackend,
        bias: Float[Array, "heads_or_1 ..."] | None = None,
        turn: Rotation | None = None,
        row_keys: Key[Array, "groups rows"] | None = None,
    ) -> Float[Array, "groups rows len embed"]:
        """Returns what attention adds.

        Args:
            x: The states, in the type that is computed in.
            attention: The back end.
            bias: What is added to the scores, as `AttentionBackend.attend` takes it.
            turn: Rotary positions; None where there are none.
            row_keys: Of dropout; None for inference.
        """
        query, key, value = self._projected(x)
        if self.query_norm is not None and self.key_norm is not None:
            query, key = self.query_norm(query, x.dtype), self.key_norm(key, x.dtype)
        if self.shape.norms_value and self.shape.norm_epsilon is not None:
            value = unit_rms(value, self.shape.norm_epsilon).astype(x.dtype)
        if turn is not None:
            query, key = rotated(query, turn), rotated(key, turn)
        states = (query * self.shape.scale, key, value)
        query, key, value = (of_attention(attention.arrange(state)) for state in states)
        mixed = of_attention(attention.attend((query, key, value), bias, self.dropout, row_keys))
        out = of_attention(attention.join(mixed, self.out[...]))
        return out if self.out_bias is None else out + self.out_bias[...].astype(out.dtype)[None, None, None]

    def _parts(self) -> tuple[tuple[str, int, tuple[str, str]], ...]:
        """Name, number of heads and logical axes of queries, keys and values."""
        shared = ("heads" if self.shape.kv_heads == self.shape.heads else "kv_heads", "head_dim")
        kv_heads = self.shape.kv_heads
        return (
            ("query", self.shape.heads, ("heads", "head_dim")),
            ("key", kv_heads, shared),
            ("value", kv_heads, shared),
        )

    def _projected(self, x: Array) -> list[Float[Array, "groups rows len _ head_dim"]]:
        if self.shape.joined:
            three = product("grld,dkhe->grlkhe", x, self.qkv[...], x.dtype)
            if self.qkv_bias is not None:
                three = three + self.qkv_bias[...].astype(x.dtype)[None, None, None]
            return [three[..., index, :, :] for index in range(3)]
        states = []
        for name, _, _ in self._parts():
            state, bias = (
                product("grld,dhe->grlhe", x, getattr(self, name)[...], x.dtype),
                getattr(self, f"{name}_bias"),
            )
            states.append(state if bias is None else state + bias[...].astype(x.dtype)[None, None, None])
        return states
