"""What T5's tokenizers add: the end of a text, numbered tokens, and what their SentencePiece files become."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instructor_jax.backbones.tokenizer_habits import TokenizerClass, TokenizerHabits
from instructor_jax.io.tokenizers.sentencepiece_files import CONTROL, UNIGRAM, USER_DEFINED, read_sentencepiece

_CLASS, _BYTES, _AS_IT_IS = "T5Tokenizer", "ByT5Tokenizer", "TokenizersBackend"
_NAMED = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
# The tokenizer's own class also has <extra_id_0> to <extra_id_99>; the rest take tokenizer.json as it is.
_CLASSES = {
    _CLASS: TokenizerClass(extra_ids=100, extra_token="<extra_id_{}>", named=_NAMED),
    "PreTrainedTokenizer": TokenizerClass(),
    _AS_IT_IS: TokenizerClass(),
    "MT5Tokenizer": TokenizerClass(),
    _BYTES: TokenizerClass(is_bytes=True, extra_ids=125),
}


def _class(name: str, model_type: str) -> str:
    """Returns the class whose habits hold; of umT5 every class takes the file as it is (`tokenization_auto.py`)."""
    name = name or (_BYTES if model_type == "byt5" else _CLASS)
    return _AS_IT_IS if name == _CLASS and model_type == "umt5" else name


def from_sentencepiece(path: Path, extra_ids: int) -> dict[str, Any]:
    """Returns the content of the tokenizer.json that T5's tokenizer makes of a SentencePiece model.

    It is what transformers 5 makes (`models/t5/tokenization_t5.py`), but for a number of the unknown piece other than 2
    and for bytes of unknown characters, where SentencePiece itself is followed.

    Args:
        path: The file.
        extra_ids: How many pieces `<extra_id_0>` ... follow the model's own, counted down.

    Raises:
        ValueError: it is no SentencePiece model, is damaged, or of a kind that T5 does not use.
        OSError: it cannot be read.
    """
    pieces, trainer, normalizer = read_sentencepiece(path)
    _check_kind(path, pieces, trainer, normalizer)
    vocabulary: list[list[Any]] = [[piece, score] for piece, score, _ in pieces]
    vocabulary += [[f"<extra_id_{number}>", 0.0] for number in reversed(range(extra_ids))]
    added = [
        _added(index, piece, special=kind == CONTROL)
        for index, (piece, _, kind) in enumerate(pieces)
        if kind in (CONTROL, USER_DEFINED)
    ]
    table = normalizer.get(2, b"")
    mark = {"replacement": "▁", "prepend_scheme": "always", "split": True}
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    number = next((index for index, (piece, _, _) in enumerate(pieces) if piece == "</s>"), None)
    if number is None:
        raise ValueError(
            f"{path} has no piece </s>; the tokenizer adds no end-of-sequence token, which T5 models need."
        )
    return {
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(table).decode()}
        if table
        else None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", **mark}],
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [text, end],
            "pair": [text, end, {"Sequence": {"id": "B", "type_id": 0}}, end],
            "special_tokens": {"</s>": {"id": "</s>", "ids": [number], "tokens": ["</s>"]}},
        },
        "decoder": {"type": "Metaspace", **mark},
        "model": {
            "type": "Unigram",
            "unk_id": trainer.get(40, 0),
            "vocab": vocabulary,
            "byte_fallback": bool(trainer.get(35, 0)),
        },
    }


def _added(index: int, content: str, *, special: bool) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": index, "content": content, **flags, "special": special}


def _check_kind(
    path: Path, pieces: list[tuple[str, float, int]], trainer: Mapping[int, Any], normalizer: Mapping[int, Any]
) -> None:
    if not pieces:
        raise ValueError(f"{path} cannot be loaded: it has no pieces.")
    if trainer.get(3, UNIGRAM) != UNIGRAM:
        raise ValueError(f"{path} is no Unigram model, the kind that T5 uses; save the tokenizer as tokenizer.json.")
    for field, name in ((3, "add_dummy_prefix"), (4, "remove_extra_whitespaces"), (5, "escape_whitespaces")):
        if not normalizer.get(field, 1):
            raise ValueError(f"{path} has {name}=false, which no T5 has; save the tokenizer as tokenizer.json.")


def finish(tokenizer: Any) -> None:
    """Gives a `tokenizers.Tokenizer` that begins with `<pad> </s> <unk>` the space mark and the end of a text."""
    from tokenizers import decoders, processors

    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.add_special_tokens(list(HABITS.special))


HABITS = TokenizerHabits(
    classes=_CLASSES,
    default=_class,
    from_sentencepiece=from_sentencepiece,
    special=("<pad>", "</s>", "<unk>"),
    finish=finish,
    new_settings={"tokenizer_class": _CLASS, "extra_ids": 0, "model_max_length": 512, **_NAMED},
)
