"""What the config.json of a T5, mT5, umT5, ByT5 or Flan-T5 says: read into a `T5Config`, and written from one.

The tables were made from what transformers 4.20, 4.44 and 5.24 write and read (`models/t5/`, `models/umt5/`), and from
the published files of the family. Keys that every family has are in `io/settings/encoder.py`.
"""

from typing import Any

from instructor_jax.backbones.checks import made_of
from instructor_jax.backbones.t5.config import MODEL_TYPES, Activation, T5Config
from instructor_jax.io.bounds import LAYERS
from instructor_jax.io.json_files import Fields, shown_value
from instructor_jax.io.settings.encoder import ACTIVATIONS, check_common_keys, end_token, size

# Keys whose value, whatever it is, changes no vector.
HARMLESS = {
    "experts_implementation": "T5 has no experts",
    "chunk_size_feed_forward": "modeling_t5 does not read it",
    "scalable_attention": "in the published umT5 files; modeling_umt5 does not read it",
    "is_encoder_decoder": "T5EncoderModel sets it to false",
    "use_cache": "decoder; T5EncoderModel sets it to false",
    "scale_decoder_outputs": "the decoder's output",
    "tie_word_embeddings": "the decoder's output; the encoder's input is always `shared`",
    "initializer_factor": "how new weights are drawn",
    "bos_token_id": "T5 has no such token",
    "sep_token_id": "T5 has no such token",
    "n_positions": "in files of T5 1.0; distances are relative, and transformers does not read it",
    "max_position_embeddings": "a limit of the tokenizer; see `io/settings/transformer.py`",
}

# Other names of a size, which transformers maps to T5's (`T5Config.attribute_map`) and obeys last.
_SYNONYMS = {
    "d_model": "hidden_size",
    "num_heads": "num_attention_heads",
    "num_layers": "num_hidden_layers",
    "d_kv": "head_dim",
}


def read_config(fields: Fields) -> T5Config:
    """Reads the fields of a config.json, of an encoder alone or of the whole model.

    Raises:
        ValueError: the model type is not of the family, a size is missing, a value has a wrong type or range or asks
            for what the encoder does not compute, or a key is unknown.
    """
    model_type = fields.text("model_type")
    if model_type not in MODEL_TYPES:
        raise ValueError(
            f"model_type={shown_value(model_type)} in {fields.where} is not of the T5 family "
            f"({', '.join(MODEL_TYPES)})."
        )
    check_common_keys(fields)
    fields.ignore(HARMLESS)
    activation, gated = _feed_forward(fields, gated_by_default=model_type != "t5")
    values: dict[str, Any] = {
        "vocab": _size(fields, "vocab_size"),
        "embed": _size(fields, "d_model"),
        "layers": _size(fields, "num_layers", most=LAYERS),
        "heads": _size(fields, "num_heads"),
        "head_dim": _size(fields, "d_kv"),
        "ffn": _size(fields, "d_ff"),
        "activation": activation,
        "gated": gated,
        "relative_buckets": fields.whole("relative_attention_num_buckets", 32, least=4),
        "relative_max_distance": fields.whole("relative_attention_max_distance", 128, least=2),
        "shared_relative_bias": model_type != "umt5",
        "norm_epsilon": fields.number("layer_norm_epsilon", 1e-6, least=0.0, most=1.0),
        "dropout": fields.number("dropout_rate", 0.1, least=0.0, most=1.0),
        "pad_id": fields.whole("pad_token_id", 0),
        "eos_id": end_token(fields, 1),
        "model_type": model_type,
    }
    fields.refuse_unread()
    return made_of(T5Config, values, fields.where)


def _size(fields: Fields, key: str, **bounds: int) -> int:
    return size(fields, key, _SYNONYMS.get(key), **bounds)


def _feed_forward(fields: Fields, *, gated_by_default: bool) -> tuple[Activation, bool]:
    """Returns our name of the activation, and whether the units are gated.

    `feed_forward_proj` says both. transformers derives `dense_act_fn` and `is_gated_act` from it and writes them too;
    since 4.20 it obeys those when it reads the file, before that the first. Where they disagree, nobody can tell what
    the weights were trained with.
    """
    projection = fields.text("feed_forward_proj", "gated-gelu" if gated_by_default else "relu")
    gated = projection.startswith("gated-")
    # transformers means the tanh approximation by "gated-gelu", as the original T5 1.1 did.
    name = "gelu_new" if projection == "gated-gelu" else projection.removeprefix("gated-")
    known = f"known are {', '.join(ACTIVATIONS)}, each alone or after 'gated-'"
    if name not in ACTIVATIONS:
        raise ValueError(f"feed_forward_proj={shown_value(projection)} in {fields.where} is not supported; {known}.")
    said = fields.text("dense_act_fn", name)
    if said not in ACTIVATIONS:
        raise ValueError(f"dense_act_fn={shown_value(said)} in {fields.where} is not supported; {known}.")
    said_gated = fields.flag("is_gated_act", gated)
    if "feed_forward_proj" in fields and (ACTIVATIONS[said], said_gated) != (ACTIVATIONS[name], gated):
        raise ValueError(
            f"{fields.where} has feed_forward_proj={shown_value(projection)}, but dense_act_fn={shown_value(said)} and "
            f"is_gated_act={shown_value(said_gated)}; versions of transformers differ in what they obey. Keep what the "
            "model was trained with."
        )
    return ACTIVATIONS[said], said_gated


def write_config(config: T5Config) -> dict[str, Any]:
    """Returns the `config.json` dictionary that transformers reads as the same encoder.

    transformers reads "gated-gelu" as the tanh approximation, and takes the number of bias tables from the model type.

    Raises:
        ValueError: no config.json can say what this encoder computes.
    """
    if config.gated and config.activation == "gelu":
        raise ValueError("a T5 config.json cannot name gated units with the exact gelu; use activation='gelu_new'.")
    if config.shared_relative_bias == (config.model_type == "umt5"):
        raise ValueError(f"{config}: shared_relative_bias must be False for model_type='umt5', and only for it.")
    if config.gated:
        feed_forward = "gated-gelu" if config.activation == "gelu_new" else f"gated-{config.activation}"
    else:
        feed_forward = config.activation
    architecture = {"t5": "T5EncoderModel", "mt5": "MT5EncoderModel", "umt5": "UMT5EncoderModel"}[config.model_type]
    return {
        "architectures": [architecture],
        "model_type": config.model_type,
        "vocab_size": config.vocab,
        "d_model": config.embed,
        "num_layers": config.layers,
        "num_decoder_layers": config.layers,
        "num_heads": config.heads,
        "d_kv": config.head_dim,
        "d_ff": config.ffn,
        "feed_forward_proj": feed_forward,
        "relative_attention_num_buckets": config.relative_buckets,
        "relative_attention_max_distance": config.relative_max_distance,
        "layer_norm_epsilon": config.norm_epsilon,
        "dropout_rate": config.dropout,
        "pad_token_id": config.pad_id,
        "eos_token_id": config.eos_id,
        "is_encoder_decoder": False,
        "use_cache": False,
    }
