"""The shape of a Gemma 3 text model as EmbeddingGemma uses it, and what its config.json says.

Read against transformers 4.56 to 5 (`models/gemma3/`). A bidirectional model sees all of a text in every sixth layer
and a window in the others; a causal one sees what came before.
"""

import dataclasses
from typing import Any, Literal, get_args

from instructor_jax.backbones.checks import check_choice, check_flag, made_of
from instructor_jax.backbones.qwen3.grouped_heads import check_grouped_heads, layer_weights
from instructor_jax.backbones.qwen3.settings import Usual, read_shared, written_shared
from instructor_jax.io.bounds import LAYERS, SIZE
from instructor_jax.io.json_files import Fields
from instructor_jax.io.settings.encoder import check_common_keys, size
from instructor_jax.io.settings.layer_kinds import FULL, WINDOW, full_every, layer_types, rotary_bases

Activation = Literal["relu", "gelu", "gelu_new", "silu"]
_USUAL = Usual(4, 256, 131072)
FULL_PLACE = -1  # of every few layers the last sees all of a text

# Keys whose value, whatever it is, changes no vector.
HARMLESS = {
    "initializer_range": "how new weights are drawn",
    "chunk_size_feed_forward": "how much is computed at once",
    "is_encoder_decoder": "there is no other half",
    "use_cache": "generation",
    "cache_implementation": "generation",
    "tie_word_embeddings": "the output of the language model",
    "bos_token_id": "the tokenizer's files say what begins a text",
    "sep_token_id": "the tokenizer's files say what ends a text",
    "final_logit_softcapping": "the output of the language model",
    "hidden_act": "in older files beside hidden_activation, which is obeyed",
}


@dataclasses.dataclass(frozen=True)
class GemmaConfig:
    """Shape of a Gemma 3 text model: norms before and behind every part, grouped heads, windows in most layers."""

    vocab: int = 262144
    embed: int = 768
    layers: int = 24
    heads: int = 3
    kv_heads: int = 1
    head_dim: int = 256
    ffn: int = 1152
    activation: Activation = "gelu_new"
    bidirectional: bool = True
    full_every: int = 6  # every sixth layer sees all of a text, from the sixth on
    window: int = 512  # as config.json has it; see `reach`
    full_rotary_base: int = 1_000_000
    window_rotary_base: int = 10_000
    score_width: int = 256  # scores are divided by its root
    attention_bias: bool = False
    max_positions: int = 2048  # of the published model; nothing in the weights depends on it
    norm_epsilon: float = 1e-6
    attention_dropout: float = 0.0  # used in training only
    pad_id: int = 0
    eos_id: int = 1
    model_type: str = "gemma3_text"

    def __post_init__(self) -> None:
        windows = ("full_every", "window", "full_rotary_base", "window_rotary_base", "score_width")
        check_grouped_heads(self, windows, get_args(Activation))
        check_flag(f"{type(self).__name__}.bidirectional", self.bidirectional)
        check_choice(f"{type(self).__name__}.model_type", self.model_type, ("gemma3_text",))

    @property
    def dropout(self) -> float:
        """Nothing but attention weights is dropped."""
        return 0.0

    @property
    def positions(self) -> None:
        """Positions are angles, so a text may have any number of tokens."""

    @property
    def reach(self) -> int:
        """The greatest distance that a token sees in a layer with a window.

        `Gemma3TextConfig` halves the window of a bidirectional model and adds 1, for a bound that is not reached.
        """
        return self.window // 2 if self.bidirectional else self.window - 1

    @property
    def weight_count(self) -> int:
        """Number of weights, counted from the shapes."""
        per_layer = layer_weights(self, norms=4)
        return self.vocab * self.embed + self.layers * per_layer + self.embed


def read_config(fields: Fields) -> GemmaConfig:
    """Reads the fields of a config.json, of the text model alone or of the causal language model around it.

    Raises:
        ValueError: A size is missing, a value has a wrong type or range or asks for what is not computed, or a key is
            unknown.
    """
    model_type = fields.text("model_type")
    check_common_keys(fields, causal=True)
    fields.ignore(HARMLESS)
    fields.require({"attn_logit_softcapping": ()}, "which bounds the scores")
    layers = size(fields, "num_hidden_layers", most=LAYERS)
    keys = {FULL: "rope_theta", WINDOW: "rope_local_base_freq"}
    bases = rotary_bases(fields, keys, {FULL: 1_000_000, WINDOW: 10_000})
    patterns = ("sliding_window_pattern", "_sliding_window_pattern")
    values = read_shared(fields, _USUAL) | {
        "bidirectional": fields.flag("use_bidirectional_attention", False),
        "full_every": full_every(fields, layers, FULL_PLACE, patterns, 6),
        "window": fields.whole("sliding_window", 4096, least=1),
        "full_rotary_base": bases[FULL],
        "window_rotary_base": bases[WINDOW],
        "score_width": int(fields.number("query_pre_attn_scalar", 256.0, least=1.0, most=float(SIZE))),
        "attention_dropout": fields.number("attention_dropout", 0.0, least=0.0, most=1.0),
        "model_type": model_type,
    }
    fields.refuse_unread()
    return made_of(GemmaConfig, values, fields.where)


def write_config(config: GemmaConfig) -> dict[str, Any]:
    """Returns the `config.json` dictionary that transformers, before version 5 and since, reads as the same model."""
    return {
        "architectures": ["Gemma3TextModel"],
        "model_type": config.model_type,
        **written_shared(config, _USUAL),
        "use_bidirectional_attention": config.bidirectional,
        "sliding_window_pattern": config.full_every,
        "layer_types": layer_types(config.layers, config.full_every, FULL_PLACE),
        "sliding_window": config.window,
        "rope_theta": config.full_rotary_base,
        "rope_local_base_freq": config.window_rotary_base,
        "query_pre_attn_scalar": config.score_width,
        "attention_dropout": config.attention_dropout,
        "use_cache": False,
    }
