"""Which parts of a tokenizer.json are allowed, and how much longer each can make a text.

The tokenizers library runs whatever chain a file describes: rules that double a letter forty times, patterns that take
exponential time, tables that point outside themselves. Allowed is what T5's tokenizers and their relatives consist of,
as transformers 4 and 5, sentence-transformers and this library write them, with a bound on the growth of a text. The
kinds and their keys are those of tokenizers 0.23 (`normalizers/`, `pre_tokenizers/`, `decoders/`).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from instructor_jax.io.json_files import Fields, shown_value
from instructor_jax.io.tokenizers.charsmap import charsmap_growth

# Characters that one of a text may become. NFKC makes 18 of U+FDFA, and the mark of a word doubles a lone letter; with
# lower case and the mark that is 72, with bytes for letters 90.
GROWTH = 100
# Parts of a chain; published ones have at most six.
_PARTS = 16
_CHARACTERS = 256  # of a pattern or a mark

# A pattern that cannot backtrack: one character, class or escape, once or repeated. T5's is " {2,}".
_PLAIN_PATTERN = re.compile(r"(?:\\[sSdDwWnrt]|[^\\.^$*+?()\[\]{}|]|\[[^\\\]\[&]{1,64}\])(?:\+|\{[1-9],?\})?")

# Published patterns with alternatives, none of which is tried anew at each character of a long run: the time is linear.
_KNOWN_PATTERNS = (
    # Qwen 2 and 3 (transformers, `models/qwen2/tokenization_qwen2.py`)
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)

_Growth = Callable[[Fields], int]


def check_normalizer(content: Any, where: str) -> int:
    """Returns how many characters one may become.

    Raises:
        ValueError: a kind, key or value that is not allowed, or texts would grow beyond `GROWTH`.
    """
    return _chain(content, where, _NORMALIZERS, "normalizers")


def check_pre_tokenizer(content: Any, where: str) -> int:
    """As `check_normalizer`, for what splits a text."""
    return _chain(content, where, _PRE_TOKENIZERS, "pretokenizers")


def check_decoder(content: Any, where: str) -> None:
    """As `check_normalizer`, for what makes text of ids again; never used here, but the library builds it."""
    _chain(content, where, _DECODERS, "decoders")


def _chain(content: Any, where: str, kinds: Mapping[str, _Growth], members: str) -> int:
    growth = 1
    parts = _flat(content, where, members)
    if len(parts) > _PARTS:
        raise ValueError(f"{where} has {len(parts)} parts; no tokenizer has more than {_PARTS}.")
    for part in parts:
        kind = part.text("type")
        if kind not in kinds:
            raise ValueError(f"{part.where} is of the kind {shown_value(kind)}; supported are {', '.join(kinds)}.")
        growth *= kinds[kind](part)
        part.refuse_unread()
        if growth > GROWTH:
            raise ValueError(
                f"{part.where} ({kind}) and what stands before it make {growth:,} characters of one, more than the "
                f"{GROWTH} that any published tokenizer needs; texts would fill the memory."
            )
    return growth


def _flat(content: Any, where: str, members: str) -> list[Fields]:
    """Returns the parts of nested sequences in order."""
    if content is None:
        return []
    fields = Fields(content, where)
    if fields.text("type") != "Sequence":
        return [fields]
    inner = fields.any(members)
    if not isinstance(inner, list):
        raise ValueError(f"{where} has {members}={shown_value(inner)}; it must be a list.")
    fields.refuse_unread()
    return [part for number, item in enumerate(inner) for part in _flat(item, f"{where}[{number}]", members)]


def _unchanged(*flags: str, least: int = 1) -> _Growth:
    """Returns the check of a part whose only keys are true or false."""

    def check(part: Fields) -> int:
        for flag in flags:
            part.flag(flag, default=False)
        return least

    return check


def _precompiled(part: Fields) -> int:
    try:
        return charsmap_growth(part.text("precompiled_charsmap"))
    except ValueError as error:
        raise ValueError(f"{part.where} cannot be used: its precompiled_charsmap {error}.") from error


def _replace(part: Fields) -> int:
    shortest = _pattern(part)
    content = part.text("content")
    return max(1, -(-len(content) // shortest))


def _prepend(part: Fields) -> int:
    return 1 + len(part.text("prepend"))


def _split(part: Fields) -> int:
    _pattern(part)
    part.text("behavior")
    part.flag("invert", default=False)
    return 1


def _pattern(part: Fields) -> int:
    """Checks a pattern; returns the fewest characters that it matches."""
    pattern = part.any("pattern")
    kinds = list(pattern) if isinstance(pattern, Mapping) else []
    text = pattern[kinds[0]] if len(kinds) == 1 else None
    if kinds not in (["String"], ["Regex"]) or not isinstance(text, str) or not 0 < len(text) <= _CHARACTERS:
        raise ValueError(
            f"{part.where} has pattern={shown_value(pattern)}; it must be a String or a Regex of 1 to {_CHARACTERS} "
            "characters."
        )
    if kinds == ["String"]:
        return len(text)
    if not _PLAIN_PATTERN.fullmatch(text) and text not in _KNOWN_PATTERNS:
        raise ValueError(
            f"{part.where} has the pattern {shown_value(text)}; supported is one character or class, which may repeat, "
            "as ' {2,}': other patterns can take unbounded time."
        )
    return 1


def _metaspace(part: Fields) -> int:
    """Checks the part that marks the beginning of words; `add_prefix_space` and `str_rep` are its keys before 2024."""
    mark = part.text("replacement", default="▁")
    if len(mark) != 1:
        raise ValueError(f"{part.where} has replacement={shown_value(mark)}; it must be one character.")
    part.text("prepend_scheme", default="")
    part.text("str_rep", default="")
    return _unchanged("add_prefix_space", "split", least=2)(part)


def _texts(*names: str) -> _Growth:
    def check(part: Fields) -> int:
        for name in names:
            if len(part.text(name, default="")) > _CHARACTERS:
                raise ValueError(f"{part.where} has a {name} of more than {_CHARACTERS} characters.")
        return 1

    return check


def _strip_decoder(part: Fields) -> int:
    part.text("content")
    part.whole("start")
    part.whole("stop")
    return 1


# What one character becomes at most: by Unicode 16 for the normal forms and lower case.
_NORMALIZERS: Mapping[str, _Growth] = {
    "Precompiled": _precompiled,  # every published T5
    "Replace": _replace,  # runs of blanks, since transformers 4.38
    "Strip": _unchanged("strip_left", "strip_right"),
    "Prepend": _prepend,
    "Lowercase": _unchanged(least=2),
    "StripAccents": _unchanged(),
    "Nmt": _unchanged(),
    "NFC": _unchanged(least=3),
    "NFD": _unchanged(least=4),
    "NFKC": _unchanged(least=18),
    "NFKD": _unchanged(least=18),
    "BertNormalizer": _unchanged("clean_text", "handle_chinese_chars", "strip_accents", "lowercase", least=8),
    "ByteLevel": _unchanged(least=4),
}
_PRE_TOKENIZERS: Mapping[str, _Growth] = {
    "WhitespaceSplit": _unchanged(),  # T5 before Metaspace
    "Metaspace": _metaspace,  # every published T5
    "Whitespace": _unchanged(),
    "BertPreTokenizer": _unchanged(),
    "UnicodeScripts": _unchanged(),
    "Punctuation": _texts("behavior"),
    "Digits": _unchanged("individual_digits"),
    "Split": _split,
    "ByteLevel": _unchanged("add_prefix_space", "trim_offsets", "use_regex", least=5),  # T5 for code
}
_DECODERS: Mapping[str, _Growth] = {
    "Metaspace": _metaspace,
    "ByteLevel": _unchanged("add_prefix_space", "trim_offsets", "use_regex"),
    "WordPiece": lambda part: _texts("prefix")(part) * _unchanged("cleanup")(part),
    "BPEDecoder": _texts("suffix"),
    "ByteFallback": _unchanged(),
    "Fuse": _unchanged(),
    "Replace": lambda part: min(_replace(part), 1),
    "Strip": _strip_decoder,
}
