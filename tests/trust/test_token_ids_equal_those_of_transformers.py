"""Every setting that transformers obeys is obeyed: the ids of a folder's tokenizer are those of its AutoTokenizer."""

import io
import json
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from instructor_jax.io.tokenizers.folders import load_token_ids

from ..small_models import tokenizer_folder

TEXTS = [
    "",
    "the river",
    "The Science document: x",
    "  two   blanks ",
    "tab\tnew\nline\r\n",
    "</s>",
    "a </s> b",
    "x</s>y",
    "<extra_id_0>",
    "x<extra_id_5>y <extra_id_99>",
    "<extra_id_0",
    "<pad><unk>",
    "<eos> <new> NEW <new>new",
    "</s </s>>",
    "Mixed-case 3.14",
    "äöü",
    "e\u0301 a\u0308",
    "ﬁ ﷺ Ⅳ ½ ™\x1eg",
    "日本語テスト",
    "한국어",
    "עברית العربية",
    "😀👍🏽👨‍👩‍👧",
    "\u200b\u200d\u00ad",
    "\ufeffbom",
    "a\x00b",
    "\x01\x1b[31m\x7f\x85",
    "\u2581the \u2581",
    "▁▁▁",
    "\ue000\U000f0000",
    "\u0378\U0003fffe\ufffe",
    "a" * 300,
    "the " * 100,
    "i\u0307 İ ß",
    "\u3000wide\u2028line",
    "A\u0300\u0301\u0302" * 10,
]
FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
T5 = {"model_type": "t5"}
AS_IT_IS = {"tokenizer_class": "PreTrainedTokenizerFast", "extra_ids": None}
BLANKS = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}
STRIP = {"type": "Strip", "strip_left": False, "strip_right": True}
OLD = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True, "str_rep": "▁"}


def token(content: str, **flags: Any) -> dict[str, Any]:
    return {"content": content, **FLAGS, **flags}


@cache
def charsmap(rule: str = "nmt_nfkc") -> dict[str, str]:
    content = sentencepiece_model(normalization_rule_name=rule)
    from sentencepiece import sentencepiece_model_pb2

    parsed: Any = sentencepiece_model_pb2.ModelProto()  # pyright: ignore[reportAttributeAccessIssue]
    parsed.ParseFromString(content)
    import base64

    table = base64.b64encode(parsed.normalizer_spec.precompiled_charsmap).decode()
    return {"type": "Precompiled", "precompiled_charsmap": table}


def sentencepiece_model(**options: Any) -> bytes:
    sentencepiece = pytest.importorskip("sentencepiece")
    texts = [text for text in TEXTS if text.strip() and "\x00" not in text and len(text) < 200]
    model = io.BytesIO()
    settings = {
        "pad_id": 0,
        "eos_id": 1,
        "unk_id": 2,
        "bos_id": -1,
        "vocab_size": 200,
        "model_type": "unigram",
        **options,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 20 + ["the quick brown fox <new> jumps"] * 30),
        model_writer=model, hard_vocab_limit=False, minloglevel=2, **settings,
    )  # fmt: skip
    return model.getvalue()


