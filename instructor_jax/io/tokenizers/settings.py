"""The settings beside a tokenizer: tokenizer_config.json, special_tokens_map.json and added_tokens.json.

transformers changes ids by some of their keys: tokens that are found whole in a text, others in their place, none at
the end. Every key is obeyed, known to be harmless, or refused by name; the tables below say which and why. What the
classes add without a word in the files stands in the family's record. The source is transformers 5.24:
`tokenization_utils_base.py` (`_from_pretrained`) and `tokenization_utils_tokenizers.py`.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from instructor_jax.backbones.tokenizer_habits import TokenizerClass, TokenizerHabits
from instructor_jax.io.json_files import Fields, read_json, shown_value
from instructor_jax.io.tokenizers.added_tokens import check_added_token

# Keys of tokenizer_config.json whose value changes no id here, whatever it is.
_HARMLESS = (
    # where and by what it was written
    "tokenizer_class", "processor_class", "name_or_path", "special_tokens_map_file", "tokenizer_file", "vocab_file",
    "full_tokenizer_file", "is_local", "local_files_only", "backend", "from_slow", "use_fast", "verbose",
    "transformers_version",
    # the longest text, which folders.py reads; what a call of transformers would say anew
    "model_max_length", "max_len", "max_length", "stride", "truncation_strategy", "pad_to_multiple_of",
    "model_input_names", "return_token_type_ids", "pad_token_type_id",
    "padding_side",  # a padded place is not read, and T5 knows only distances
    # how ids become text again, and conversations
    "clean_up_tokenization_spaces", "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output",
    "spaces_between_special_tokens", "chat_template", "response_schema", "response_template",
    # read by the SentencePiece tokenizers of transformers 4 alone; tokenizer.json is what they were made into
    "legacy", "keep_accents", "remove_space",
)  # fmt: skip

# Keys that are harmless with these values only. An absent key or null is harmless.
_ONLY: Mapping[str, tuple[Any, ...]] = {
    "do_lower_case": (False,),  # T5's pieces have capitals
    "split_special_tokens": (False,),  # "</s>" in a text is then read as letters
    "truncation_side": ("right",),
    "add_prefix_space": (True,),  # transformers 4 makes T5's tokenizer anew without the mark of a first word
    "init_inputs": ([],),
    "fast_tokenizer_files": (["tokenizer.json"],),  # transformers takes another file by its own version
    "sp_model_kwargs": ({}, {"enable_sampling": False}),  # sampling: other ids each time
}
# transformers 5 drops these two where there is a tokenizer.json, which says itself what surrounds a text.
_ONLY_WITHOUT_FILE: Mapping[str, tuple[Any, ...]] = {"add_eos_token": (True,), "add_bos_token": (False,)}

_EXTRA = 1 << 12  # `extra_ids` of published models: 0 to 300
_OF_THE_MODEL = "model_specific_special_tokens"
_NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclasses.dataclass(frozen=True)
class TokenizerSettings:
    """What the settings say, checked.

    Attributes:
        where: the file, for messages.
        bytes: whether texts are read byte by byte.
        extra_ids: how many tokens `<extra_id_0>` ... there are.
        eos: the end-of-sequence token, where the settings name it.
        placed: tokens with a place in the vocabulary, by id.
        special: tokens without a place of their own, in the order in which they are numbered on.
        ends_with_eos: whether a text must end with `eos`.
        normalizer: what they say of the BertNormalizer in tokenizer.json, by its names.
    """

    where: str
    bytes: bool
    extra_ids: int
    eos: str | None
    placed: Mapping[int, Mapping[str, Any]]
    special: tuple[Mapping[str, Any], ...]
    ends_with_eos: bool = True
    normalizer: Mapping[str, bool] = dataclasses.field(default_factory=dict)


def read_settings(folder: Path, habits: TokenizerHabits) -> TokenizerSettings:
    """Reads the settings of a folder's tokenizer; absent files say nothing.

    Args:
        folder: where they lie.
        habits: of the tokenizer's family.

    Raises:
        ValueError: a key that is not known, or with a value that would change the vectors.
        OSError: a file cannot be read.
    """
    path = folder / "tokenizer_config.json"
    fields = Fields(_content(path), path)
    whole = (folder / "tokenizer.json").is_file()
    kind = _class(folder, fields, habits)
    normalizer = {name: fields.flag(key) for key, name in habits.normalizer_keys.items() if key in fields}
    only = {**_ONLY, **({} if whole else _ONLY_WITHOUT_FILE), **habits.only}
    only = {key: values for key, values in only.items() if key not in habits.normalizer_keys}
    fields.require(only, "which would change the tokens of a text")
    fields.ignore([*_HARMLESS, "add_eos_token", "add_bos_token", *habits.harmless])
    if fields.any("auto_map"):
        raise ValueError(f"{path} has auto_map: the tokenizer needs Python code of its own, which is never run here.")
    extra_ids = fields.whole("extra_ids", default=kind.extra_ids, most=_EXTRA)
    placed = _placed(fields)
    named = dict(_named(fields))
    listed = list(_listed(fields))
    fields.refuse_unread()
    map_named, map_listed = _special_tokens_map(folder / "special_tokens_map.json")
    more = _added_tokens(folder / "added_tokens.json", {*map_named, *(token["content"] for token in map_listed)})
    if "added_tokens_decoder" not in fields.content:  # else transformers looks at neither of the two files
        named |= map_named
        listed += map_listed
        placed = more
    named = {name: _plain(content) for name, content in kind.named.items()} | named
    by_content = {token["content"]: token for token in placed.values()}
    named = {name: by_content.get(token["content"], token) for name, token in sorted(named.items(), key=_usual_order)}
    numbered = kind.extra_token
    extra = [] if numbered is None else [_plain(numbered.format(number)) for number in range(extra_ids)]
    special = (*named.values(), *listed, *extra)
    eos = named["eos_token"]["content"] if "eos_token" in named else None
    ends = habits.ends_with_eos
    return TokenizerSettings(str(path), kind.is_bytes, extra_ids, eos, placed, special, ends, normalizer)


def _class(folder: Path, fields: Fields, habits: TokenizerHabits) -> TokenizerClass:
    """Returns the class whose habits hold; transformers looks for its name in this order."""
    config = folder / "config.json"
    about = Fields(_content(config), config)
    name = fields.text("tokenizer_class", default="") or about.text("tokenizer_class", default="")
    model = about.text("model_type", default="")
    name = habits.default(name.removesuffix("Fast"), model)
    if name not in habits.classes:
        raise ValueError(
            f"{fields.where if 'tokenizer_class' in fields else config} has tokenizer_class={shown_value(name)}; known "
            f"are {', '.join(habits.classes)}. If its tokenizer.json is complete, make it PreTrainedTokenizerFast."
        )
    return habits.classes[name]


def _content(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _placed(fields: Fields) -> dict[int, Mapping[str, Any]]:
    content = fields.any("added_tokens_decoder", default={})
    if not isinstance(content, Mapping) or not all(
        key.isascii() and key.isdecimal() and len(key) < 9 for key in content
    ):
        raise ValueError(
            f"{fields.where}: added_tokens_decoder must be an object of tokens by id, not {shown_value(content)}."
        )
    items = (
        (int(key), _token(token, f"{fields.where}: added_tokens_decoder[{key}]")) for key, token in content.items()
    )
    return dict(sorted(items, key=lambda item: item[0]))


def _named(fields: Fields) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields the tokens with a name of their own, such as eos_token; transformers 5 lists those of a model again."""
    inner = Fields(fields.any(_OF_THE_MODEL, {}), f"{fields.where}: {_OF_THE_MODEL}")
    for one in (fields, inner):
        for name in [name for name in one.content if name.endswith("_token") and name not in _ONLY_WITHOUT_FILE]:
            value = one.any(name)
            if value is not None:
                yield name, _token(value, f"{one.where}: {name}", special=True)
    inner.refuse_unread()


