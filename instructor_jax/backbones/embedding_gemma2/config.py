"""The shape of EmbeddingGemma 2's text model, and what its config.json says.

Read against transformers 5.24 (`models/embedding_gemma2/`). The published model reads images, audio and video, too;
the settings and weights of those parts are left out, since texts never pass through them. Every sixth layer sees all of
a text and has wider heads than the others.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args

from instructor_jax.backbones.checks import check_choice, made_of
from instructor_jax.backbones.gemma.config import FULL_PLACE, HARMLESS
from instructor_jax.backbones.qwen3.grouped_heads import check_grouped_heads, layer_weights
from instructor_jax.backbones.qwen3.settings import Usual, read_shared, written_shared
from instructor_jax.io.bounds import LAYERS
from instructor_jax.io.json_files import Fields, shown_value
from instructor_jax.io.settings.encoder import check_common_keys, size
from instructor_jax.io.settings.layer_kinds import FULL, WINDOW, full_every, layer_types, rotary_bases

Activation = Literal["relu", "gelu", "gelu_new", "silu"]
TEXT = "embedding_gemma2_text"  # the model type of the text model; that of the multimodal one is without "_text"
_USUAL = Usual(2, 256, 262144)
_OWN_SHAPES = "per_layer_config"
_BASES = {FULL: 1_000_000, WINDOW: 10_000}

# Keys of the whole model that no text depends on.
_OTHER_MODALITIES = {
    "vision_config": "images and video",
    "audio_config": "audio",
    "boi_token_id": "begins an image",
    "eoi_token_id": "ends an image",
    "image_token_id": "stands for a part of an image",
    "video_token_id": "stands for a part of a video",
    "boa_token_id": "begins audio",
    "eoa_token_index": "ends audio",
    "eoa_token_id": "the same, as Gemma 4 spells it",
    "vision_soft_tokens_per_image": "how many parts an image has",
    "audio_token_id": "stands for a part of audio",
}


@dataclasses.dataclass(frozen=True)
class EmbeddingGemma2Config:
    """Shape of EmbeddingGemma 2's text model; the heads of most layers, and those of the layers that see all."""

    vocab: int = 262144
    embed: int = 512
    layers: int = 24
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 256
    full_kv_heads: int = 1
    full_head_dim: int = 512
    ffn: int = 2048
    ple_dim: int = 512  # width of the per-layer embeddings (PLE)
    output: int = 768  # width of what leaves the model
    activation: Activation = "gelu_new"
    full_every: int = 6  # every sixth layer sees all of a text, from the sixth on
    window: int = 512  # the greatest distance that a token sees in the others
    full_rotary_base: int = 1_000_000
    window_rotary_base: int = 10_000
    attention_bias: bool = False
    max_positions: int = 262144  # of the published model; nothing in the weights depends on it
    norm_epsilon: float = 1e-6
    attention_dropout: float = 0.0  # used in training only
    pad_id: int = 0
    eos_id: int = 1
    model_type: str = TEXT

    def __post_init__(self) -> None:
        name = type(self).__name__
        more = ("full_every", "window", "full_rotary_base", "window_rotary_base", "full_kv_heads", "full_head_dim")
        check_grouped_heads(self, (*more, "ple_dim", "output"), get_args(Activation))
        check_choice(f"{name}.model_type", self.model_type, (TEXT,))
        if self.heads % self.full_kv_heads or self.full_head_dim % 2:
            raise ValueError(
                f"{name}.full_kv_heads={self.full_kv_heads} must divide heads={self.heads}, and full_head_dim="
                f"{self.full_head_dim} be even."
            )
        if self.layers % self.full_every:
            raise ValueError(
                f"{name}.layers={self.layers} must be a multiple of full_every={self.full_every}: the last sees all."
            )

    @property
    def dropout(self) -> float:
        """Nothing but attention weights is dropped."""
        return 0.0

    @property
    def positions(self) -> None:
        """Positions are angles, so a text may have any number of tokens."""

    @property
    def steps(self) -> int:
        """A step of the loop over the layers runs those with windows and the one that sees all behind them."""
        return self.layers // self.full_every

    @property
    def of_full_layers(self) -> "EmbeddingGemma2Config":
        """The configuration with the heads of the layers that see all of a text."""
        return dataclasses.replace(self, kv_heads=self.full_kv_heads, head_dim=self.full_head_dim)

    def sees_all(self, place: int) -> bool:
        """Returns whether the layer at that place of a step sees all of a text."""
        return place == self.full_every - 1

    def of_place(self, place: int) -> "EmbeddingGemma2Config":
        """Returns the configuration with the heads of the layer at that place of a step."""
        return self.of_full_layers if self.sees_all(place) else self

    @property
    def weight_count(self) -> int:
        """Number of weights, counted from the shapes; of layers, one more that scales what leaves each."""
        ple = 2 * self.embed * self.ple_dim + self.embed
        kinds = [layer_weights(self.of_place(place), norms=4) for place in range(self.full_every)]
        layers = self.steps * sum(kinds) + self.layers * (ple + 1)
        ends = self.embed * self.layers * self.ple_dim + self.ple_dim + self.embed + self.embed * self.output
        return self.vocab * self.embed + layers + ends