KEPT = {"0": token("<pad>"), "1": token("</s>"), "2": token("<unk>")}
# name: changes of tokenizer_config.json (None removes a key), of tokenizer.json, other files, config.json
SETTINGS: dict[str, dict[str, Any]] = {
    "as created": {},
    "the fast class": {"tokenizer_class": "T5TokenizerFast"},
    "as the file is": AS_IT_IS,
    "as the file is, transformers 5": {**AS_IT_IS, "tokenizer_class": "TokenizersBackend"},
    "mT5's class": {"tokenizer_class": "MT5Tokenizer", "extra_ids": None},
    "mT5's fast class": {"tokenizer_class": "MT5TokenizerFast", "extra_ids": None},
    "no class": {"tokenizer_class": None},
    "no class, no extra ids": {"tokenizer_class": None, "extra_ids": None},
    "a hundred extra ids": {"extra_ids": None},
    "the same, said": {"extra_ids": 100},
    "three extra ids": {"extra_ids": 3},
    "special tokens": {"additional_special_tokens": ["<new>"]},
    "special tokens, newer name": {"extra_special_tokens": ["<new>", "<eos>"]},
    "special tokens by name": {"extra_special_tokens": {"my_token": "<new>"}},
    "special tokens of a model": {
        "image_token": "<new>", "model_specific_special_tokens": {"image_token": "<new>"}
    },
    "special tokens of a model, said once": {"model_specific_special_tokens": {"image_token": "<new>"}},
    "special tokens with flags": {
        "additional_special_tokens": [{"__type": "AddedToken", **token("<new>", lstrip=True)}]
    },
    "the extra ids as special tokens": {
        "extra_ids": 2, "additional_special_tokens": ["<extra_id_0>", "<extra_id_1>"]
    },
    "the file's added tokens again": {"added_tokens_decoder": KEPT},
    "stripping around the end": {"added_tokens_decoder": {**KEPT, "1": token("</s>", lstrip=True, rstrip=True)}},
    "a new added token": {"added_tokens_decoder": {**KEPT, "565": token("<new>", lstrip=True)}},
    "new added tokens, one normalized": {
        "added_tokens_decoder": {
            **KEPT, "566": token("<new>", normalized=True, special=False), "565": token("NEW", special=False)
        }
    },
    "a whole word": {"added_tokens_decoder": {**KEPT, "565": token("<new>", single_word=True)}},
    "other named tokens": {"sep_token": "<sep>", "cls_token": "<new>", "mask_token": "<eos>"},
    "a token of its own name": {"image_token": "<new>"},
    "another padding": {"pad_token": "<new>"},
    "another unknown": {"unk_token": "<new>"},
    "the end with flags": {"eos_token": {"__type": "AddedToken", **token("</s>", rstrip=True)}},
    "what is harmless": {
        "legacy": False, "clean_up_tokenization_spaces": True, "padding_side": "left", "model_max_length": 10**30,
        "chat_template": "{{ x }}", "sp_model_kwargs": {}, "name_or_path": "t5-base", "add_prefix_space": None,
        "special_tokens_map_file": "/x", "backend": "tokenizers", "max_length": 5, "stride": 1,
    },
    "no end, said where a file says it": {"add_eos_token": False, "add_bos_token": True},
}  # fmt: skip
FILES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a class in config.json": ({"tokenizer_class": None}, {"config.json": {**T5, "tokenizer_class": "T5Tokenizer"}}),
    "mT5": ({"tokenizer_class": None, "extra_ids": None}, {"config.json": {"model_type": "mt5"}}),
    "umT5": ({"tokenizer_class": None, "extra_ids": None}, {"config.json": {"model_type": "umt5"}}),
    "umT5 with T5's class": ({"extra_ids": None}, {"config.json": {"model_type": "umt5"}}),
    "added_tokens.json": ({}, {"added_tokens.json": {"<new>": 565}}),
    "added_tokens.json, out of order": ({}, {"added_tokens.json": {"<new>": 566, "NEW": 565}}),
    "special_tokens_map.json": ({}, {"special_tokens_map.json": {"eos_token": "</s>", "unk_token": "<unk>"}}),
    "special_tokens_map.json, new": (
        {}, {"special_tokens_map.json": {"eos_token": token("</s>"), "additional_special_tokens": ["<new>"]}}
    ),
    "special_tokens_map.json, not read": (
        {"added_tokens_decoder": KEPT}, {"special_tokens_map.json": {"additional_special_tokens": ["<new>"]}}
    ),
    "both of the older files": (
        {}, {"special_tokens_map.json": {"sep_token": "<new>"}, "added_tokens.json": {"<new>": 565, "NEW": 566}}
    ),
}  # fmt: skip
PIPELINES: dict[str, tuple[dict[str, Any], Callable[[], dict[str, Any]]]] = {
    "T5's normalizer": ({}, lambda: {"normalizer": charsmap()}),
    "with case folding": ({}, lambda: {"normalizer": charsmap("nmt_nfkc_cf")}),
    "the packaged model's": (
        AS_IT_IS, lambda: {"normalizer": {"type": "Sequence", "normalizers": [charsmap(), STRIP, BLANKS]}}
    ),
    "lower case": (AS_IT_IS, lambda: {"normalizer": {"type": "Lowercase"}}),
    "NFKC": (AS_IT_IS, lambda: {"normalizer": {"type": "NFKC"}}),
    "the marks of older versions": (
        {}, lambda: {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, OLD]}}
    ),
    "only the mark": (AS_IT_IS, lambda: {"normalizer": charsmap(), "pre_tokenizer": OLD}),
    "the first word alone": (
        AS_IT_IS,
        lambda: {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}},
    ),
    "no added tokens": ({}, lambda: {"added_tokens": []}),
    "truncation and padding": (
        {},
        lambda: {
            "truncation": {"max_length": 5, "stride": 0, "strategy": "LongestFirst", "direction": "Right"},
            "padding": {
                "strategy": {"Fixed": 9}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 0,
                "pad_type_id": 0, "pad_token": "<pad>",
            },
        },
    ),
    "a new token in the file": (AS_IT_IS, lambda: {"added_tokens": [{"id": 565, **token("<new>", lstrip=True)}]}),
}  # fmt: skip
MODELS: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "the usual": ({}, {"tokenizer_class": "T5Tokenizer", "extra_ids": 3}),
    "no settings": ({}, None),
    "fast class": ({}, {"tokenizer_class": "T5TokenizerFast", "extra_ids": 0}),
    "a user's symbol": ({"user_defined_symbols": ["<new>"]}, {"tokenizer_class": "T5Tokenizer", "extra_ids": 3}),
    "a control symbol": ({"control_symbols": ["<new>"]}, {"tokenizer_class": "T5Tokenizer"}),
    "no normalisation": ({"normalization_rule_name": "identity"}, {}),
    "case folding": ({"normalization_rule_name": "nmt_nfkc_cf"}, {}),
    "special tokens": ({}, {"extra_ids": 0, "additional_special_tokens": ["<new>"]}),
    "an end, said": ({}, {"add_eos_token": True, "add_bos_token": False}),
}  # fmt: skip


