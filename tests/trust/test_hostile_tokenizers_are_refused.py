"""tokenizer.json and spiece.model from strangers: no panic, no unbounded memory or time, one ValueError."""

import base64
import json
import random
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instructor_jax.io.tokenizers.charsmap import charsmap_growth
from instructor_jax.io.tokenizers.folders import load_token_ids, vocabulary_size
from instructor_jax.io.tokenizers.parts import GROWTH

from ..small_models import tokenizer_folder

Change = Callable[[dict[str, Any]], Any]


def charsmap(table: dict[bytes, int], replacements: bytes) -> str:
    """A compiled table of one-byte keys: byte c lies at place 256 ^ c, its replacement at place 512 + 2 c."""
    units = np.zeros(1280, "<u4")
    units[0] = 256 << 10
    for key, start in table.items():
        place, leaf = 256 ^ key[0], 512 + 2 * key[0]
        units[place] = (place ^ leaf) << 10 | 1 << 8 | key[0]
        units[leaf] = start | 1 << 31
    blob = units.tobytes()
    return base64.b64encode(struct.pack("<I", len(blob)) + blob + replacements).decode()


def precompiled(encoded: Any) -> Change:
    return lambda content: content.update(normalizer={"type": "Precompiled", "precompiled_charsmap": encoded})


def normalizer(*parts: dict[str, Any]) -> Change:
    return lambda content: content.update(normalizer={"type": "Sequence", "normalizers": list(parts)})


def pre_tokenizer(part: Any) -> Change:
    return lambda content: content.update(pre_tokenizer=part)


def post_processor(**changes: Any) -> Change:
    return lambda content: content["post_processor"].update(changes)


def model(**changes: Any) -> Change:
    return lambda content: content["model"].update(changes)


def added(**changes: Any) -> Change:
    return lambda content: content["added_tokens"][2].update(changes)


def whole(**changes: Any) -> Change:
    return lambda content: content.update(changes)


def replace(pattern: Any, content: Any = "b") -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