def read_config(fields: Fields) -> EmbeddingGemma2Config:
    """Reads the fields of a config.json, of the text model alone or of the multimodal one.

    Raises:
        ValueError: A size is missing, a value has a wrong type or range or asks for what is not computed, or a key is
            unknown.
    """
    if fields.text("model_type") == TEXT:
        return _text_config(fields)
    check_common_keys(fields)
    fields.ignore({**HARMLESS, **_OTHER_MODALITIES})
    inner = Fields(fields.any("text_config"), f"{fields.where}, text_config")
    if inner.text("model_type", TEXT) != TEXT:
        raise ValueError(f"{inner.where} has model_type={shown_value(inner.any('model_type'))}; it must be {TEXT!r}.")
    fields.refuse_unread()
    return _text_config(inner)


def _text_config(fields: Fields) -> EmbeddingGemma2Config:
    check_common_keys(fields, read=(_OWN_SHAPES,))
    fields.ignore({**HARMLESS, "model_type": "known"})
    layers = size(fields, "num_hidden_layers", most=LAYERS)
    every = full_every(fields, layers, FULL_PLACE, ("sliding_window_pattern",), 6)
    full_head_dim, full_kv_heads = _full_heads(fields, layer_types(layers, every, FULL_PLACE))
    bases = rotary_bases(fields, {}, _BASES)
    values = read_shared(fields, _USUAL) | {
        "full_kv_heads": full_kv_heads,
        "full_head_dim": full_head_dim,
        "ple_dim": fields.whole("hidden_size_per_layer_input", 512, least=1),
        "output": fields.whole("embedding_dim", 768, least=1),
        "full_every": every,
        "window": fields.whole("sliding_window", 512, least=1),
        "full_rotary_base": bases[FULL],
        "window_rotary_base": bases[WINDOW],
        "attention_dropout": fields.number("attention_dropout", 0.0, least=0.0, most=1.0),
    }
    fields.refuse_unread()
    return made_of(EmbeddingGemma2Config, values, fields.where)


def _full_heads(fields: Fields, kinds: list[str]) -> tuple[int, int]:
    """Returns width and number of the heads of keys in the layers that see all of a text.

    Raises:
        ValueError: these layers differ, or other layers have shapes of their own.
    """
    usual = fields.whole("global_head_dim", 512, least=2), fields.whole("num_global_key_value_heads", 1, least=1)
    content = fields.any(_OWN_SHAPES)
    if content is None:
        return usual
    named = content if isinstance(content, Mapping) else {"?": content}
    layers = {key: int(key) for key in named if key.isascii() and key.isdecimal() and len(key) < 6}
    full = {layer for layer, kind in enumerate(kinds) if kind == FULL}
    if len(layers) != len(named) or not full.issuperset(layers.values()):
        raise ValueError(
            f"{fields.where} has {_OWN_SHAPES}={shown_value(content)}; supported are shapes of those layers alone that "
            f"are {FULL} in layer_types."
        )
    # transformers leaves out what is as in all other layers
    base = (
        fields.whole("head_dim", _USUAL.head_dim, least=2),
        fields.whole("num_key_value_heads", _USUAL.kv_heads, least=1),
    )
    shapes = {base} if full - set(layers.values()) else set()
    for key in layers:
        one = Fields(named[key], f"{fields.where}, {_OWN_SHAPES}[{key}]")
        heads = one.whole("num_key_value_heads", base[1], least=1)
        shapes.add((one.whole("head_dim", base[0], least=2), heads))
        one.refuse_unread()
    if len(shapes) != 1:
        raise ValueError(f"{fields.where} has {_OWN_SHAPES} with {len(shapes)} shapes of {FULL}; supported is one.")
    return shapes.pop()


def write_config(config: EmbeddingGemma2Config) -> dict[str, Any]:
    """Returns the `config.json` dictionary that transformers reads as the same text model."""
    kinds = layer_types(config.layers, config.full_every, FULL_PLACE)
    heads = {"head_dim": config.full_head_dim, "num_key_value_heads": config.full_kv_heads}
    bases = {FULL: config.full_rotary_base, WINDOW: config.window_rotary_base}
    return {
        "architectures": ["EmbeddingGemma2TextModel"],
        "model_type": config.model_type,
        **written_shared(config, _USUAL),
        _OWN_SHAPES: {str(layer): heads for layer, kind in enumerate(kinds) if kind == FULL},
        "hidden_size_per_layer_input": config.ple_dim,
        "embedding_dim": config.output,
        "layer_types": kinds,
        "sliding_window": config.window,
        "rope_parameters": {kind: {"rope_type": "default", "rope_theta": base} for kind, base in bases.items()},
        "attention_dropout": config.attention_dropout,
    }