def their_ids(folder: Path) -> list[list[int]]:
    from transformers import AutoTokenizer

    logging.getLogger("transformers").setLevel(logging.ERROR)
    tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    return [tokenizer(text, truncation=False, padding=False)["input_ids"] for text in TEXTS]


def changed(folder: Path, name: str, changes: dict[str, Any]) -> None:
    path = folder / name
    content = {**(json.loads(path.read_text()) if path.exists() else {}), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def assert_equal(folder: Path) -> None:
    encode = load_token_ids(folder)
    ours = [encode([text])[0] for text in TEXTS]
    assert dict(zip(TEXTS, ours, strict=True)) == dict(zip(TEXTS, their_ids(folder), strict=True))
    assert encode(TEXTS) == ours


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(tmp_path: Path, name: str) -> None:
    folder = tokenizer_folder(tmp_path)
    (folder / "config.json").write_text(json.dumps(T5))
    changed(folder, "tokenizer_config.json", SETTINGS[name])
    assert_equal(folder)


@pytest.mark.parametrize("name", FILES)
def test_other_files(tmp_path: Path, name: str) -> None:
    folder, (settings, files) = tokenizer_folder(tmp_path), FILES[name]
    changed(folder, "tokenizer_config.json", settings)
    for file, content in {"config.json": T5, **files}.items():
        (folder / file).write_text(json.dumps(content))
    assert_equal(folder)


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines(tmp_path: Path, name: str) -> None:
    folder, (settings, change) = tokenizer_folder(tmp_path), PIPELINES[name]
    (folder / "config.json").write_text(json.dumps(T5))
    changed(folder, "tokenizer_config.json", settings)
    changed(folder, "tokenizer.json", change())
    assert_equal(folder)


@pytest.mark.parametrize("name", MODELS)
def test_a_sentencepiece_model_alone(tmp_path: Path, name: str) -> None:
    options, settings = MODELS[name]
    (tmp_path / "spiece.model").write_bytes(sentencepiece_model(**options))
    (tmp_path / "config.json").write_text(json.dumps(T5))
    if settings is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    assert_equal(tmp_path)


def test_tokenizer_json_comes_before_the_sentencepiece_model(tmp_path: Path) -> None:
    folder = tokenizer_folder(tmp_path)
    before = load_token_ids(folder)(TEXTS)
    (folder / "spiece.model").write_bytes(b"not looked at")
    assert load_token_ids(folder)(TEXTS) == before


@pytest.mark.parametrize("settings", [{}, {"extra_ids": 125}, {"additional_special_tokens": []}])
def test_bytes(tmp_path: Path, settings: dict[str, Any]) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "ByT5Tokenizer", **settings}))
    (tmp_path / "config.json").write_text(json.dumps(T5))
    assert_equal(tmp_path)


