"""Joining, masking and truncating as InstructorEmbedding 1.0.1 did, by hand on a tokenizer of whole words."""

import json
import string
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from instructor_jax.io.tokenizers.folders import load_token_ids, vocabulary_size
from instructor_jax.text.tokenization import Pair, Tokenizer, as_pairs

from ..small_models import tokenizer_folder

EOS = 1


class Words:
    """A word is a token: a -> 10, b -> 11, ...; longer words 99. Remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, strings: Sequence[str]) -> list[list[int]]:
        self.seen += strings
        return [
            [10 + string.ascii_lowercase.find(w) if len(w) == 1 else 99 for w in s.split()] + [EOS] for s in strings
        ]


def tokens_of(texts, index: int = 0) -> list[int]:
    return texts.tokens[texts.offsets[index] : texts.offsets[index + 1]].tolist()


# --- Joining and masking -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instruction", "text", "joined", "unpooled"),
    [
        ("a b: ", "  c d ", "a b: c d", 2),  # the text is stripped, the instruction's last blank separates
        ("  a b: ", "c", "a b: c", 2),  # blanks in front vanish with the joined string's
        ("a b:   ", "c", "a b:   c", 2),
        ("a b;", "c", "a b;c", 2),  # glued: the text's first word is inside the instruction's last token
        ("a b;", "", "a b;", 2),  # no text: only end-of-sequence is pooled
        ("a: ", "b c", "a: b c", 0),  # a single token is pooled like text
        ("", "b c", "b c", 0),
        ("   ", "b c", "b c", 0),
        ("", "", "", 0),
        ("a b c: ", "\t d\n", "a b c: d", 3),
    ],
)
def test_joining(instruction: str, text: str, joined: str, unpooled: int) -> None:
    words = Words()
    texts = Tokenizer(words, max_length=16)([Pair(instruction, text)])
    assert words.seen[0] == joined
    assert texts.unpooled.tolist() == [unpooled]
    assert tokens_of(texts)[-1] == EOS
    assert texts.full_lengths.tolist() == texts.lengths.tolist() == [len(joined.split()) + 1]


def test_the_mask_may_cover_more_than_the_joined_string() -> None:
    """The original does not check that the joined string begins with the instruction's tokens; nor do we."""
    texts = Tokenizer(lambda strings: [[7, 8, 9, EOS] if s == "x" else [5, EOS] for s in strings], 16)([Pair("x", "y")])
    assert (tokens_of(texts), texts.unpooled.tolist()) == ([5, EOS], [3])


def test_pooling_the_instruction_masks_nothing() -> None:
    texts = Tokenizer(Words(), 16, pool_instruction=True)([Pair("a b c: ", "d")])
    assert texts.unpooled.tolist() == [0]


def test_several_texts_lie_end_to_end() -> None:
    texts = Tokenizer(Words(), 16)([Pair("", "a"), Pair("a b: ", "c"), Pair("", "")])
    assert len(texts) == 3
    assert texts.tokens.tolist() == [10, EOS, 10, 99, 12, EOS, EOS]
    assert texts.offsets.tolist() == [0, 2, 6, 7]
    assert len(Tokenizer(Words(), 16)([])) == 0


# --- Truncating ----------------------------------------------------------------------------------------------------


def test_truncation_keeps_end_of_sequence() -> None:
    texts = Tokenizer(Words(), max_length=5)([Pair("a b: ", "c d e f"), Pair("", "a b c d")])
    assert tokens_of(texts, 0) == [10, 99, 12, 13, EOS]
    assert tokens_of(texts, 1) == [10, 11, 12, 13, EOS]  # exactly the limit
    assert texts.full_lengths.tolist() == [7, 5]
    assert texts.unpooled.tolist() == [2, 0]


