"""A spiece.model as the content of a tokenizer.json, without SentencePiece, protobuf or transformers.

T5's older folders have nothing else. Read are the pieces and the few settings that change ids; the rest of the message
is about training. The numbers of fields and kinds are those of SentencePiece's `sentencepiece_model.proto`; what is
made of them is what transformers 5 makes (`models/t5/tokenization_t5.py`), but for a number of the unknown piece other
than 2 and for bytes of unknown characters, where SentencePiece itself is followed.
"""

import base64
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructor_jax.io.bounds import TOKENIZER_BYTES
from instructor_jax.io.json_files import read_bytes

_PIECES = 1 << 20  # mT5 has 250,100
_CONTROL, _USER_DEFINED = 3, 4
_UNIGRAM = 1
_SCORE = struct.Struct("<f")
_VARINT, _EIGHT, _TEXT, _FOUR = 0, 1, 2, 5


def read_sentencepiece(path: Path, extra_ids: int) -> dict[str, Any]:
    """Returns the content of the tokenizer.json that T5's tokenizer makes of a SentencePiece model.

    Args:
        path: the file.
        extra_ids: how many pieces `<extra_id_0>` ... follow the model's own, counted down.

    Raises:
        ValueError: it is no SentencePiece model, is damaged, or of a kind that T5 does not use.
        OSError: it cannot be read.
    """
    content = read_bytes(path, TOKENIZER_BYTES, "a SentencePiece model")
    try:
        pieces, trainer, normalizer = _parsed(content)
    except (ValueError, IndexError, struct.error) as error:
        raise ValueError(f"{path} cannot be loaded: it is no SentencePiece model, or damaged ({error}).") from error
    _check_kind(path, pieces, trainer, normalizer)
    vocabulary: list[list[Any]] = [[piece, score] for piece, score, _ in pieces]
    vocabulary += [[f"<extra_id_{number}>", 0.0] for number in reversed(range(extra_ids))]
    added = [
        _added(index, piece, special=kind == _CONTROL)
        for index, (piece, _, kind) in enumerate(pieces)
        if kind in (_CONTROL, _USER_DEFINED)
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


def _check_kind(path: Path, pieces: list[tuple[str, float, int]], trainer: dict, normalizer: dict) -> None:
    if not pieces:
        raise ValueError(f"{path} cannot be loaded: it has no pieces.")
    if trainer.get(3, _UNIGRAM) != _UNIGRAM:
        raise ValueError(f"{path} is no Unigram model, the kind that T5 uses; save the tokenizer as tokenizer.json.")
    for field, name in ((3, "add_dummy_prefix"), (4, "remove_extra_whitespaces"), (5, "escape_whitespaces")):
        if not normalizer.get(field, 1):
            raise ValueError(f"{path} has {name}=false, which no T5 has; save the tokenizer as tokenizer.json.")


def _parsed(content: bytes) -> tuple[list[tuple[str, float, int]], dict[int, Any], dict[int, Any]]:
    """Returns the pieces with score and kind, and the last value of each field of the two settings."""
    pieces = []
    trainer: dict[int, Any] = {}
    normalizer: dict[int, Any] = {}
    for field, value in _fields(content):
        if field == 1:
            pieces.append(_piece(_message(value)))
            if len(pieces) > _PIECES:
                raise ValueError(f"more than {_PIECES:,} pieces")
        elif field in (2, 3):
            (trainer if field == 2 else normalizer).update(_fields(_message(value)))
    return pieces, trainer, normalizer


def _piece(content: bytes) -> tuple[str, float, int]:
    """Returns text, score and kind of a piece; the usual layout at once, there are a quarter of a million of them."""
    length = content[1] + 2
    if content[0] == 0x0A and length < 0x82 and len(content) == length + 5 and content[length] == 0x15:
        return content[2:length].decode("utf-8"), _SCORE.unpack_from(content, length + 1)[0], 1
    piece: dict[int, Any] = dict(_fields(content))
    score = _SCORE.unpack(_message(piece.get(2, bytes(4))))[0]
    return _message(piece.get(1, b"")).decode("utf-8"), score, piece.get(3, 1)


def _message(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where text belongs")
    return value


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yields number and value of a protobuf message's fields (https://protobuf.dev/programming-guides/encoding)."""
    at = 0
    while at < len(content):
        key, at = (content[at], at + 1) if content[at] < 0x80 else _varint(content, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(content, at)
        else:
            if kind == _TEXT:
                length, at = (content[at], at + 1) if content[at] < 0x80 else _varint(content, at)
            else:
                length = {_FOUR: 4, _EIGHT: 8}.get(kind, -1)
            value, at = content[at : at + length], at + length
            if length < 0 or at > len(content):
                raise ValueError(f"a field of kind {kind} at byte {at} that is not whole")
        yield key >> 3, value


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError(f"a number without an end at byte {at}")
