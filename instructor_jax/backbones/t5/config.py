"""The shape of a T5 encoder: T5 1.0 and 1.1, Flan-T5, mT5, umT5 and ByT5."""

import dataclasses
from typing import Literal, get_args

from instructor_jax.backbones.checks import check_choice, check_flag, check_share, check_whole
from instructor_jax.io.bounds import LAYERS, SIZE

Activation = Literal["relu", "gelu", "gelu_new", "silu"]
MODEL_TYPES = ("t5", "mt5", "umt5")


@dataclasses.dataclass(frozen=True)
class T5Config:
    """Shape of a T5 encoder; `heads * head_dim` may differ from `embed` (T5-3b: 32 x 128 with 1024).

    Attributes:
        vocab: Number of rows of the embedding table, at least as many as the tokenizer has subwords.
        embed: Width of the hidden states.
        layers: Number of layers.
        heads: Number of attention heads.
        head_dim: Width of a head.
        ffn: Inner width of the feed-forward part.
        activation: Function of the feed-forward part.
        gated: Whether that part has two input matrices, activation(wi_0 x) * (wi_1 x), as in v1.1, Flan and mT5.
        relative_buckets: Number of buckets of distances that have a bias of their own; even, at least 4.
        relative_max_distance: Distance from which on all share the last bucket.
        shared_relative_bias: Whether all layers share one table of biases; False for umT5.
        norm_epsilon: Added to the mean square by the norms.
        dropout: Fraction of values that are dropped in training, 0 to below 1.
        pad_id: Token id of padding.
        eos_id: Token id that ends every text.
        model_type: Name that an exported config.json gets: t5, mt5 or umt5.
    """

    vocab: int = 32128
    embed: int = 768
    layers: int = 12
    heads: int = 12
    head_dim: int = 64
    ffn: int = 3072
    activation: Activation = "relu"
    gated: bool = False
    relative_buckets: int = 32
    relative_max_distance: int = 128
    shared_relative_bias: bool = True
    norm_epsilon: float = 1e-6
    dropout: float = 0.1
    pad_id: int = 0
    eos_id: int = 1
    model_type: str = "t5"

    def __post_init__(self) -> None:
        name = type(self).__name__
        for field in ("vocab", "embed", "heads", "head_dim", "ffn", "relative_buckets", "relative_max_distance"):
            check_whole(f"{name}.{field}", getattr(self, field), 1, SIZE)
        check_whole(f"{name}.layers", self.layers, 1, LAYERS)
        for field in ("pad_id", "eos_id"):
            check_whole(f"{name}.{field}", getattr(self, field), 0, SIZE)
        for field in ("gated", "shared_relative_bias"):
            check_flag(f"{name}.{field}", getattr(self, field))
        if self.relative_buckets < 4 or self.relative_buckets % 2:
            raise ValueError(
                f"{name}.relative_buckets={self.relative_buckets} must be even and at least 4: half of the "
                "buckets serve each direction, and half of those exact distances."
            )
        if self.relative_max_distance <= self.relative_buckets // 4:
            raise ValueError(
                f"{name}.relative_max_distance={self.relative_max_distance} must exceed relative_buckets // 4 = "
                f"{self.relative_buckets // 4}, the last exactly represented distance."
            )
        check_choice(f"{name}.activation", self.activation, get_args(Activation))
        check_choice(f"{name}.model_type", self.model_type, MODEL_TYPES)
        check_share(f"{name}.dropout", self.dropout, below_one=True)
        check_share(f"{name}.norm_epsilon", self.norm_epsilon)

    @property
    def attention_dropout(self) -> float:
        """Share of the attention weights that are dropped in training."""
        return self.dropout

    @property
    def positions(self) -> None:
        """Distances are relative, so a text may have any number of tokens."""

    @property
    def weight_count(self) -> int:
        """Number of the encoder's weights, counted from the shapes."""
        attention = 4 * self.embed * self.heads * self.head_dim
        feed_forward = (3 if self.gated else 2) * self.embed * self.ffn
        per_layer = attention + feed_forward + 2 * self.embed
        tables = 1 if self.shared_relative_bias else self.layers
        return (
            self.vocab * self.embed + self.layers * per_layer + tables * self.relative_buckets * self.heads + self.embed
        )
