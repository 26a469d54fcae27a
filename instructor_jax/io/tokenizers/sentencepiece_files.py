"""A SentencePiece model read without SentencePiece or protobuf, for the tokenizer.json that a family makes of it.

Older folders have nothing else. Read are the pieces and the few settings that change ids; the rest of the message is
about training. The numbers of fields and kinds are those of SentencePiece's `sentencepiece_model.proto`.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from instructor_jax.io.bounds import TOKENIZER_BYTES
from instructor_jax.io.json_files import read_bytes

CONTROL, USER_DEFINED = 3, 4  # kinds of pieces
UNIGRAM = 1  # kind of a model
_PIECES = 1 << 20  # mT5 has 250,100
_SCORE = struct.Struct("<f")
_VARINT, _EIGHT, _TEXT, _FOUR = 0, 1, 2, 5


class SentencePieceModel(NamedTuple):
    """What a file holds.

    Attributes:
        pieces: The text, score and kind of each.
        trainer: The last value of each field of the trainer's settings, by number.
        normalizer: The same of the normalizer's.
    """

    pieces: list[tuple[str, float, int]]
    trainer: dict[int, Any]
    normalizer: dict[int, Any]


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """Reads a SentencePiece model.

    Raises:
        ValueError: it is none, or is damaged.
        OSError: it cannot be read.
    """
    content = read_bytes(path, TOKENIZER_BYTES, "a SentencePiece model")
    try:
        return _parsed(content)
    except (ValueError, IndexError, struct.error) as error:
        raise ValueError(f"{path} cannot be loaded: it is no SentencePiece model, or damaged ({error}).") from error


def _parsed(content: bytes) -> SentencePieceModel:
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
    return SentencePieceModel(pieces, trainer, normalizer)


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
