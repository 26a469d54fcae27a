"""The shape of a BERT encoder, and what its config.json says.

It is the encoder of MiniLM, BGE, E5, GTE and arctic-embed too. The tables were made from what transformers 4 and 5
write and read (`models/bert/`) and from published files. Keys that every family has are in
`io/settings/encoder.py`.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal, get_args

from instructor_jax.backbones.checks import check_choice, check_share, check_whole, made_of
from instructor_jax.io.bounds import LAYERS, SIZE
from instructor_jax.io.json_files import Fields
from instructor_jax.io.settings.encoder import ACTIVATIONS, activation, check_common_keys, end_token, size

Activation = Literal["relu", "gelu", "gelu_new", "silu"]
_NAMES = {name: theirs for theirs, name in reversed(ACTIVATIONS.items())}  # ours -> transformers'

# Keys whose value, whatever it is, changes no vector.
HARMLESS = {
    "initializer_range": "how new weights are drawn",
    "chunk_size_feed_forward": "how much is computed at once",
    "is_encoder_decoder": "the encoder is all there is",
    "use_cache": "decoder",
    "tie_word_embeddings": "the output of a language model",
    "bos_token_id": "the tokenizer's files say what begins a text",
    "sep_token_id": "the tokenizer's files say what ends a text",
    "cls_token_id": "the tokenizer's files say what begins a text",
    "mask_token_id": "training",
    "directionality": "in the files of multilingual BERT; transformers does not read it",
    "pooler_fc_size": "the same",
    "pooler_num_attention_heads": "the same",
    "pooler_num_fc_layers": "the same",
    "pooler_size_per_head": "the same",
    "pooler_type": "the same",
}


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """Shape of a BERT encoder: learned positions, token types, norms after the sums, biases everywhere."""

    vocab: int = 30522
    embed: int = 768
    layers: int = 12
    heads: int = 12
    head_dim: int = 64
    ffn: int = 3072
    activation: Activation = "gelu"
    positions: int = 512
    token_types: int = 2
    norm_epsilon: float = 1e-12
    dropout: float = 0.1  # used in training only
    attention_dropout: float = 0.1  # used in training only
    pad_id: int = 0
    eos_id: int = 102
    model_type: str = "bert"

    def __post_init__(self) -> None:
        check_sizes(self, ("positions", "token_types"))
        check_choice(f"{type(self).__name__}.model_type", self.model_type, ("bert",))

    @property
    def weight_count(self) -> int:
        """Number of the encoder's weights, counted from the shapes."""
        tables = (self.vocab + self.positions + self.token_types) * self.embed + 2 * self.embed
        return tables + self.layers * layer_weights(self)


def check_sizes(config: Any, more: Iterable[str]) -> None:
    """Checks what BERT's configuration and that of its kin have in common.

    Args:
        config: A configuration with BERT's fields.
        more: Further fields that are whole numbers from 1.

    Raises:
        ValueError: A value is of a wrong type or out of range, or the heads do not fill the width.
    """
    name = type(config).__name__
    for field in ("vocab", "embed", "heads", "head_dim", "ffn", *more):
        check_whole(f"{name}.{field}", getattr(config, field), 1, SIZE)
    check_whole(f"{name}.layers", config.layers, 1, LAYERS)
    for field in ("pad_id", "eos_id"):
        check_whole(f"{name}.{field}", getattr(config, field), 0, SIZE)
    if config.heads * config.head_dim != config.embed:
        raise ValueError(
            f"{name}.heads={config.heads} times head_dim={config.head_dim} must be embed={config.embed}: the heads "
            "share the width."
        )
    check_choice(f"{name}.activation", config.activation, get_args(Activation))
    for field in ("dropout", "attention_dropout"):
        check_share(f"{name}.{field}", getattr(config, field), below_one=True)
    check_share(f"{name}.norm_epsilon", config.norm_epsilon)


def layer_weights(config: Any) -> int:
    """Returns the number of weights of one layer: four projections, two products, their biases, and two norms."""
    attention = 4 * (config.embed + 1) * config.embed
    feed_forward = 2 * config.embed * config.ffn + config.ffn + config.embed
    return attention + feed_forward + 4 * config.embed


def read_sizes(fields: Fields, eos_id: int, norm_epsilon: float) -> dict[str, Any]:
    """Reads the keys that BERT's config.json and those of its kin have in common, by our fields.

    Args:
        fields: Of the config.json.
        eos_id: Id of the token that ends a text, where the file does not say it.
        norm_epsilon: The same for the norms.

    Raises:
        ValueError: A size is missing, or a value has a wrong type or range.
    """
    check_common_keys(fields)
    fields.ignore(HARMLESS)
    heads, embed = size(fields, "num_attention_heads"), size(fields, "hidden_size")
    if embed % heads:
        raise ValueError(f"{fields.where} has hidden_size={embed}, which num_attention_heads={heads} cannot share.")
    return {
        "vocab": size(fields, "vocab_size"),
        "embed": embed,
        "layers": size(fields, "num_hidden_layers", most=LAYERS),
        "heads": heads,
        "head_dim": embed // heads,
        "ffn": size(fields, "intermediate_size"),
        "activation": activation(fields, "hidden_act", "gelu"),
        "norm_epsilon": fields.number("layer_norm_eps", norm_epsilon, least=0.0, most=1.0),
        "dropout": fields.number("hidden_dropout_prob", 0.1, least=0.0, most=1.0),
        "attention_dropout": fields.number("attention_probs_dropout_prob", 0.1, least=0.0, most=1.0),
        "eos_id": end_token(fields, eos_id),
    }


def written_sizes(config: Any) -> dict[str, Any]:
    """Returns those keys of a configuration."""
    return {
        "vocab_size": config.vocab,
        "hidden_size": config.embed,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.ffn,
        "hidden_act": _NAMES[config.activation],
        "layer_norm_eps": config.norm_epsilon,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "pad_token_id": config.pad_id,
        "eos_token_id": config.eos_id,
    }


def read_config(fields: Fields) -> BertConfig:
    """Reads the fields of a config.json.

    Raises:
        ValueError: A size is missing, a value has a wrong type or range or asks for what the encoder does not compute,
            or a key is unknown.
    """
    model_type = fields.text("model_type")
    values = read_sizes(fields, eos_id=102, norm_epsilon=1e-12)
    fields.require({"position_embedding_type": ("absolute",)}, "which is another way to tell positions")
    values["positions"] = size(fields, "max_position_embeddings")
    values["token_types"] = fields.whole("type_vocab_size", 2, least=1)
    values["pad_id"] = fields.whole("pad_token_id", 0)
    fields.refuse_unread()
    return made_of(BertConfig, {**values, "model_type": model_type}, fields.where)


def write_config(config: BertConfig) -> dict[str, Any]:
    """Returns the `config.json` dictionary that transformers reads as the same encoder."""
    return {
        "architectures": ["BertModel"],
        "model_type": config.model_type,
        **written_sizes(config),
        "max_position_embeddings": config.positions,
        "type_vocab_size": config.token_types,
        "position_embedding_type": "absolute",
    }
