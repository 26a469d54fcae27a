import random

import pytest

from instructor_jax.io.tokenizers.folders import load_token_ids, vocabulary_size
from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.data.vocabulary import train_vocabulary

# what tells two readers of a SentencePiece model apart: runs of spaces, tabs, ligatures, other scripts, control marks
HARD = [
    "",
    "plain words",
    "Some With CAPITALS, STRASSE and straße",
    "  two  leading   and  trailing  ",
    "tab\tand\nnewline",
    "ﬁligature Ⅷ ㎏ ½",
    "naïve café, 東京, Ελλάδα, עברית",
    "soft\u00adhyphen zero\u200bwidth \ufeffbom",
    "1234567890 !@#$%^&*()",
    "</s> <pad> <unk> in a text",
    "a" * 300,
]


@pytest.fixture(scope="module", params=[False, True], ids=["cased", "lowercase"])
def folder(tmp_path_factory, make_memory_source, request):
    chance = random.Random(0)
    words = ["".join(chance.choices("abcdefgh éñ", k=chance.randint(2, 7))) for _ in range(400)]

    def side() -> Side:
        return Side("Represent the words: ", " ".join(chance.choices(words, k=12)))

    rows = [Example(side(), side(), (), "words", str(number)) for number in range(200)]
    path = tmp_path_factory.mktemp("vocabulary") / "tokenizer"
    train_vocabulary(make_memory_source({"words": rows}), path, 150, lowercase=request.param)
    return path


def test_the_fast_tokenizer_gives_sentencepiece_s_own_ids(folder) -> None:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    assert processor.vocab_size() == 150
    chance = random.Random(1)
    texts = [text for text in HARD if "<" not in text]
    texts += ["".join(chance.choices("abcdefgh éñ  .,", k=40)) for _ in range(200)]
    for text, ids in zip(texts, load_token_ids(folder)(texts), strict=True):
        assert list(ids) == [*processor.encode(text), 1], repr(text)


@pytest.mark.torch
def test_transformers_reads_the_same_ids(folder) -> None:
    pytest.importorskip("torch")
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(str(folder))
    for text, ids in zip(HARD, load_token_ids(folder)(HARD), strict=True):
        assert list(ids) == theirs(text)["input_ids"], repr(text)


def test_a_lower_case_vocabulary_reads_capitals_as_small_letters(folder, request) -> None:
    one, other = load_token_ids(folder)(["Abc DEF gh", "abc def gh"])
    assert (list(one) == list(other)) == ("lowercase" in request.node.name)


def test_a_folder_that_is_there_stays(folder, make_memory_source) -> None:
    before = (folder / "spiece.model").read_bytes()
    train_vocabulary(make_memory_source({}), folder, 20)
    assert (folder / "spiece.model").read_bytes() == before


def test_few_texts_give_fewer_pieces(tmp_path, make_memory_source) -> None:
    rows = [Example(Side("", "a b"), Side("", "b a"), (), "t", "1")]
    train_vocabulary(make_memory_source({"t": rows}), tmp_path / "tokenizer", 5000)
    assert vocabulary_size(tmp_path / "tokenizer") == 3 + 5  # special ones, the space, two letters alone and after it


def test_too_small_a_vocabulary_is_refused_and_leaves_nothing(tmp_path, make_memory_source) -> None:
    rows = [Example(Side("", "abcdefghijklmnopqrstuvwxyz"), Side("", "b a"), (), "t", "1")]
    with pytest.raises(ValueError, match=r"no vocabulary of 8 pieces can be learned .*; choose another"):
        train_vocabulary(make_memory_source({"t": rows}), tmp_path / "tokenizer", 8)
    assert list(tmp_path.iterdir()) == []
