"""What the config.json of an encoder says, whatever its family: known to be harmless, or refused by name.

The tables were made from what transformers 4.20, 4.44 and 5.24 write and read (`configuration_utils.py`). transformers
keeps every key of the file as an attribute of its configuration, so that a key which is neither here nor among those
that the family's own reader knows could change the computation there; it is refused.
"""

from collections.abc import Mapping
from typing import Any, Literal

from instructor_jax.io.json_files import Fields, shown_value

# transformers' name of an activation (`activations.ACT2FN`) -> ours. Several of its names mean one function.
ACTIVATIONS: dict[str, Literal["relu", "gelu", "gelu_new", "silu"]] = {
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
    "gradient_checkpointing": "training only",
    "xla_device": "transformers ignores it since 4.4",
    "torchscript": "how the model is traced",
    "tf_legacy_loss": "TensorFlow's training",
    # what is returned beside the last hidden state
    "return_dict": "form of the output",
    "output_hidden_states": "form of the output",
    "output_attentions": "form of the output",
    "output_past": "form of the output, before transformers 4",
    # decoder, heads and generation: not part of the encoder
    "num_decoder_layers": "decoder",
    "decoder_start_token_id": "decoder",
    "tie_encoder_decoder": "decoder",
    "cross_attention_hidden_size": "decoder",
    "classifier_dropout": "classification head",
    "id2label": "classification head",
    "label2id": "classification head",
    "num_labels": "classification head",
    "_num_labels": "classification head, before transformers 4",
    "problem_type": "classification head",
    "task_specific_params": "prefixes and beams of text-to-text pipelines",
    "prefix": "text-to-text pipelines",
    "generation_config": "generation",
    # the tokenizer's files say what the tokenizer does
    "tokenizer_class": "tokenizer_config.json has it too; the class adds nothing to tokenizer.json",
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


def check_common_keys(fields: Fields, *, causal: bool = False, read: tuple[str, ...] = ()) -> None:
    """Checks the keys that files of every family may have.

    Args:
        fields: Of the config.json.
        causal: Whether the family's files may be those of a causal language model.
        read: Keys of these that the family's reader obeys.

    Raises:
        ValueError: one asks for what no encoder here computes.
    """
    fields.ignore([*HARMLESS, *GENERATION])
    for key, (values, rule) in ONLY.items():
        if key not in read:
            fields.require({key: values}, rule)
    _check_architectures(fields, causal)


def is_causal_model(content: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of a causal language model, of which sentence-transformers pools the last token."""
    names = content.get("architectures")
    return isinstance(names, list) and any(str(name).endswith("ForCausalLM") for name in names)


def size(fields: Fields, key: str, other: str | None = None, **bounds: int) -> int:
    """Returns a size under its own name or another one that transformers takes for the same.

    Raises:
        ValueError: it is missing, no whole number, out of bounds, or the two names say different numbers.
    """
    if other is None or other not in fields:
        return fields.whole(key, least=1, **bounds)
    value = fields.whole(other, least=1, **bounds)
    if fields.whole(key, value, least=1, **bounds) != value:
        raise ValueError(
            f"{fields.where} has {key}={shown_value(fields.any(key))}, but {other}={value}, which transformers takes "
            "for the same; remove the wrong one."
        )
    return value


def activation(fields: Fields, key: str, default: str) -> Literal["relu", "gelu", "gelu_new", "silu"]:
    """Returns our name of the activation that a file names.

    Args:
        fields: Of the config.json.
        key: Key of the activation.
        default: transformers' name of the one that is meant where the key is missing.

    Raises:
        ValueError: it is not computed here.
    """
    name = fields.text(key, default)
    if name not in ACTIVATIONS:
        raise ValueError(f"{fields.where} has {key}={shown_value(name)}; supported are {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]


def end_token(fields: Fields, default: int) -> int:
    """Returns the id of the end token, which is only written again; transformers allows a list of them."""
    value = fields.any("eos_token_id")
    if isinstance(value, list) and value:
        return Fields({"eos_token_id": value[0]}, fields.where).whole("eos_token_id")
    return fields.whole("eos_token_id", default)


def _check_architectures(fields: Fields, causal: bool) -> None:
    """Refuses a decoder where the family has none; see `is_causal_model`."""
    names = fields.any("architectures", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{fields.where} has architectures={shown_value(names)}; it must be a list of class names.")
    decoders = [name for name in names if name.endswith("ForCausalLM")]
    if decoders and not causal:
        raise ValueError(f"{fields.where} has architectures={shown_value(decoders[0])}, a decoder; not supported.")


def max_positions(content: Mapping[str, Any], where: Any) -> int | None:
    """Returns `max_position_embeddings` of a config.json, to which sentence-transformers limits texts."""
    fields = Fields(content, where)
    return fields.whole("max_position_embeddings", least=2) if "max_position_embeddings" in fields else None