DOUBLE = replace({"String": "a"}, "aa")
BPE = {"type": "BPE", "vocab": {"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3, "aa": 4}, "unk_token": "<unk>"}
PIECE = {"type": "WordPiece", "vocab": {"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3}, "unk_token": "<unk>"}
PIECE |= {"continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
HUGE = base64.b64encode(struct.pack("<I", 0xFFFFFFFC) + bytes(64)).decode()

MULTIPLIED: dict[str, Change] = {
    "a letter to 10^12": normalizer(*[DOUBLE] * 40),
    "a letter to 256": normalizer(*[DOUBLE] * 8),
    "in nested sequences": normalizer(*[{"type": "Sequence", "normalizers": [DOUBLE] * 3}] * 4),
    "one long replacement": normalizer(replace({"String": "a"}, "a" * 1000)),
    "chains of Prepend": normalizer(*[{"type": "Prepend", "prepend": "aa"}] * 8),
    "Unicode twice": normalizer({"type": "NFKC"}, {"type": "NFKD"}),
    "bytes of bytes": normalizer(*[{"type": "ByteLevel"}] * 6),
    "a table": precompiled(charsmap({b"a": 0}, b"a" * 500 + b"\0")),
    "marks of marks": pre_tokenizer(
        {"type": "Sequence", "pretokenizers": [{"type": "Metaspace", "replacement": "▁"}] * 8}
    ),
    "both together": lambda content: (
        normalizer(*[DOUBLE] * 4)(content),
        pre_tokenizer({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}] * 2})(content),
    ),
}  # fmt: skip
PATTERNS: dict[str, Change] = {
    pattern: normalizer(replace({"Regex": pattern}))
    for pattern in (
        "(a+)+$", "(a|a)*b", "a*", "x?", ".*", "(?=a)", r"(\w+\s?)+\Z", "a{1,100000}",
        "[a-z]+[a-z]+$", r"\1", "a|b", "^a",
        "(", " +\\z", "a" * 300,
    )
} | {
    f"Split by {pattern}": pre_tokenizer({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"})
    for pattern in ("(a+)+$", "a*", "")
}  # fmt: skip
DAMAGED: dict[str, Change] = {
    "no version": whole(version=None),
    "another version": whole(version="2.0"),
    "no model": whole(model=None),
    "a list as model": whole(model=[]),
    "an unknown key": whole(something=1),
    "an unknown model": model(type="WordLevel"),
    "a model of number 3": model(type=3),
    "an unknown key of the model": model(something=1),
    "no vocabulary": model(vocab=None),
    "an empty vocabulary": model(vocab=[]),
    "a vocabulary of strings": model(vocab=["a", "b"]),
    "of triples": model(vocab=[["a", 0.0, 1]]),
    "a score as text": model(vocab=[["</s>", "0"]]),
    "a score of true": model(vocab=[["</s>", True]]),
    "a huge score": model(vocab=[["</s>", 1e300]]),
    "a piece of number 3": model(vocab=[[3, 0.0]]),
    "a piece twice": lambda content: content["model"]["vocab"].append(["▁the", -1.0]),
    "an empty piece": lambda content: content["model"]["vocab"].append(["", -1.0]),
    "a piece of 10^5 letters": lambda content: content["model"]["vocab"].append(["a" * 10**5, -1.0]),
    "no unknown piece": model(unk_id=None),
    "an unknown piece beyond the end": model(unk_id=10**9),
    "a negative unknown piece": model(unk_id=-1),
    "an unknown piece of 2^70": model(unk_id=2**70),
    "fallback to bytes, as text": model(byte_fallback="yes"),
    "BPE with ids twice": whole(model={**BPE, "vocab": {"</s>": 1, "a": 1}}),
    "BPE with a negative id": whole(model={**BPE, "vocab": {"</s>": -1}}),
    "BPE with an id of 10^9": whole(model={**BPE, "vocab": {"</s>": 10**9}}),
    "BPE with an id of 1.5": whole(model={**BPE, "vocab": {"</s>": 1.5}}),
    "BPE with merges out of the vocabulary": whole(model={**BPE, "merges": ["a b"]}),
    "BPE with a merge without a result": whole(model={**BPE, "merges": ["aa aa"]}),
    "BPE with a merge of three": whole(model={**BPE, "merges": ["a a a"]}),
    "BPE with merges of numbers": whole(model={**BPE, "merges": [1]}),
    "BPE with merges as text": whole(model={**BPE, "merges": "a a"}),
    "BPE with a prefix longer than pieces": whole(
        model={**BPE, "merges": ["a a"], "continuing_subword_prefix": "ab" * 40}
    ),
    "BPE with dropout": whole(model={**BPE, "dropout": 0.1}),
    "BPE without its unknown token": whole(model={**BPE, "unk_token": "?"}),
    "WordPiece without its unknown token": whole(model={**PIECE, "unk_token": "?"}),
    "WordPiece of endless words": whole(model={**PIECE, "max_input_chars_per_word": 10**9}),
    "added tokens as an object": whole(added_tokens={}),
    "an added token of number 3": added(content=3),
    "an empty added token": added(content=""),
    "an added token of 10^6 letters": added(content="x" * 10**6),
    "an added token with another id": added(id=7),
    "an added token beyond the end": added(content="<new>", id=10**9),
    "an added token with a negative id": added(id=-1),
    "an added token twice": lambda content: content["added_tokens"].append(content["added_tokens"][0]),
    "a flag of number 1": added(lstrip=1),
    "an unknown flag": added(something=True),
    "a flag that is missing": lambda content: content["added_tokens"][2].pop("lstrip"),
    "10^5 added tokens": whole(added_tokens=[{"id": n, "content": f"<{n}>"} for n in range(10**5)]),
    "an unknown normalizer": normalizer({"type": "Custom"}),
    "a normalizer as text": whole(normalizer="NFKC"),
    "a normalizer without a type": whole(normalizer={}),
    "normalizers as text": whole(normalizer={"type": "Sequence", "normalizers": "NFKC"}),
    "40 normalizers": normalizer(*[{"type": "Nmt"}] * 40),
    "a normalizer's unknown key": normalizer({"type": "NFKC", "something": 1}),
    "a pattern without a kind": normalizer(replace("a")),
    "a pattern of an unknown kind": normalizer(replace({"Glob": "a*"})),
    "an empty pattern": normalizer(replace({"String": ""})),
    "a pattern of two kinds": normalizer(replace({"String": "a", "Regex": "b"})),
    "content of number 3": normalizer(replace({"String": "a"}, 3)),
    "an unknown pre_tokenizer": pre_tokenizer({"type": "PreTokenizer"}),
    "a mark of two characters": pre_tokenizer({"type": "Metaspace", "replacement": "ab"}),
    "a mark without a character": pre_tokenizer({"type": "Metaspace", "replacement": ""}),
    "an unknown scheme": pre_tokenizer({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "twice"}),
    "an unknown behaviour": pre_tokenizer({"type": "Punctuation", "behavior": "x" * 50}),
    "an unknown decoder": whole(decoder={"type": "Custom"}),
    "a decoder's pattern": whole(decoder=replace({"Regex": "(a+)+$"})),
    "an unknown post_processor": whole(post_processor={"type": "Custom"}),
    "an unknown special token": post_processor(special_tokens={}),
    "another special token": post_processor(single=[{"SpecialToken": {"id": "<x>", "type_id": 0}}]),
    "no text": post_processor(single=[]),
    "the text twice": post_processor(single=[{"Sequence": {"id": "A", "type_id": 0}}] * 2),
    "the second text": post_processor(single=[{"Sequence": {"id": "B", "type_id": 0}}]),
    "a third text": post_processor(single=[{"Sequence": {"id": "C", "type_id": 0}}]),
    "a thousand ends": post_processor(
        special_tokens={"</s>": {"id": "</s>", "ids": [1] * 1000, "tokens": ["</s>"] * 1000}}
    ),
    "ids and tokens of different length": post_processor(
        special_tokens={"</s>": {"id": "</s>", "ids": [1, 1], "tokens": ["</s>"]}}
    ),
    "an end with another id": post_processor(special_tokens={"</s>": {"id": "</s>", "ids": [3], "tokens": ["</s>"]}}),
    "an end of 2^40": post_processor(special_tokens={"</s>": {"id": "</s>", "ids": [2**40], "tokens": ["</s>"]}}),
    "an end of another name": post_processor(special_tokens={"</s>": {"id": "x", "ids": [1], "tokens": ["</s>"]}}),
    "a negative type": post_processor(
        single=[{"Sequence": {"id": "A", "type_id": -1}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}]
    ),
    "a pair that names an unknown token": post_processor(pair=[{"SpecialToken": {"id": "<x>", "type_id": 0}}]),
    "Roberta's end with another id": whole(
        post_processor={"type": "RobertaProcessing", "sep": ["</s>", 9], "cls": ["<pad>", 0]}
    ),
    "truncation as text": whole(truncation="x"),
    "truncation on the left": whole(
        truncation={"max_length": 5, "stride": 0, "strategy": "LongestFirst", "direction": "Left"}
    ),
    "truncation half said": whole(truncation={"max_length": 5}),
    "padding as a list": whole(padding=[]),
}  # fmt: skip
TABLES: dict[str, Any] = {
    "no base64": "!!!",
    "a number": 3,
    "empty": "",
    "too short": base64.b64encode(b"ab").decode(),
    "a length of 4 GB": HUGE,
    "no array": base64.b64encode(struct.pack("<I", 0) + b"a\0").decode(),
    "half a unit": base64.b64encode(struct.pack("<I", 6) + bytes(6)).decode(),
    "points outside": base64.b64encode(struct.pack("<II", 4, 256 << 10)).decode(),
    "a replacement beyond the end": charsmap({b"a": 10**6}, b"b\0"),
    "a replacement within a character": charsmap({b"a": 1}, "é\0".encode()),
    "replacements that are not UTF-8": charsmap({b"a": 0}, b"\xff\0"),
    "random bytes": base64.b64encode(random.Random(0).randbytes(4096)).decode(),
    "text": base64.b64encode(b"precompiled" * 50).decode(),
}  # fmt: skip


@pytest.fixture
def refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[[Change], str]:
    """Loads a changed tokenizer; gives the message of the one error, with nothing written on the terminal."""

    def refuse(change: Change) -> str:
        folder = tokenizer_folder(tmp_path)
        path = folder / "tokenizer.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        start = time.process_time()
        with pytest.raises(ValueError, match=r"tokenizer\.json") as error:
            load_token_ids(folder)
        assert time.process_time() - start < 5
        assert capfd.readouterr() == ("", "")  # a panic would write there
        message = str(error.value)
        assert "\n" not in message
        assert message.isprintable()
        assert len(message) < 1000
        return message

    return refuse


@pytest.mark.parametrize("kind", MULTIPLIED)
def test_rules_that_multiply_a_text(refused: Callable[[Change], str], kind: str) -> None:
    assert str(GROWTH) in (message := refused(MULTIPLIED[kind])) or "parts" in message


@pytest.mark.parametrize("kind", PATTERNS)
def test_patterns_of_unbounded_time(refused: Callable[[Change], str], kind: str) -> None:
    message = refused(PATTERNS[kind])
    assert "other patterns can take unbounded time" in message or "1 to 256 characters" in message


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_and_unknown_parts(refused: Callable[[Change], str], kind: str) -> None:
    refused(DAMAGED[kind])


@pytest.mark.parametrize("kind", TABLES)
def test_damaged_tables_of_characters(refused: Callable[[Change], str], kind: str) -> None:
    assert "precompiled_charsmap" in refused(precompiled(TABLES[kind]))


@pytest.mark.parametrize("seed", range(20))
def test_tables_with_changed_bytes_never_panic(tmp_path: Path, seed: int, capfd: pytest.CaptureFixture[str]) -> None:
    """What passes the check is walked by the library for every character without a panic."""
    content = bytearray(base64.b64decode(charsmap({b"a": 0, b"b": 2, b"c": 5}, "x\0éé\0\0".encode())))
    chosen = random.Random(seed)
    for _ in range(chosen.choice((1, 2, 8))):
        content[chosen.randrange(len(content))] = chosen.randrange(256)
    folder = tokenizer_folder(tmp_path)
    described = json.loads((folder / "tokenizer.json").read_text())
    precompiled(base64.b64encode(content).decode())(described)
    (folder / "tokenizer.json").write_text(json.dumps(described))
    try:
        encode = load_token_ids(folder)
    except ValueError as error:
        assert "precompiled_charsmap" in str(error)  # noqa: PT017
    else:
        encode(["".join(map(chr, range(1, 0x300))), "abc日本語😀"])
    assert capfd.readouterr() == ("", "")


def test_the_growth_of_a_table() -> None:
    assert charsmap_growth(charsmap({}, b"")) == 1
    assert charsmap_growth(charsmap({b"a": 0}, b"\0")) == 1
    assert charsmap_growth(charsmap({b"a": 0, b"b": 2}, "b\0ééé\0".encode())) == 3
    assert charsmap_growth(charsmap({b"a": 4}, "b\0ééé\0".encode())) == 2  # from within another one
    assert charsmap_growth(charsmap({b"a": 0}, b"xyz")) == 3  # without a zero at the end


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not valid JSON"),
        (b"[]", "must hold a JSON object"),
        (b"[" * 100_000, "nests deeper"),
        (b'{"model":' * 70 + b"1" + b"}" * 70, "nests deeper"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"version": NaN}', "NaN"),
        (b'{"model": {"vocab": [["a", 1e999]]}}', "larger than a float"),
        (b'{"version": "1.0", "version": "1.0"}', "twice"),
        (b'{"model": "\\ud800"}', "no character"),
        (b'{"model": [' + b"[]," * (1 << 21) + b"[]]}", "lists and objects"),
    ],
)
def test_files_that_are_no_json(tmp_path: Path, text: bytes, message: str) -> None:
    folder = tokenizer_folder(tmp_path)
    (folder / "tokenizer.json").write_bytes(text)
    for read in (load_token_ids, vocabulary_size):
        with pytest.raises(ValueError, match=message):
            read(folder)


def test_a_byte_order_mark_is_no_damage(tmp_path: Path) -> None:
    folder = tokenizer_folder(tmp_path)
    path, before = folder / "tokenizer.json", load_token_ids(folder)(["the river"])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_token_ids(folder)(["the river"]) == before
    assert vocabulary_size(folder) == 565


@pytest.mark.parametrize(
    ("change", "size"),
    [
        (whole(), 565),
        (whole(added_tokens=[]), 565),
        (lambda file: file["added_tokens"].append({**file["added_tokens"][0], "id": 565, "content": "<n>"}), 566),
        (whole(model={**BPE, "merges": [], "vocab": {**BPE["vocab"], "b": 900}}), 901),  # ids may have gaps
        (whole(model=PIECE), 4),
    ],
)  # fmt: skip
def test_the_size_of_a_vocabulary(tmp_path: Path, change: Change, size: int) -> None:
    folder = tokenizer_folder(tmp_path)
    content = json.loads((folder / "tokenizer.json").read_text())
    change(content)
    (folder / "tokenizer.json").write_text(json.dumps(content))
    assert vocabulary_size(folder) == size
    assert max(map(max, load_token_ids(folder)(["a aa the river b", "<n>"]))) < size


# --- spiece.model ---------------------------------------------------------------------------------------------------


def field(number: int, content: bytes) -> bytes:
    length, size = b"", len(content)
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def piece(text: bytes, score: float = -1.0, kind: int = 1) -> bytes:
    return field(1, field(1, text) + b"\x15" + struct.pack("<f", score) + bytes([0x18, kind]))


HEAD = piece(b"<pad>", 0, 3) + piece(b"</s>", 0, 3) + piece(b"<unk>", 0, 2)
TRAINER = field(2, b"\x18\x01\xc0\x02\x02")  # Unigram, unknown piece 2
GOOD = HEAD + piece("▁".encode()) + piece("▁a".encode()) + TRAINER
SENTENCEPIECE: dict[str, bytes] = {
    "empty": b"",
    "text": b"no model",
    "zeros": bytes(1000),
    "random": random.Random(0).randbytes(5000),
    "cut": GOOD[:-3],
    "a length beyond the end": b"\x0a\xff\xff\xff\xff\x0f",
    "an endless number": b"\x0a" + b"\xff" * 20,
    "a group": b"\x0b",
    "a number as a piece": b"\x08\x01",
    "a piece that is not UTF-8": HEAD + piece(b"\xff\xfe") + TRAINER,
    "a score of two bytes": HEAD + field(1, field(1, b"a") + b"\x15ab") + TRAINER,
    "a score that is no number": HEAD + piece(b"a", float("nan")) + TRAINER,
    "an endless score": HEAD + piece(b"a", float("inf")) + TRAINER,
    "a piece twice": HEAD + piece(b"a") + piece(b"a") + TRAINER,
    "an empty piece": HEAD + piece(b"") + TRAINER,
    "a piece of 10^6 letters": HEAD + piece(b"a" * 10**6) + TRAINER,
    "no end": piece(b"<unk>", 0, 2) + piece(b"a") + field(2, b"\xc0\x02\x00"),
    "an unknown piece beyond the end": HEAD + field(2, b"\xc0\x02\x7f"),
    "BPE": HEAD + field(2, b"\x18\x02\xc0\x02\x02"),
    "no mark before a word": GOOD + field(3, b"\x18\x00"),
    "blanks kept": GOOD + field(3, b"\x20\x00"),
    "a damaged table": GOOD + field(3, field(2, b"\xff\xff\xff\xff")),
    "a huge table": GOOD + field(3, field(2, bytes(5 << 20))),
}  # fmt: skip


@pytest.mark.parametrize("kind", SENTENCEPIECE)
def test_damaged_sentencepiece_models(tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "spiece.model").write_bytes(SENTENCEPIECE[kind])
    with pytest.raises(ValueError, match=r"spiece\.model") as error:
        load_token_ids(tmp_path)
    assert str(error.value).isprintable()
    assert capfd.readouterr() == ("", "")


def test_a_small_sentencepiece_model(tmp_path: Path) -> None:
    (tmp_path / "spiece.model").write_bytes(GOOD)
    assert load_token_ids(tmp_path)(["a", "", "a b", "</s>"]) == [[4, 1], [1], [4, 3, 2, 1], [1, 1]]
    assert vocabulary_size(tmp_path) is None