def test_an_instruction_that_fills_the_limit_leaves_end_of_sequence_alone() -> None:
    pair = Pair("a b c d e: ", "f")
    texts = Tokenizer(Words(), max_length=4)([pair], "truncate")
    assert tokens_of(texts) == [10, 11, 12, EOS]
    assert texts.unpooled.tolist() == [3]
    for on_overflow in ("warn", "error"):
        with pytest.raises(ValueError, match=r"'a b c d e: '.* has 6 tokens.*max_length=4.*'truncate'"):
            Tokenizer(Words(), max_length=4)([pair], on_overflow)
    with pytest.raises(ValueError, match="has 6 tokens"):
        Tokenizer(Words(), max_length=4).windows([pair])


@pytest.mark.parametrize(("words", "fits"), [("a b", True), ("a b c", False)])
def test_an_instruction_must_leave_room_for_one_token(words: str, fits: bool) -> None:
    tokenizer = Tokenizer(Words(), max_length=4)
    if fits:  # two tokens of instruction, one of text, end-of-sequence
        assert tokens_of(tokenizer([Pair(f"{words} ", "z")], "error")) == [10, 11, 35, EOS]
    else:
        with pytest.raises(ValueError, match="no text would be read"):
            tokenizer([Pair(f"{words} ", "z")], "warn")


def test_a_text_that_is_too_long_is_named_by_its_index() -> None:
    tokenizer = Tokenizer(Words(), max_length=4)
    pairs = [Pair("", "a"), Pair("", "a b c d"), Pair("", "a b c d e")]
    with pytest.raises(ValueError, match=r"text 1 has 5 tokens .*max_length=4 \(and 1 more texts\)"):
        tokenizer(pairs, "error")
    assert tokenizer(pairs, "warn").lengths.tolist() == [2, 4, 4]


def test_windows_by_hand() -> None:
    """Two tokens of instruction and end-of-sequence leave room for three of the text in every window."""
    texts, owner = Tokenizer(Words(), max_length=6).windows([Pair("a b: ", "d e f g h i j"), Pair("a b: ", "k")])
    assert [tokens_of(texts, index) for index in range(len(texts))] == [
        [10, 99, 13, 14, 15, EOS],
        [10, 99, 16, 17, 18, EOS],
        [10, 99, 19, EOS],
        [10, 99, 20, EOS],
    ]
    assert owner.tolist() == [0, 0, 0, 1]
    assert texts.unpooled.tolist() == [2, 2, 2, 2]
    assert texts.full_lengths.tolist() == [10, 10, 10, 4]
    texts, owner = Tokenizer(Words(), max_length=3).windows([Pair("", "a b c")])
    assert [tokens_of(texts, index) for index in range(len(texts))] == [[10, 11, EOS], [12, EOS]]


def test_ids_beyond_the_vocabulary_are_an_error() -> None:
    assert len(Tokenizer(Words(), 16, vocab=100)([Pair("", "word")])) == 1
    with pytest.raises(ValueError, match="token id 99, but the model's vocabulary has only 99 entries"):
        Tokenizer(Words(), 16, vocab=99)([Pair("", "word")])


# --- What may be passed --------------------------------------------------------------------------------------------


def test_pairs_and_strings() -> None:
    assert as_pairs(["x", ("i", "y"), ["i", "z"], ["i", "z", 0]], None) == [
        ("", "x"),
        ("i", "y"),
        ("i", "z"),
        ("i", "z"),
    ]
    assert as_pairs(["x", np.str_("y")], "i") == [("i", "x"), ("i", "y")]


@pytest.mark.parametrize(
    ("item", "described"),
    [
        (3, r"3 \(int\)"),
        (None, r"None \(NoneType\)"),
        (b"x", r"b'x' \(bytes\)"),
        (["i"], r"a list of 1 \(str\)"),
        (["i", 3], r"a list of 2 \(str, int\)"),
        ([["i", "x"]], r"a list of 1 \(list\)"),
        (("i", "x", "y", "z"), r"a tuple of 4"),
        ({"text": "x" * 99}, "a dict"),
    ],
)
def test_a_wrong_element_is_named_by_its_index(item: object, described: str) -> None:
    with pytest.raises(ValueError, match=rf"sentences\[2\] is {described}.*; expected a string or a pair"):
        as_pairs(["x", "y", item], None)


