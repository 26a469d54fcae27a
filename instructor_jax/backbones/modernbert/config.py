"""The shape of a ModernBERT encoder, and what its config.json says.

Read against transformers 4.48 to 5 (`models/modernbert/`) and the published files of ModernBERT and of embedders made
from it.
"""

import dataclasses
from typing import Any, Literal, get_args

from instructor_jax.backbones.checks import check_choice, check_flag, check_share, check_whole, made_of
from instructor_jax.io.bounds import LAYERS, SIZE
from instructor_jax.io.json_files import Fields
from instructor_jax.io.settings.encoder import ACTIVATIONS, activation, check_common_keys, end_token, size
from instructor_jax.io.settings.layer_kinds import FULL, WINDOW, full_every, layer_types, rotary_bases

Activation = Literal["relu", "gelu", "gelu_new", "silu"]
_NAMES = {name: theirs for theirs, name in reversed(ACTIVATIONS.items())}  # ours -> transformers'
FULL_PLACE = 0  # of every few layers the first sees all of a text

# Keys whose value, whatever it is, changes no vector.
HARMLESS = {
    "initializer_range": "how new weights are drawn",
    "initializer_cutoff_factor": "how new weights are drawn",
    "chunk_size_feed_forward": "how much is computed at once",
    "is_encoder_decoder": "the encoder is all there is",
    "use_cache": "decoder",
    "tie_word_embeddings": "the output of a language model",
    "bos_token_id": "the tokenizer's files say what begins a text",
    "cls_token_id": "the tokenizer's files say what begins a text",
    "sep_token_id": "the tokenizer's files say what ends a text",
    "mask_token_id": "training",
    "layer_norm_eps": "in published files beside norm_eps; transformers does not read it",
    "position_embedding_type": "in published files; transformers does not read it",
    "decoder_bias": "the output of a language model",
    "classifier_pooling": "classification head",
    "classifier_bias": "classification head",
    "classifier_activation": "classification head",
    "deterministic_flash_attn": "rounding",
    "sparse_prediction": "the output of a language model",
    "sparse_pred_ignore_index": "the output of a language model",
    "reference_compile": "how PyTorch computes",
    "repad_logits_with_grad": "training",
}


@dataclasses.dataclass(frozen=True)
class ModernBertConfig:
    """Shape of a ModernBERT encoder: rotary positions, gated units, norms before the sums, windows in most layers."""

    vocab: int = 50368
    embed: int = 768
    layers: int = 22
    heads: int = 12
    head_dim: int = 64
    ffn: int = 1152
    activation: Activation = "gelu"
    full_every: int = 3  # every third layer sees all of a text, from the first on
    window: int = 128  # the others see half of it on either side
    full_rotary_base: int = 160_000
    window_rotary_base: int = 10_000
    attention_bias: bool = False
    mlp_bias: bool = False
    norm_bias: bool = False
    max_positions: int = 8192  # of the published model; nothing in the weights depends on it
    norm_epsilon: float = 1e-5
    embed_dropout: float = 0.0  # used in training only, as the other two
    dropout: float = 0.0  # of the gated units
    attention_dropout: float = 0.0
    pad_id: int = 50283
    eos_id: int = 50282
    model_type: str = "modernbert"

    def __post_init__(self) -> None:
        name = type(self).__name__
        for field in (
            "vocab", "embed", "heads", "head_dim", "ffn", "full_every", "full_rotary_base", "window_rotary_base",
            "max_positions",
        ):  # fmt: skip
            check_whole(f"{name}.{field}", getattr(self, field), 1, SIZE)
        check_whole(f"{name}.layers", self.layers, 1, LAYERS)
        for field in ("pad_id", "eos_id", "window"):
            check_whole(f"{name}.{field}", getattr(self, field), 0, SIZE)
        for field in ("attention_bias", "mlp_bias", "norm_bias"):
            check_flag(f"{name}.{field}", getattr(self, field))
        check_choice(f"{name}.activation", self.activation, get_args(Activation))
        check_choice(f"{name}.model_type", self.model_type, ("modernbert",))
        for field in ("embed_dropout", "dropout", "attention_dropout", "norm_epsilon"):
            check_share(f"{name}.{field}", getattr(self, field), below_one=True)
        if self.heads * self.head_dim != self.embed or self.head_dim % 2:
            raise ValueError(
                f"{name}.heads={self.heads} times head_dim={self.head_dim} must be embed={self.embed}, and head_dim "
                "even: the heads share the width, and positions turn pairs of numbers."
            )

    @property
    def positions(self) -> None:
        """Positions are angles, so a text may have any number of tokens."""

    @property
    def reach(self) -> int:
        """The greatest distance that a token sees in a layer with a window."""
        return self.window // 2

    @property
    def weight_count(self) -> int:
        """Number of weights, counted from the shapes; the first layer has no norm before its attention."""
        embed, ffn = self.embed, self.ffn
        attention = 4 * embed * embed + 4 * embed * self.attention_bias
        feed_forward = 3 * embed * ffn + (2 * ffn + embed) * self.mlp_bias
        norms = (2 * self.layers + 1) * embed * (1 + self.norm_bias)
        return self.vocab * embed + self.layers * (attention + feed_forward) + norms


