"""The shape of a Qwen3 model without its language head, and what its config.json says.

Read against transformers 4.51 to 5 (`models/qwen3/`) and the published files of Qwen3-Embedding.
"""

import dataclasses
from typing import Any, Literal, get_args

from instructor_jax.backbones.checks import check_choice, made_of
from instructor_jax.backbones.qwen3.grouped_heads import check_grouped_heads, layer_weights
from instructor_jax.io.bounds import LAYERS
from instructor_jax.io.json_files import Fields
from instructor_jax.io.settings.encoder import ACTIVATIONS, activation, check_common_keys, end_token, size
from instructor_jax.io.settings.layer_kinds import FULL, rotary_bases

Activation = Literal["relu", "gelu", "gelu_new", "silu"]
_NAMES = {name: theirs for theirs, name in reversed(ACTIVATIONS.items())}  # ours -> transformers'

# Keys whose value, whatever it is, changes no vector.
HARMLESS = {
    "initializer_range": "how new weights are drawn",
    "chunk_size_feed_forward": "how much is computed at once",
    "is_encoder_decoder": "there is no other half",
    "use_cache": "generation",
    "tie_word_embeddings": "the output of the language model",
    "bos_token_id": "the tokenizer's files say what begins a text",
    "sep_token_id": "the tokenizer's files say what ends a text",
    "sliding_window": "used with use_sliding_window alone",
    "max_window_layers": "used with use_sliding_window alone",
    "pretraining_tp": "how it was trained",
}


@dataclasses.dataclass(frozen=True)
class Qwen3Config:
    """Shape of a Qwen3 model: causal, rotary positions, grouped heads, norms of queries and keys, gated units."""

    vocab: int = 151936
    embed: int = 1024
    layers: int = 28
    heads: int = 16
    kv_heads: int = 8
    head_dim: int = 128
    ffn: int = 3072
    activation: Activation = "silu"
    attention_bias: bool = False
    rotary_base: int = 1_000_000
    max_positions: int = 32768  # of the published model; nothing in the weights depends on it
    norm_epsilon: float = 1e-6
    attention_dropout: float = 0.0  # used in training only
    pad_id: int = 0
    eos_id: int = 151643
    model_type: str = "qwen3"

    def __post_init__(self) -> None:
        check_grouped_heads(self, ("rotary_base",), get_args(Activation))
        check_choice(f"{type(self).__name__}.model_type", self.model_type, ("qwen3",))

    @property
    def dropout(self) -> float:
        """Nothing but attention weights is dropped."""
        return 0.0

    @property
    def positions(self) -> None:
        """Positions are angles, so a text may have any number of tokens."""

    @property
    def weight_count(self) -> int:
        """Number of weights, counted from the shapes."""
        per_layer = layer_weights(self, norms=2)
        return self.vocab * self.embed + self.layers * per_layer + self.embed


def read_config(fields: Fields) -> Qwen3Config:
    """Reads the fields of a config.json, of the model alone or of the causal language model around it.

    Raises:
        ValueError: A size is missing, a value has a wrong type or range or asks for what is not computed, or a key is
            unknown.
    """
    model_type = fields.text("model_type")
    check_common_keys(fields, causal=True)
    fields.ignore(HARMLESS)
    fields.require({"use_sliding_window": (False,)}, "which limits what tokens see")
    layers = size(fields, "num_hidden_layers", most=LAYERS)
    fields.require({"layer_types": ([FULL] * layers,)}, "of which some see a window")
    heads, embed = size(fields, "num_attention_heads"), size(fields, "hidden_size")
    values: dict[str, Any] = {
        "vocab": size(fields, "vocab_size"),
        "embed": embed,
        "layers": layers,
        "heads": heads,
        "kv_heads": fields.whole("num_key_value_heads", 32, least=1),
        "head_dim": fields.whole("head_dim", 128, least=2),
        "ffn": size(fields, "intermediate_size"),
        "activation": activation(fields, "hidden_act", "silu"),
        "attention_bias": fields.flag("attention_bias", False),
        "rotary_base": rotary_bases(fields, {FULL: "rope_theta"}, {FULL: 10_000})[FULL],
        "max_positions": fields.whole("max_position_embeddings", 32768, least=2),
        "norm_epsilon": fields.number("rms_norm_eps", 1e-6, least=0.0, most=1.0),
        "attention_dropout": fields.number("attention_dropout", 0.0, least=0.0, most=1.0),
        "pad_id": fields.whole("pad_token_id", 0),
        "eos_id": end_token(fields, 151643),
        "model_type": model_type,
    }
    fields.refuse_unread()
    return made_of(Qwen3Config, values, fields.where)


def write_config(config: Qwen3Config) -> dict[str, Any]:
    """Returns the `config.json` dictionary that transformers, before version 5 and since, reads as the same model."""
    return {
        "architectures": ["Qwen3Model"],
        "model_type": config.model_type,
        "vocab_size": config.vocab,
        "hidden_size": config.embed,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.ffn,
        "hidden_act": _NAMES[config.activation],
        "attention_bias": config.attention_bias,
        "rope_theta": config.rotary_base,
        "max_position_embeddings": config.max_positions,
        "rms_norm_eps": config.norm_epsilon,
        "attention_dropout": config.attention_dropout,
        "pad_token_id": config.pad_id,
        "eos_token_id": config.eos_id,
        "use_sliding_window": False,
        "use_cache": False,
    }
