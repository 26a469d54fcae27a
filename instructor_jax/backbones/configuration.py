"""What the rest of the library asks of any family's configuration."""

from typing import Any, ClassVar, Protocol, runtime_checkable


@runtime_checkable
class BackboneConfig(Protocol):
    """What is asked of every family's configuration, a frozen dataclass of values that JSON has."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def vocab(self) -> int:
        """Number of token ids."""
        ...

    @property
    def embed(self) -> int:
        """Width of the hidden states."""
        ...

    @property
    def layers(self) -> int:
        """Number of layers."""
        ...

    @property
    def heads(self) -> int:
        """Number of attention heads."""
        ...

    @property
    def head_dim(self) -> int:
        """Width of a head."""
        ...

    @property
    def ffn(self) -> int:
        """Width of the feed-forward layers."""
        ...

    @property
    def dropout(self) -> float:
        """Share of the values that are dropped in training."""
        ...

    @property
    def attention_dropout(self) -> float:
        """Share of the attention weights that are dropped in training."""
        ...

    @property
    def positions(self) -> int | None:
        """Most tokens of a text that the encoder has positions for; None for any number."""
        ...

    @property
    def pad_id(self) -> int:
        """Id of padding."""
        ...

    @property
    def eos_id(self) -> int:
        """Id of the token that ends a text."""
        ...

    @property
    def model_type(self) -> str:
        """Name by which config.json and `backbones.registry` know the family."""
        ...

    @property
    def weight_count(self) -> int:
        """Number of the encoder's weights, counted from the shapes."""
        ...


def softcap(config: BackboneConfig) -> float | None:
    """Returns the soft cap of the family's attention scores; None where nothing bounds them.

    Most families have no such field, and 0 in it is no bound. A score s becomes c tanh(s / c), as in the report
    on Gemma 2 (2024, section 2).
    """
    return getattr(config, "softcap", 0.0) or None


def stack_depth(config: BackboneConfig) -> int:
    """Returns the number of steps of the loop over the layers, which is how many of a parameter are stacked.

    Most families run one layer a step, and have no field that says so.
    """
    return getattr(config, "steps", config.layers)


def output_width(config: BackboneConfig) -> int:
    """Returns the width of what leaves the encoder; that of the hidden states where a family says no other."""
    return getattr(config, "output", config.embed)
