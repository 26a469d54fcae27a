"""What the config.json of a T5, mT5, umT5, ByT5 or Flan-T5 says: obeyed, known to be harmless, or refused by name.

The tables were made from what transformers 4.20, 4.44 and 5.24 write and read (`configuration_utils.py`, `models/t5/`,
`models/umt5/`), and from the published files of the family. transformers keeps every key of the file as an attribute of
its configuration, so that a key which is none of these could change the computation there; it is refused here.
"""

from collections.abc import Mapping
from typing import Any

from instructor_jax.io.bounds import LAYERS
from instructor_jax.io.json_files import Fields, shown_value

MODEL_TYPES = ("t5", "mt5", "umt5")

# transformers' name of an activation (`activations.ACT2FN`) -> ours. Several of its names mean one function.
ACTIVATIONS = {
    "relu": "relu",
    "gelu": "gelu",  # exact
    "gelu_new": "gelu_new",  # tanh approximation
    "gelu_pytorch_tanh": "gelu_new",
    "silu": "silu",
    "swish": "silu",
}

# --- Keys whose value, whatever it is, changes no vector -----------------------------------------------------------

HARMLESS = {
    # said about the file itself
    "_name_or_path": "where the weights came from",
    "name_or_path": "the same, in the dictionary",
    "_commit_hash": "revision on the hub; transformers drops it",
    "transformers_version": "who wrote the file",
    "finetuning_task": "a note",
    # how PyTorch computes, with the same result
    "_attn_implementation": "eager and sdpa differ in rounding only",
    "_attn_implementation_internal": "the same",
    "_attn_implementation_autoset": "the same",
    "attn_implementation": "the same",
    "experts_implementation": "T5 has no experts",
    "gradient_checkpointing": "training only",
    "xla_device": "transformers ignores it since 4.4",
    "torchscript": "how the model is traced",
    "tf_legacy_loss": "TensorFlow's training",
    "chunk_size_feed_forward": "modeling_t5 does not read it",
    "scalable_attention": "in the published umT5 files; modeling_umt5 does not read it",
    # what is returned beside the last hidden state
    "return_dict": "form of the output",
    "output_hidden_states": "form of the output",
    "output_attentions": "form of the output",
    "output_past": "form of the output, before transformers 4",
    # decoder, heads and generation: not part of the encoder
    "is_encoder_decoder": "T5EncoderModel sets it to false",
    "num_decoder_layers": "decoder",
    "decoder_start_token_id": "decoder",
    "use_cache": "decoder; T5EncoderModel sets it to false",
    "tie_word_embeddings": "the decoder's output; the encoder's input is always `shared`",
    "scale_decoder_outputs": "the decoder's output",
    "tie_encoder_decoder": "decoder",
    "cross_attention_hidden_size": "decoder",
    "classifier_dropout": "classification head",
    "id2label": "classification head",
    "label2id": "classification head",
    "num_labels": "classification head",
    "_num_labels": "classification head, before transformers 4",
    "problem_type": "classification head",
    "initializer_factor": "how new weights are drawn",
    "task_specific_params": "prefixes and beams of text-to-text pipelines",
    "prefix": "text-to-text pipelines",
    "generation_config": "generation",
    # the tokenizer's files say what the tokenizer does
    "tokenizer_class": "tokenizer_config.json has it too; the class adds nothing to tokenizer.json",
    "bos_token_id": "T5 has no such token",
    "sep_token_id": "T5 has no such token",
    "n_positions": "in files of T5 1.0; distances are relative, and transformers does not read it",
}

# Settings of text generation that transformers 4 wrote into config.json; transformers 5 drops them when it reads one.
GENERATION = (
    "max_length", "min_length", "max_new_tokens", "min_new_tokens", "do_sample", "early_stopping", "num_beams",
    "num_beam_groups", "diversity_penalty", "temperature", "top_k", "top_p", "typical_p", "min_p", "epsilon_cutoff",
    "eta_cutoff", "repetition_penalty", "encoder_repetition_penalty", "length_penalty", "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size", "bad_words_ids", "force_words_ids", "num_return_sequences", "output_scores",
    "return_dict_in_generate", "forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values",
    "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "renormalize_logits",
    "penalty_alpha", "guidance_scale", "max_time",
)  # fmt: skip

# --- Keys that are harmless with these values only -----------------------------------------------------------------