def read_config(fields: Fields) -> ModernBertConfig:
    """Reads the fields of a config.json.

    Raises:
        ValueError: A size is missing, a value has a wrong type or range or asks for what is not computed, or a key is
            unknown.
    """
    model_type = fields.text("model_type")
    check_common_keys(fields)
    fields.ignore(HARMLESS)
    layers = size(fields, "num_hidden_layers", most=LAYERS)
    heads, embed = size(fields, "num_attention_heads"), size(fields, "hidden_size")
    keys = {FULL: "global_rope_theta", WINDOW: "local_rope_theta"}
    bases = rotary_bases(fields, keys, {FULL: 160_000, WINDOW: 10_000})
    values: dict[str, Any] = {
        "vocab": size(fields, "vocab_size"),
        "embed": embed,
        "layers": layers,
        "heads": heads,
        "head_dim": max(1, embed // heads),
        "ffn": size(fields, "intermediate_size"),
        "activation": activation(fields, "hidden_activation", "gelu"),
        "full_every": full_every(fields, layers, FULL_PLACE, ("global_attn_every_n_layers",), 3),
        "window": fields.whole("local_attention", 128),
        "full_rotary_base": bases[FULL],
        "window_rotary_base": bases[WINDOW],
        "max_positions": fields.whole("max_position_embeddings", 8192, least=2),
        "norm_epsilon": fields.number("norm_eps", 1e-5, least=0.0, most=1.0),
        "embed_dropout": fields.number("embedding_dropout", 0.0, least=0.0, most=1.0),
        "dropout": fields.number("mlp_dropout", 0.0, least=0.0, most=1.0),
        "attention_dropout": fields.number("attention_dropout", 0.0, least=0.0, most=1.0),
        "pad_id": fields.whole("pad_token_id", 50283),
        "eos_id": end_token(fields, 50282),
        "model_type": model_type,
    }
    values |= {key: fields.flag(key, False) for key in ("attention_bias", "mlp_bias", "norm_bias")}
    fields.refuse_unread()
    return made_of(ModernBertConfig, values, fields.where)


def write_config(config: ModernBertConfig) -> dict[str, Any]:
    """Returns the `config.json` dictionary that transformers, before version 5 and since, reads as the same encoder."""
    return {
        "architectures": ["ModernBertModel"],
        "model_type": config.model_type,
        "vocab_size": config.vocab,
        "hidden_size": config.embed,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.ffn,
        "hidden_activation": _NAMES[config.activation],
        "global_attn_every_n_layers": config.full_every,
        "layer_types": layer_types(config.layers, config.full_every, FULL_PLACE),
        "local_attention": config.window,
        "global_rope_theta": config.full_rotary_base,
        "local_rope_theta": config.window_rotary_base,
        "attention_bias": config.attention_bias,
        "mlp_bias": config.mlp_bias,
        "norm_bias": config.norm_bias,
        "max_position_embeddings": config.max_positions,
        "norm_eps": config.norm_epsilon,
        "embedding_dropout": config.embed_dropout,
        "mlp_dropout": config.dropout,
        "attention_dropout": config.attention_dropout,
        "pad_token_id": config.pad_id,
        "eos_token_id": config.eos_id,
    }
