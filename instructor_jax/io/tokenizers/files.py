"""A tokenizer.json, checked as a whole before the tokenizers library sees it.

The library answers damaged files with panics, which are no `Exception`s and write on the terminal, and runs whatever a
file describes. Here a file is read once, every key is known, the sizes are bounded, and the same text goes on.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from instructor_jax.io.bounds import SIZE, TOKENIZER_BYTES
from instructor_jax.io.json_files import Fields, parse_json, read_bytes, shown_value
from instructor_jax.io.printable import one_line
from instructor_jax.io.tokenizers.added_tokens import check_added_token
from instructor_jax.io.tokenizers.models import check_model
from instructor_jax.io.tokenizers.parts import GROWTH, check_decoder, check_normalizer, check_pre_tokenizer

# Lists and objects in the file: one for each piece and merge, so mT5 has 250,000. Each takes some 100 bytes of memory.
_CONTAINERS = 1 << 21
# Tokens that a text gets besides its own: T5 one, BERT two.
_SURROUNDING = 16
# T5 has 103 added tokens; vocabularies with reserved places some thousands.
_ADDED = 1 << 16


@dataclasses.dataclass(frozen=True)
class TokenizerFile:
    """What a tokenizer.json says, checked.

    Attributes:
        where: the file, for messages.
        text: the JSON, as the tokenizers library takes it.
        size: the number of ids it can give: the highest, plus one.
        ids: the id of every piece and added token.
        added: the added tokens, which are found in a text before anything else, as the file describes them.
        normalizer: what happens to a text first, as the file describes it.
    """

    where: str
    text: str
    size: int
    ids: Mapping[str, int]
    added: Mapping[str, Mapping[str, Any]]
    normalizer: Any = None


def read_tokenizer_file(path: Path) -> TokenizerFile:
    """Reads and checks a tokenizer.json.

    Raises:
        ValueError: it is no JSON, is too large, or describes a tokenizer that is damaged, unbounded or unknown.
        OSError: it cannot be read.
    """
    content = read_bytes(path, TOKENIZER_BYTES, "a tokenizer.json")
    if content.count(b"[") + content.count(b"{") > _CONTAINERS:
        raise ValueError(f"{path} has more than {_CONTAINERS:,} lists and objects; no vocabulary is that large.")
    return check_tokenizer(parse_json(content, path, unique=True), content.decode("utf-8-sig"), str(path))


def check_tokenizer(content: Any, text: str, where: str) -> TokenizerFile:
    """Checks the content of a tokenizer.json, of which `text` is the JSON.

    Raises:
        ValueError: see `read_tokenizer_file`.
    """
    fields = Fields(content, where)
    fields.require({"version": ["1.0"]}, "a version of the file that is not known")
    ids = dict(check_model(Fields(fields.any("model"), f"{where}: model")))
    added = _added_tokens(fields, ids)
    growth = check_normalizer(fields.any("normalizer"), f"{where}: normalizer")
    growth *= check_pre_tokenizer(fields.any("pre_tokenizer"), f"{where}: pre_tokenizer")
    if growth > GROWTH:
        raise ValueError(f"{where}: normalizer and pre_tokenizer make {growth:,} characters of one; at most {GROWTH}.")
    check_decoder(fields.any("decoder"), f"{where}: decoder")
    ids |= {token: int(about["id"]) for token, about in added.items()}
    surrounding = _surrounding(fields.any("post_processor"), ids, f"{where}: post_processor")
    if surrounding > _SURROUNDING:
        raise ValueError(f"{where}: post_processor adds {surrounding} tokens to a text; at most {_SURROUNDING}.")
    _check_truncation(fields)
    fields.refuse_unread()
    return TokenizerFile(where, text, max(ids.values()) + 1, ids, added, fields.any("normalizer"))


def _added_tokens(fields: Fields, ids: Mapping[str, int]) -> dict[str, Mapping[str, Any]]:
    """Checks the added tokens; the library ignores their ids and numbers on, so others than these cannot be obeyed."""
    listed = fields.any("added_tokens", default=[])
    if not isinstance(listed, list) or len(listed) > _ADDED:
        raise ValueError(
            f"{fields.where} has added_tokens={shown_value(listed)}; it must be a list of at most {_ADDED}."
        )
    following = len(ids)
    added: dict[str, Mapping[str, Any]] = {}
    for number, item in enumerate(listed):
        token = Fields(item, f"{fields.where}: added_tokens[{number}]")
        content, given = check_added_token(token), token.whole("id", most=SIZE)
        token.refuse_unread()
        expected = ids.get(content)
        if expected is None:
            expected, following = following, following + 1
        if given != expected or content in added:
            raise ValueError(
                f"{token.where} gives {shown_value(content)} the id {given}, but its place in the vocabulary is "
                f"{expected}, once."
            )
        added[content] = item
    return added


def _surrounding(content: Any, ids: Mapping[str, int], where: str) -> int:
    """Checks what adds end-of-sequence; returns how many tokens it adds to one text."""
    if content is None:
        return 0
    fields = Fields(content, where)
    kind = fields.text("type")
    count = 0
    if kind == "Sequence":
        processors = fields.any("processors")
        if not isinstance(processors, list) or len(processors) > _SURROUNDING:
            raise ValueError(f"{where} has processors={shown_value(processors)}; it must be a short list.")
        count = sum(_surrounding(item, ids, f"{where}[{number}]") for number, item in enumerate(processors))
    elif kind == "TemplateProcessing":
        count = _template(fields, ids)
    elif kind in ("RobertaProcessing", "BertProcessing"):
        count = sum(_marks(fields.any(name), ids, f"{where}: {name}") for name in ("sep", "cls"))
    elif kind != "ByteLevel":
        raise ValueError(
            f"{where} is of the kind {shown_value(kind)}; supported are TemplateProcessing, RobertaProcessing, "
            "BertProcessing, ByteLevel and Sequence."
        )
    if kind in ("RobertaProcessing", "ByteLevel"):
        for flag in ("trim_offsets", "add_prefix_space", "use_regex"):
            fields.flag(flag, default=True)
    fields.refuse_unread()
    return count


def _template(fields: Fields, ids: Mapping[str, int]) -> int:
    special = fields.any("special_tokens", default={})
    if not isinstance(special, Mapping) or len(special) > _ADDED:
        raise ValueError(f"{fields.where} has special_tokens={shown_value(special)}; it must be an object.")
    lengths = {}
    for name, about in special.items():
        where = f"{fields.where}: special_tokens[{one_line(name, 60)}]"
        token = Fields(about, where)
        token.require({"id": [name]}, "another name than its key")
        tokens, numbers = token.any("tokens"), token.any("ids")
        if not isinstance(tokens, list) or not isinstance(numbers, list) or len(tokens) != len(numbers):
            raise ValueError(f"{where} must have tokens and ids, lists of one length.")
        token.refuse_unread()
        lengths[name] = sum(_marks(pair, ids, where) for pair in zip(tokens, numbers, strict=True))
    count, texts = _pieces(fields, "single", lengths)
    if texts != ["A"]:
        raise ValueError(f"{fields.where}: single must have the text (sequence A) once, not {texts}.")
    _pieces(fields, "pair", lengths)
    return count


def _pieces(fields: Fields, name: str, lengths: Mapping[str, int]) -> tuple[int, list[str]]:
    """Returns the number of special tokens of a template, and the sequences that it has."""
    listed = fields.any(name, default=[])
    if not isinstance(listed, list) or len(listed) > 2 * _SURROUNDING:
        raise ValueError(f"{fields.where} has {name}={shown_value(listed)}; it must be a short list.")
    count, texts = 0, []
    for number, item in enumerate(listed):
        piece = Fields(item, f"{fields.where}: {name}[{number}]")
        kind = next((key for key in ("SpecialToken", "Sequence") if key in piece), "SpecialToken")
        inner = Fields(piece.any(kind), piece.where)
        piece.refuse_unread()
        inner.whole("type_id", default=0)
        label = inner.text("id")
        inner.refuse_unread()
        if kind == "Sequence" and label in ("A", "B"):
            texts.append(label)
        elif kind == "SpecialToken" and label in lengths:
            count += lengths[label]
        else:
            raise ValueError(f"{piece.where} names {shown_value(label)}, which is not among its special_tokens.")
    return count, texts


def _marks(pair: Any, ids: Mapping[str, int], where: str) -> int:
    """Checks a (token, id); returns 1."""
    if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
        raise ValueError(f"{where} must be a token and its id, not {shown_value(pair)}.")
    token, number = pair
    if (
        not isinstance(token, str)
        or isinstance(number, bool)
        or not isinstance(number, int)
        or ids.get(token) != number
    ):
        raise ValueError(
            f"{where} adds {shown_value(token)} with the id {shown_value(number)}; the vocabulary gives it another."
        )
    return 1


def _check_truncation(fields: Fields) -> None:
    """Checks the truncation and padding, which callers set themselves; only the side of the cut would be kept."""
    for name in ("truncation", "padding"):
        content = fields.any(name)
        if content is not None and not isinstance(content, Mapping):
            raise ValueError(f"{fields.where} has {name}={shown_value(content)}; it must be an object or null.")
    truncation = fields.any("truncation", default={})
    if truncation.get("direction", "Right") != "Right":
        raise ValueError(
            f"{fields.where} cuts texts at the side {shown_value(truncation['direction'])}; supported is the right one."
        )
