"""The shape of a Qwen3 model without its language head, and what its config.json says.

Read against transformers 4.51 to 5 (`models/qwen3/`) and the published files of Qwen3-Embedding.
"""

import dataclasses
from typing import Any, Literal, get_args

from instructor_jax.backbones.checks import check_choice, made_of
from instructor_jax.backbones.qwen3.grouped_heads import check_grouped_heads, layer_weights
from instructor_jax.backbones.qwen3.settings import Usual, read_shared, written_shared
from instructor_jax.io.bounds import LAYERS
from instructor_jax.io.json_files import Fields
from instructor_jax.io.settings.encoder import check_common_keys, size
from instructor_jax.io.settings.layer_kinds import FULL, rotary_bases

Activation = Literal["relu", "gelu", "gelu_new", "silu"]
_USUAL = Usual(32, 128, 32768, 151643, "silu", "hidden_act")

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
    values = read_shared(fields, _USUAL) | {
        "rotary_base": rotary_bases(fields, {FULL: "rope_theta"}, {FULL: 10_000})[FULL],
        "attention_dropout": fields.number("attention_dropout", 0.0, least=0.0, most=1.0),
        "model_type": model_type,
    }
    fields.refuse_unread()
    return made_of(Qwen3Config, values, fields.where)


def write_config(config: Qwen3Config) -> dict[str, Any]:
    """Returns the `config.json` dictionary that transformers, before version 5 and since, reads as the same model."""
    return {
        "architectures": ["Qwen3Model"],
        "model_type": config.model_type,
        **written_shared(config, _USUAL),
        "rope_theta": config.rotary_base,
        "attention_dropout": config.attention_dropout,
        "use_sliding_window": False,
        "use_cache": False,
    }