def _usual_order(named: tuple[str, Any]) -> tuple[int, str]:
    """Sorts named tokens as transformers numbers them: its usual ones first."""
    name, _ = named
    return (_NAMED.index(name) if name in _NAMED else len(_NAMED)), name


def _listed(fields: Fields) -> Iterator[Mapping[str, Any]]:
    """Yields the tokens without a name; transformers 5 calls the list `extra_special_tokens`."""
    older, newer = fields.any("additional_special_tokens"), fields.any("extra_special_tokens")
    content = newer or older or []
    tokens = list(content.values()) if isinstance(content, Mapping) else content
    if not isinstance(tokens, list):
        raise ValueError(
            f"{fields.where} has extra_special_tokens={shown_value(content)}; it must be a list of tokens."
        )
    for number, token in enumerate(tokens):
        yield _token(token, f"{fields.where}: extra_special_tokens[{number}]", special=True)


def _special_tokens_map(path: Path) -> tuple[dict[str, Mapping[str, Any]], list[Mapping[str, Any]]]:
    fields = Fields(_content(path), path)
    named, listed = dict(_named(fields)), list(_listed(fields))
    fields.refuse_unread()
    return named, listed


def _added_tokens(path: Path, special: set[str]) -> dict[int, Mapping[str, Any]]:
    """Reads added_tokens.json, ids by token, which older versions wrote."""
    content = _content(path)
    fields = Fields(content, path)
    placed = {
        fields.whole(token): {**_plain(token), "normalized": token not in special, "special": token in special}
        for token in content
    }
    if len(placed) < len(content):
        raise ValueError(f"{path} gives one id to two tokens.")
    return dict(sorted(placed.items()))


def _token(value: Any, where: str, *, special: bool = False) -> Mapping[str, Any]:
    """Returns a token with its flags: a string is a special token without any, an object says them."""
    if isinstance(value, str):
        value = _plain(value)
    token = Fields(value, where)
    check_added_token(token)
    token.require({"__type": ("AddedToken",)}, "which is no token")
    token.refuse_unread()
    given = {key: flag for key, flag in value.items() if key != "__type" and flag is not None}
    is_special = special or given.get("special", False)
    return {**_plain(""), "normalized": not is_special, **given, "special": is_special}


def _plain(content: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"content": content, **flags, "special": True}
