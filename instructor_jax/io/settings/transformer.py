"""What the files beside an encoder say about the texts that it reads: sentence_bert_config.json and its kind.

The tables were made from sentence-transformers 2.2.2 to 6.2 (`models/Transformer.py`, `base/modules/transformer.py`)
and from InstructorEmbedding 1.0.1. The file is the arguments of the Transformer module, so that a key which is unknown
here could change the ids or the states there, and is refused.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instructor_jax.backbones.registry import backbone_named
from instructor_jax.config import LONGEST
from instructor_jax.io.json_files import Fields, read_json
from instructor_jax.io.settings.encoder import max_positions

# The first that is there and not empty counts; the names come from the models of 2019 (`Transformer.load_config`).
SETTINGS_FILES = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)
TOKENIZER_SETTINGS = "tokenizer_config.json"

DEFAULT_LENGTH = 512  # what T5 was trained with; used where no file says a limit

# Arguments that sentence-transformers hands to transformers; the names changed in 5.4. It takes `trust_remote_code` out
# of them itself, whatever it says.
_ARGUMENTS = ("model_args", "model_kwargs", "tokenizer_args", "processor_kwargs", "config_args", "config_kwargs")

_ONLY: dict[str, tuple[tuple[Any, ...], str]] = {
    "do_lower_case": ((False,), "which lower-cases texts; the published models do not"),
    "transformer_task": (("feature-extraction",), "which gives something other than hidden states"),
    "module_output_name": (("token_embeddings",), "which hands something other than hidden states to pooling"),
    "processing_kwargs": (({},), "which changes how texts are cut into tokens"),
    "query_length": ((), "which limits queries apart from documents"),
    "document_length": ((), "which limits documents apart from queries"),
    "query_expansion": ((), "which adds tokens to queries"),
    "tokenizer_name_or_path": ((), "which takes the tokenizer from somewhere else"),
}
_PLAIN_TEXT = {"method": "forward", "method_output_name": "last_hidden_state"}
# Modalities of a model that do not change how it reads texts. Chats ("message") are no such thing: where a folder
# has them, sentence-transformers takes every text for one.
_MODALITIES = {"text", "image", "audio", "video"}
_HARMLESS = ("unpad_inputs",)  # how a batch lies in memory, with flash attention


def max_length(encoder: Path, content: Mapping[str, Any], *, with_modules: bool) -> int:
    """Returns how many tokens a text may have, as sentence-transformers takes it from a folder.

    The Transformer module's own `max_seq_length` comes first, then the tokenizer's `model_max_length` or the encoder's
    `max_position_embeddings`, whichever is less. Where nothing is said it is 512, though sentence-transformers would
    then read texts of any length.

    Args:
        encoder: the folder of the encoder and its tokenizer.
        content: its config.json.
        with_modules: whether it belongs to a model of sentence-transformers, whose settings are read then.

    Raises:
        ValueError: a value has a wrong type or range, a setting asks for what is not supported, or a key is unknown.
    """
    tokenizer = _tokenizer_length(encoder, content)
    own = _own_length(encoder) if with_modules else None
    if own is not None:
        return own
    said = [length for length in (tokenizer, max_positions(content, encoder / "config.json")) if length is not None]
    return min(said, default=DEFAULT_LENGTH)


def _own_length(encoder: Path) -> int | None:
    for name in SETTINGS_FILES:
        file = encoder / name
        content = read_json(file) if file.is_file() else {}
        if content:
            return _checked_length(Fields(content, file))
    return None


def _checked_length(fields: Fields) -> int | None:
    length = fields.whole("max_seq_length", least=2, most=LONGEST) if "max_seq_length" in fields else None
    for key, (values, rule) in _ONLY.items():
        fields.require({key: values}, rule)
    modalities = fields.any("modality_config", {"text": _PLAIN_TEXT})
    if (
        not isinstance(modalities, Mapping)
        or modalities.get("text") != _PLAIN_TEXT
        or any(set(re.findall(r"\w+", name)) - _MODALITIES for name in modalities)
    ):
        fields.require({"modality_config": ()}, "which does not read texts as they are, but as chats or in another way")
    for key in _ARGUMENTS:
        arguments = fields.any(key, {})
        if not isinstance(arguments, Mapping) or set(arguments) - {"trust_remote_code"}:
            fields.require({key: ()}, "which changes how transformers loads the model")
    fields.ignore(_HARMLESS)
    fields.refuse_unread()
    return length


def _tokenizer_length(encoder: Path, content: Mapping[str, Any]) -> int | None:
    """Returns the tokenizer's limit; its other settings are read where the tokenizer is."""
    file = encoder / TOKENIZER_SETTINGS
    fields = Fields(read_json(file) if file.is_file() else {}, file)
    family = backbone_named(str(content.get("model_type")))
    if family is None or "do_lower_case" not in family.tokenizer.normalizer_keys:
        fields.require({"do_lower_case": _ONLY["do_lower_case"][0]}, _ONLY["do_lower_case"][1])
    value = fields.any("model_max_length")
    if isinstance(value, int | float) and not isinstance(value, bool) and value > LONGEST:
        return None
    return None if value is None else fields.whole("model_max_length", least=2, most=LONGEST)
