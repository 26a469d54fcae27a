"""What a family's tokenizer adds to a text, as far as the files of a folder do not say it themselves."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class TokenizerClass:
    """What a tokenizer class of transformers adds to what is in tokenizer.json.

    Attributes:
        is_bytes: Whether texts are read byte by byte, without a vocabulary.
        extra_ids: How many numbered tokens there are, where the settings do not say.
        extra_token: The text of a numbered token, with a place for its number; None where they are in the vocabulary.
        named: The tokens with a name of their own, such as `eos_token`, where the settings do not say.
    """

    is_bytes: bool = False
    extra_ids: int = 0
    extra_token: str | None = None
    named: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class TokenizerHabits:
    """How the tokenizers of a family are opened and made.

    Attributes:
        classes: The tokenizer classes that a folder may name, without "Fast".
        default: Gives the name of the class for the name in the folder ("" for none) and the model type in its
            config.json ("" for none).
        from_sentencepiece: Makes the content of a tokenizer.json of a SentencePiece file and a number of extra tokens;
            None where the family has no such files.
        special: The special tokens that a new vocabulary begins with, in the order of their ids.
        finish: Gives a new `tokenizers.Tokenizer`, whose vocabulary begins with `special`, the end of a text and
            whatever else the family's texts have.
        new_settings: The tokenizer_config.json of such a tokenizer.
        ends_with_eos: Whether the token that ends a text is the one that the settings name `eos_token`.
        normalizer_keys: Settings that say again what the BertNormalizer in tokenizer.json does, by its name of it.
        only: Settings that change no id with these values only, where that differs between families.
        harmless: Settings of the family's own that change no id, whatever they are.
    """

    classes: Mapping[str, TokenizerClass]
    default: Callable[[str, str], str]
    from_sentencepiece: Callable[[Path, int], dict[str, Any]] | None
    special: tuple[str, ...]
    finish: Callable[[Any], None]
    new_settings: Mapping[str, Any]
    ends_with_eos: bool = True
    normalizer_keys: Mapping[str, str] = dataclasses.field(default_factory=dict)
    only: Mapping[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)
    harmless: tuple[str, ...] = ()


def begin_and_end(tokenizer: Any, special: Sequence[str], begin: str, end: str) -> None:
    """Gives a new `tokenizers.Tokenizer`, whose vocabulary begins with `special`, what begins and ends every text."""
    from tokenizers import processors

    ends = [(token, special.index(token)) for token in (begin, end)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{begin} $A {end}", special_tokens=ends)
    tokenizer.add_special_tokens(list(special))
