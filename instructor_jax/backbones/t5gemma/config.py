"""The shape of a T5Gemma encoder, and what its config.json says.

Read against transformers 5.24 (`models/t5gemma/`). The encoder is Gemma 2's stack of layers without its causal mask:
every second layer sees all of a text, the others a window, and scores are bounded. What is said of the decoder is not
read.
"""

import dataclasses
from typing import Any, Literal, get_args

from instructor_jax.backbones.checks import check_choice, check_share, made_of
from instructor_jax.backbones.gemma.config import FULL_PLACE, HARMLESS
from instructor_jax.backbones.qwen3.grouped_heads import check_grouped_heads, layer_weights
from instructor_jax.backbones.qwen3.settings import Usual, read_shared, written_shared
from instructor_jax.io.bounds import LAYERS, SIZE
from instructor_jax.io.json_files import Fields
from instructor_jax.io.settings.encoder import check_common_keys, size
from instructor_jax.io.settings.layer_kinds import FULL, full_every, layer_types, rotary_bases

Activation = Literal["relu", "gelu", "gelu_new", "silu"]
_USUAL = Usual(4, 256, 8192)
_PART = "t5_gemma_module"  # transformers' name of an encoder's or decoder's settings

# Keys of the whole model whose value, whatever it is, changes no vector of the encoder.
_HARMLESS = {
    **HARMLESS,
    "decoder": "not read",
    "classifier_dropout_rate": "classification head",
    "vocab_size": "of the decoder; the encoder's own is among its settings",
    "pad_token_id": "the encoder's own is among its settings",
    "eos_token_id": "the same",
}


@dataclasses.dataclass(frozen=True)
class T5GemmaConfig:
    """Shape of a T5Gemma encoder: norms before and behind every part, grouped heads, scores with a soft cap."""

    vocab: int = 256000
    embed: int = 2304
    layers: int = 26
    heads: int = 8
    kv_heads: int = 4
    head_dim: int = 256
    ffn: int = 9216
    activation: Activation = "gelu_new"
    full_every: int = 2  # every second layer sees all of a text, from the second on
    window: int = 4096  # the greatest distance that a token sees in the others
    rotary_base: int = 10_000
    score_width: int = 256  # scores are divided by its root
    softcap: float = 50.0  # what they stay below; 0 for no bound
    attention_bias: bool = False
    max_positions: int = 8192  # of the published models; nothing in the weights depends on it
    norm_epsilon: float = 1e-6
    dropout: float = 0.0  # used in training only
    attention_dropout: float = 0.0
    pad_id: int = 0
    eos_id: int = 1
    model_type: str = "t5gemma"

    def __post_init__(self) -> None:
        name = type(self).__name__
        check_grouped_heads(self, ("full_every", "window", "rotary_base", "score_width"), get_args(Activation))
        check_choice(f"{name}.model_type", self.model_type, ("t5gemma",))
        check_share(f"{name}.dropout", self.dropout, below_one=True)
        if isinstance(self.softcap, bool) or not isinstance(self.softcap, int | float):
            raise ValueError(f"{name}.softcap={self.softcap!r} must be a number.")
        if not 0.0 <= self.softcap <= SIZE:
            raise ValueError(f"{name}.softcap={self.softcap} must be from 0 to {SIZE}; 0 is for no bound.")

    @property
    def positions(self) -> None:
        """Positions are angles, so a text may have any number of tokens."""

    @property
    def bidirectional(self) -> bool:
        """A token sees what comes after it, too."""
        return True

    @property
    def reach(self) -> int:
        """The greatest distance that a token sees in a layer with a window."""
        return self.window

    @property
    def full_rotary_base(self) -> int:
        """All layers turn positions alike."""
        return self.rotary_base

    @property
    def window_rotary_base(self) -> int:
        """All layers turn positions alike."""
        return self.rotary_base

    @property
    def weight_count(self) -> int:
        """Number of weights, counted from the shapes."""
        per_layer = layer_weights(self, norms=4, head_norms=False)
        return self.vocab * self.embed + self.layers * per_layer + self.embed


def read_config(fields: Fields) -> T5GemmaConfig:
    """Reads the fields of a config.json, of the encoder alone or of the whole model.

    Raises:
        ValueError: A size is missing, a value has a wrong type or range or asks for what is not computed, or a key is
            unknown.
    """
    model_type = fields.text("model_type")
    check_common_keys(fields)
    fields.ignore(_HARMLESS)
    inner = Fields(fields.any("encoder"), f"{fields.where}, encoder")
    inner.require({"model_type": (_PART, "t5gemma")}, "which is not an encoder of this family")
    # transformers takes these two from the whole model, whatever stands in the part
    inner.ignore({**HARMLESS, "dropout_rate": "see above", "attention_dropout": "see above"})
    check_common_keys(inner)
    layers = size(inner, "num_hidden_layers", most=LAYERS)
    usual = 0.0 if "attn_logit_softcapping" in inner.content else 50.0  # null is no bound, and not the usual one
    values = read_shared(inner, _USUAL) | {
        "full_every": full_every(inner, layers, FULL_PLACE, (), 2),
        "window": inner.whole("sliding_window", 4096, least=1),
        "rotary_base": rotary_bases(inner, {FULL: "rope_theta"}, {FULL: 10_000})[FULL],
        "score_width": int(inner.number("query_pre_attn_scalar", 256.0, least=1.0, most=float(SIZE))),
        "softcap": inner.number("attn_logit_softcapping", usual, least=1e-6, most=float(SIZE)),
        "dropout": fields.number("dropout_rate", 0.0, least=0.0, most=1.0),
        "attention_dropout": fields.number("attention_dropout", 0.0, least=0.0, most=1.0),
        "model_type": model_type,
    }
    inner.refuse_unread()
    fields.refuse_unread()
    return made_of(T5GemmaConfig, values, fields.where)


def write_config(config: T5GemmaConfig) -> dict[str, Any]:
    """Returns the `config.json` dictionary that transformers reads as the same encoder."""
    part = {
        "model_type": _PART,
        **written_shared(config, _USUAL),
        "layer_types": layer_types(config.layers, config.full_every, FULL_PLACE),
        "sliding_window": config.window,
        "rope_theta": config.rotary_base,
        "query_pre_attn_scalar": config.score_width,
        "attn_logit_softcapping": config.softcap or None,
        "use_cache": False,
    }
    return {
        "architectures": ["T5GemmaEncoderModel"],
        "model_type": config.model_type,
        "is_encoder_decoder": False,
        "encoder": part,
        "decoder": part,  # versions 4.53 to 4.57 make both, and use none of it
        "vocab_size": config.vocab,
        "dropout_rate": config.dropout,
        "attention_dropout": config.attention_dropout,
        "pad_token_id": config.pad_id,
        "eos_token_id": config.eos_id,
    }
