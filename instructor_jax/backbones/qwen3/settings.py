"""What the config.json of all families with grouped heads have in common, read and written."""

from typing import Any, NamedTuple

from instructor_jax.io.bounds import LAYERS
from instructor_jax.io.json_files import Fields
from instructor_jax.io.settings.encoder import ACTIVATIONS, activation, end_token, size

# ours -> transformers', by the names that these families use
_NAMES = {name: theirs for theirs, name in ACTIVATIONS.items()} | {"silu": "silu"}


class Usual(NamedTuple):
    """What transformers takes where a family's file says nothing.

    Attributes:
        kv_heads: Number of heads of keys and values.
        head_dim: Width of a head.
        max_positions: Most positions; nothing in the weights depends on it.
        eos_id: Id of the token that ends a text.
        activation: Its name of the function in the feed-forward part.
        activation_key: The key that names another one.
    """

    kv_heads: int
    head_dim: int
    max_positions: int
    eos_id: int = 1
    activation: str = "gelu_pytorch_tanh"
    activation_key: str = "hidden_activation"


def read_shared(fields: Fields, usual: Usual) -> dict[str, Any]:
    """Returns the values of the fields that the configurations of all these families have.

    Raises:
        ValueError: A size is missing, or a value has a wrong type or range.
    """
    return {
        "vocab": size(fields, "vocab_size"),
        "embed": size(fields, "hidden_size"),
        "layers": size(fields, "num_hidden_layers", most=LAYERS),
        "heads": size(fields, "num_attention_heads"),
        "kv_heads": fields.whole("num_key_value_heads", usual.kv_heads, least=1),
        "head_dim": fields.whole("head_dim", usual.head_dim, least=2),
        "ffn": size(fields, "intermediate_size"),
        "activation": activation(fields, usual.activation_key, usual.activation),
        "attention_bias": fields.flag("attention_bias", False),
        "max_positions": fields.whole("max_position_embeddings", usual.max_positions, least=2),
        "norm_epsilon": fields.number("rms_norm_eps", 1e-6, least=0.0, most=1.0),
        "pad_id": fields.whole("pad_token_id", 0),
        "eos_id": end_token(fields, usual.eos_id),
    }


def written_shared(config: Any, usual: Usual) -> dict[str, Any]:
    """Returns the settings that `read_shared` reads."""
    return {
        "vocab_size": config.vocab,
        "hidden_size": config.embed,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.ffn,
        usual.activation_key: _NAMES[config.activation],
        "attention_bias": config.attention_bias,
        "max_position_embeddings": config.max_positions,
        "rms_norm_eps": config.norm_epsilon,
        "pad_token_id": config.pad_id,
        "eos_token_id": config.eos_id,
    }
