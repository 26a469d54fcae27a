"""The tokenizer of a folder, from whichever files it has, as one function from texts to ids.

`tokenizer.json` comes first: it says everything, and is what transformers takes where both lie there. Then
`spiece.model`, read here; then tokenizers of bytes, which have no vocabulary and are left to transformers. In each case
the settings beside it are checked, and the tokens that they add are added as transformers adds them; what they leave to
the family stands in its record. transformers 5 makes T5's tokenizer anew from the vocabulary and drops normalisers but
for `Precompiled`; here, as in transformers 4 and as the models were trained, the file is followed.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from instructor_jax.io.other_libraries import auto_tokenizer
from instructor_jax.io.printable import one_line
from instructor_jax.io.settings.family import backbone_in
from instructor_jax.io.tokenizers.files import TokenizerFile, check_tokenizer, read_tokenizer_file
from instructor_jax.io.tokenizers.settings import TokenizerSettings, read_settings
from instructor_jax.io.tokenizers.token_ids import TokenIds, UnreadableTextError


def load_token_ids(folder: Path) -> TokenIds:
    """Returns the folder's tokenizer.

    Raises:
        ValueError: there is no tokenizer, or it is broken, unbounded or unknown, has settings that are not supported,
            or does not end texts with an end-of-sequence token.
        OSError: a file cannot be read.
    """
    tokenizer = open_tokenizer(folder)
    encode = _bytes(folder) if tokenizer is None else _naming_the_text(_ids_by(tokenizer))
    some, empty = encode(["a", ""])
    if not empty or some[-1] != empty[-1]:
        raise ValueError(f"the tokenizer in {folder} adds no end-of-sequence token; the models need one.")
    return encode


def open_tokenizer(folder: Path) -> Any | None:
    """Returns the folder's `tokenizers.Tokenizer`, without truncation or padding; None for a tokenizer of bytes.

    Raises:
        ValueError: there is no tokenizer, or it is broken, unbounded or unknown, or has settings that are not
            supported.
        OSError: a file cannot be read.
    """
    habits = backbone_in(folder).tokenizer
    settings = read_settings(folder, habits)
    path = folder / "tokenizer.json"
    if path.is_file():
        if settings.bytes:
            raise ValueError(f"{settings.where} asks for a tokenizer of bytes, which has no {path.name}; remove one.")
        return _fast(read_tokenizer_file(path), settings)
    if settings.bytes:
        return None
    if habits.from_sentencepiece is not None and (folder / "spiece.model").is_file():
        content = habits.from_sentencepiece(folder / "spiece.model", settings.extra_ids)
        where = str(folder / "spiece.model")
        return _fast(check_tokenizer(content, json.dumps(content, ensure_ascii=False), where), settings)
    raise ValueError(
        f"{folder} has no tokenizer: tokenizer.json, spiece.model, or a tokenizer_config.json that names a tokenizer "
        "of bytes is needed."
    )


def vocabulary_size(folder: Path) -> int | None:
    """Returns the number of token ids that a `tokenizer.json` can produce; None for other tokenizers.

    Raises:
        ValueError: the file is broken, see `load_token_ids`.
    """
    path = folder / "tokenizer.json"
    return read_tokenizer_file(path).size if path.is_file() else None


def _fast(file: TokenizerFile, settings: TokenizerSettings) -> Any:
    """Builds a tokenizer of the tokenizers library and adds what the settings add."""
    from tokenizers import Tokenizer

    def built() -> Any:
        tokenizer = Tokenizer.from_str(file.text)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        _add_tokens(tokenizer, settings)
        return tokenizer

    _check_normalizer(file, settings)
    tokenizer = _guarded(built, f"{file.where} is not a readable tokenizer")
    _check_ids(tokenizer, file, settings)

    return tokenizer


def _ids_by(tokenizer: Any) -> TokenIds:
    def encode(strings: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in tokenizer.encode_batch_fast(list(strings))]

    return encode


def _add_tokens(tokenizer: Any, settings: TokenizerSettings) -> None:
    """Adds tokens in transformers' order; a token that is there already only takes over the new flags."""
    from tokenizers import AddedToken

    listed = [dict(token) for token in (*settings.placed.values(), *settings.special)]
    tokenizer.add_tokens([AddedToken(token.pop("content"), **token) for token in listed])  # each call indexes all anew


def _check_normalizer(file: TokenizerFile, settings: TokenizerSettings) -> None:
    """Refuses settings that say something else than the file; transformers 4 obeys the settings, and 5 the file."""
    listed = file.normalizer.get("normalizers", [file.normalizer]) if isinstance(file.normalizer, Mapping) else []
    stated = next((part for part in listed if isinstance(part, Mapping) and part.get("type") == "BertNormalizer"), {})
    for name, value in settings.normalizer.items():
        there = stated.get(name)
        if there is not None and there != value:
            raise ValueError(
                f"{settings.where} says {name}={str(value).lower()} of the tokenizer, {file.where} says "
                f"{str(there).lower()}. The files do not belong together."
            )


def _check_ids(tokenizer: Any, file: TokenizerFile, settings: TokenizerSettings) -> None:
    for index, token in settings.placed.items():
        given = tokenizer.token_to_id(token["content"])
        if given != index:
            raise ValueError(
                f"{settings.where} gives {one_line(repr(token['content']), 80)} the id {index}; in {file.where} it has "
                f"{given}. The files do not belong together."
            )
    end = tokenizer.encode("").ids
    if settings.ends_with_eos and settings.eos is not None and end and tokenizer.token_to_id(settings.eos) != end[-1]:
        raise ValueError(
            f"{settings.where} names {one_line(repr(settings.eos), 80)} as the end of a text, but {file.where} ends "
            "texts with another token. The files do not belong together."
        )


def _bytes(folder: Path) -> TokenIds:
    tokenizer = auto_tokenizer(folder, local=True)
    lock = threading.Lock()  # tokenizers in Python keep state between calls

    def encode(strings: Sequence[str]) -> list[list[int]]:
        with lock:
            return tokenizer(list(strings), truncation=False, padding=False, verbose=False)["input_ids"]

    return _naming_the_text(encode)


def _naming_the_text(encode: TokenIds) -> TokenIds:
    """Returns `encode` with one error for whatever it raises, which says at which text."""

    def encode_or_name(strings: Sequence[str]) -> list[list[int]]:
        try:
            return encode(strings)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # panics of the tokenizers library are no Exceptions
            for index, string in enumerate(strings):
                reason = _unreadable(encode, string)
                if reason is not None:
                    raise UnreadableTextError(index, reason) from error
            raise ValueError(f"these texts cannot be tokenised together: {_reason(error)}") from error

    return encode_or_name


def _unreadable(encode: TokenIds, string: str) -> str | None:
    """Returns why a single string cannot be tokenised; None where it can."""
    try:
        string.encode("utf-8")
        encode([string])
    except (KeyboardInterrupt, SystemExit):
        raise
    except UnicodeEncodeError as error:
        return (
            f"character {error.start} is half of a surrogate pair (\\u{ord(string[error.start]):04x}), which is no "
            "character; decode the text with errors='replace' where it comes from"
        )
    except BaseException as error:
        return _reason(error)
    return None


def _guarded(build: Callable[[], Any], problem: str) -> Any:
    try:
        return build()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the library raises bare Exception, and panics, which are none
        raise ValueError(f"{problem}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    return one_line(f"{error}" or type(error).__name__, 300).rstrip(".") + "."