# What would change ids or truncation and is not obeyed, by what its message says.
REFUSED: dict[str, dict[str, Any]] = {
    "do_lower_case": {"do_lower_case": True},
    "split_special_tokens": {"split_special_tokens": True},
    "truncation_side": {"truncation_side": "left"},
    "add_prefix_space": {"add_prefix_space": False},
    "sp_model_kwargs": {"sp_model_kwargs": {"enable_sampling": True, "alpha": 0.1}},
    "init_inputs": {"init_inputs": ["x"]},
    "fast_tokenizer_files": {"fast_tokenizer_files": ["tokenizer.4.0.json"]},
    "auto_map": {"auto_map": {"AutoTokenizer": ["x.Y", None]}},
    "gguf_file": {"gguf_file": "x.gguf"},
    "something": {"something": 1},
    "extra_ids": {"extra_ids": -1},
    "extra_ids=1000000000": {"extra_ids": 10**9},
    "extra_ids='3'": {"extra_ids": "3"},
    "tokenizer_class": {"tokenizer_class": "BertTokenizer"},
    "tokenizer_class=": {"tokenizer_class": 3},
    "Llama": {"tokenizer_class": "LlamaTokenizerFast"},
    "asks for a tokenizer of bytes": {"tokenizer_class": "ByT5Tokenizer"},
    "names '<eos>' as the end": {"eos_token": "<eos>"},
    "eos_token": {"eos_token": 3},
    "unk_token": {"unk_token": ["<unk>"]},
    "added_tokens_decoder": {"added_tokens_decoder": ["<new>"]},
    "added_tokens_decoder must": {"added_tokens_decoder": {"x": token("<new>")}},
    "added_tokens_decoder[566] has content=3": {"added_tokens_decoder": {"565": "<new>", "566": {"content": 3}}},
    "gives '<new>' the id 700": {"added_tokens_decoder": {"700": token("<new>")}},
    "gives '</s>' the id 5": {"added_tokens_decoder": {"5": token("</s>")}},
    "extra_special_tokens": {"extra_special_tokens": "<new>"},
    "extra_special_tokens[0]": {"additional_special_tokens": [3]},
    "model_specific_special_tokens must": {"model_specific_special_tokens": ["<new>"]},
    "model_specific_special_tokens: image_token": {"model_specific_special_tokens": {"image_token": 3}},
    "model_specific_special_tokens has image=": {"model_specific_special_tokens": {"image": "<new>"}},
    "lstrip": {"additional_special_tokens": [token("<new>", lstrip="yes")]},
    "256": {"additional_special_tokens": ["x" * 257]},
}  # fmt: skip


@pytest.mark.parametrize("named", REFUSED)
def test_settings_that_are_not_obeyed_are_refused(tmp_path: Path, named: str) -> None:
    folder = tokenizer_folder(tmp_path)
    changed(folder, "tokenizer_config.json", REFUSED[named])
    with pytest.raises(ValueError) as error:  # noqa: PT011
        load_token_ids(folder)
    assert named in str(error.value)
    assert "tokenizer_config.json" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("special_tokens_map.json", ["</s>"]),
        ("special_tokens_map.json", {"eos_token": 3}),
        ("special_tokens_map.json", {"something": "x"}),
        ("special_tokens_map.json", {"eos_token": {"content": "</s>", "lstrip": 1}}),
        ("added_tokens.json", {"<new>": "565"}),
        ("added_tokens.json", {"<new>": -1}),
        ("added_tokens.json", {"<new>": 565, "NEW": 565}),
        ("added_tokens.json", {"<new>": 900}),
        ("added_tokens.json", [1]),
    ],
)
def test_damaged_files_beside_are_named(tmp_path: Path, file: str, content: Any) -> None:
    folder = tokenizer_folder(tmp_path)
    (folder / file).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"{file}|tokenizer_config.json gives"):
        load_token_ids(folder)


def test_settings_of_a_sentencepiece_model(tmp_path: Path) -> None:
    (tmp_path / "spiece.model").write_bytes(sentencepiece_model())
    for settings in ({"add_eos_token": False}, {"add_bos_token": True}):  # transformers obeys these without a file
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
        with pytest.raises(ValueError, match=next(iter(settings))):
            load_token_ids(tmp_path)