def test_a_pair_does_not_go_with_another_instruction() -> None:
    with pytest.raises(ValueError, match=r"sentences\[1\] brings its own instruction 'i' while instruction='j'"):
        as_pairs(["x", ["i", "y"]], "j")


# --- Tokenizers of folders -----------------------------------------------------------------------------------------


def test_the_tokenizer_of_a_folder(tmp_path: Path) -> None:
    folder = tokenizer_folder(tmp_path)
    encode = load_token_ids(folder)
    [river, empty, special] = encode(["the river", "", "the </s>"])
    assert (empty, river[-1], special[-2:]) == ([EOS], EOS, [EOS, EOS])
    assert vocabulary_size(folder) == 565
    content = json.loads((folder / "tokenizer.json").read_text())
    content["truncation"] = {"max_length": 2, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    content["padding"] = {
        "strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "<pad>",
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(content))
    assert load_token_ids(folder)(["the river", ""]) == [river, empty]


def test_transformers_reads_the_same_tokens_from_the_tiny_tokenizer(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = tokenizer_folder(tmp_path)
    strings = ["Represent the Science title: x", "Mixed-case TEXT, 3.14; äöü", "", "  two   blanks ", "the\nriver\t7"]
    theirs = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)(strings)["input_ids"]
    assert load_token_ids(folder)(strings) == theirs
    (folder / "tokenizer.json").rename(folder / "elsewhere.json")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    encode = load_token_ids(folder)  # bytes, which have no tokenizer.json: their values after three special tokens
    assert encode(["aé", ""]) == [[ord("a") + 3, 0xC3 + 3, 0xA9 + 3, EOS], [EOS]]
    assert vocabulary_size(folder) is None


def test_folders_without_a_usable_tokenizer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no tokenizer: tokenizer.json, spiece.model"):
        load_token_ids(tmp_path)
    (tmp_path / "spiece.model").write_bytes(b"no model")
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_token_ids(tmp_path)
    folder = tokenizer_folder(tmp_path / "other")
    content = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps({**content, "post_processor": None}))
    with pytest.raises(ValueError, match="adds no end-of-sequence token"):
        load_token_ids(folder)
    content["model"]["vocab"] = [["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["▁", -4.0], ["a", -4.0]]
    (folder / "tokenizer.json").write_text(json.dumps({**content, "post_processor": None}))
    with pytest.raises(ValueError, match="adds no end-of-sequence token"):
        load_token_ids(folder)  # 'a' has two pieces here
    (folder / "tokenizer.json").write_text('{"model": ')
    with pytest.raises(ValueError, match="tokenizer.json is not valid JSON: Expecting value"):
        load_token_ids(folder)


def test_several_threads_may_tokenize(tmp_path: Path) -> None:
    tokenizer = Tokenizer(load_token_ids(tokenizer_folder(tmp_path)), 64)
    jobs = [[Pair(f"Represent the {word}{n} text: ", f"the {word} {n}") for n in range(40)] for word in "abcdefgh"]
    serial = [tokenizer(job) for job in jobs]
    fresh = Tokenizer(load_token_ids(tokenizer_folder(tmp_path)), 64)
    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(fresh, jobs))
    for one, other in zip(serial, parallel, strict=True):
        np.testing.assert_array_equal(one.tokens, other.tokens)
        np.testing.assert_array_equal(one.unpooled, other.unpooled)


def test_ids_get_the_tokens_that_begin_and_end_every_text() -> None:
    """As of a BERT: 1 begins a text and 2 ends it; the beginning comes once, before the instruction."""

    def token_ids(strings: Sequence[str]) -> list[list[int]]:
        return [[1, *(10 + ord(letter) for letter in text), 2] for text in strings]

    tokenizer = Tokenizer(token_ids, max_length=9)
    for given in ([20, 21], [1, 20, 21], [20, 21, 2], [1, 20, 21, 2]):
        texts = tokenizer.of_ids([("", given), ("ab", given)])
        assert texts.tokens.tolist() == [1, 20, 21, 2, 1, 107, 108, 20, 21, 2]
        assert texts.unpooled.tolist() == [0, 3]