ONLY: dict[str, tuple[tuple[Any, ...], str]] = {
    "is_decoder": ((False,), "which lets every token see only those before it"),
    "add_cross_attention": ((False,), "which is for decoders"),
    "pruned_heads": (({},), "which removes attention heads"),
    "quantization_config": ((), "which says that the weights are quantised; save them in float32 or bfloat16"),
    "compression_config": ((), "which says that the weights are compressed; save them in float32 or bfloat16"),
    "per_layer_config": (({},), "which gives layers shapes of their own"),
    "auto_map": (({},), "which names Python code of the folder; code of a folder is never run"),
    "custom_pipelines": (({},), "which names Python code of the folder; code of a folder is never run"),
    "use_bfloat16": ((False,), "which rounds every step in TensorFlow"),
    # The type of the weights on disk. What is computed in is chosen when a model is loaded (float32 by default):
    # transformers 5 computes in this one, so that its vectors of such folders are rounded more than ours.
    "dtype": (("float32", "float16", "bfloat16", "float64", "auto"), "which is no type of weights that is known"),
    "torch_dtype": (("float32", "float16", "bfloat16", "float64", "auto"), "which is no type of weights that is known"),
}

# Other names of a size, which transformers maps to T5's (`T5Config.attribute_map`) and obeys last.
SYNONYMS = {
    "hidden_size": "d_model",
    "num_attention_heads": "num_heads",
    "num_hidden_layers": "num_layers",
    "head_dim": "d_kv",
}


def encoder_settings(fields: Fields) -> dict[str, Any]:
    """Returns the arguments of an `EncoderConfig` that a config.json describes.

    Raises:
        ValueError: the model type is not of the T5 family, a size is missing, a value has a wrong type or range or asks
            for what the encoder does not compute, or a key is unknown.
    """
    model_type = fields.text("model_type")
    if model_type not in MODEL_TYPES:
        raise ValueError(
            f"model_type={shown_value(model_type)} in {fields.where} is not of the T5 family "
            f"({', '.join(MODEL_TYPES)})."
        )
    fields.ignore([*HARMLESS, *GENERATION])
    for key, (values, rule) in ONLY.items():
        fields.require({key: values}, rule)
    _check_architectures(fields)
    activation, gated = _feed_forward(fields, gated_by_default=model_type != "t5")
    settings = {
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
        "eos_id": _eos_id(fields),
        "model_type": model_type,
    }
    fields.ignore(["max_position_embeddings"])  # a limit of the tokenizer; see `transformer_settings`
    fields.refuse_unread()
    return settings


def _size(fields: Fields, key: str, **bounds: int) -> int:
    """Returns a size under its own name or transformers' other one, which must not say another number."""
    other = next((name for name, meaning in SYNONYMS.items() if meaning == key), None)
    if other is None or other not in fields:
        return fields.whole(key, least=1, **bounds)
    value = fields.whole(other, least=1, **bounds)
    if fields.whole(key, value, least=1, **bounds) != value:
        raise ValueError(
            f"{fields.where} has {key}={shown_value(fields.any(key))}, but {other}={value}, which transformers takes "
            "for the same; remove the wrong one."
        )
    return value


def _feed_forward(fields: Fields, *, gated_by_default: bool) -> tuple[str, bool]:
    """Returns our name of the activation, and whether the units are gated.

    `feed_forward_proj` says both. transformers derives `dense_act_fn` and `is_gated_act` from it and writes them too;
    since 4.20 it obeys those when it reads the file, before that the first. Where they disagree, nobody can tell what
    the weights were trained with.
    """
    projection = fields.text("feed_forward_proj", "gated-gelu" if gated_by_default else "relu")
    gated = projection.startswith("gated-")
    # T5Config means the tanh approximation by "gated-gelu", as the original T5 1.1 did.
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


def _eos_id(fields: Fields) -> int:
    """Returns the id of the end token, which is only written again; transformers allows a list of them."""
    value = fields.any("eos_token_id")
    if isinstance(value, list) and value:
        return Fields({"eos_token_id": value[0]}, fields.where).whole("eos_token_id")
    return fields.whole("eos_token_id", 1)


def _check_architectures(fields: Fields) -> None:
    """Refuses a decoder: sentence-transformers pools the last token of a model whose class ends in `ForCausalLM`."""
    names = fields.any("architectures", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{fields.where} has architectures={shown_value(names)}; it must be a list of class names.")
    decoders = [name for name in names if name.endswith("ForCausalLM")]
    if decoders:
        raise ValueError(f"{fields.where} has architectures={shown_value(decoders[0])}, a decoder; not supported.")


def max_positions(content: Mapping[str, Any], where: Any) -> int | None:
    """Returns `max_position_embeddings` of a config.json, to which sentence-transformers limits texts."""
    fields = Fields(content, where)
    return fields.whole("max_position_embeddings", least=2) if "max_position_embeddings" in fields else None
