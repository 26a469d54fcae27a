import numpy as np
import pytest

from instructor_jax.text.tokenization import Pair, Tokenizer
from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.data.token_cache import TokenCache
from instructor_jax.train.data.token_cache_writer import label_hash, open_token_cache, text_hash


def examples(task: str, count: int) -> list[Example]:
    return [
        Example(
            Side(f"the {task} :", f" query {i % 3}"),
            Side("", f"positive {i} " + "word " * (70 * (i == 1))),
            tuple(Side("", f"negative {j}") for j in range(i % 4)),
            task,
            f"row {i}",
            score=0.25 * i if i < 3 else None,
            label=f"class {i % 2}" if task == "b" and i else None,
        )
        for i in range(count)
    ]


TASKS = {"a": examples("a", 6), "b": examples("b", 5), "c": examples("c", 2)}


def tokens_of(cache: TokenCache, text: int) -> list[int]:
    end = cache.array("text_ends")[text]
    return cache.array("tokens")[end - cache.rows.lengths[text] : end].tolist()


def check(cache: TokenCache, tokenizer: Tokenizer) -> None:
    """Every row, text for text, is what the tokenizer makes of it."""
    rows = [example for task in TASKS.values() for example in task]
    assert len(cache.rows) == len(rows)
    for number, example in enumerate(rows):
        sides = (example.query, example.positive, *example.negatives)
        texts = cache.rows.of(np.array([number]), np.array([0]), 3)[0]
        assert (texts >= 0).sum() == len(sides)
        for text, side in zip(texts, sides, strict=False):
            expected = tokenizer([Pair(*side)])
            assert tokens_of(cache, int(text)) == expected.tokens.tolist()
            assert cache.array("unpooled")[text] == expected.unpooled[0]
            assert tuple(cache.array("text_hash")[text]) == text_hash(side)
        score = cache.array("score")[number]
        assert np.isnan(score) if example.score is None else score == example.score
        assert cache.array("label")[number] == label_hash(example.label)


def test_rows_are_what_the_tokenizer_makes_of_them(make_cache, tokenizer):
    cache = make_cache(TASKS)
    check(cache, tokenizer)
    assert cache.tasks == {"a": range(6), "b": range(6, 11), "c": range(11, 13)}
    assert cache.has == {"score", "label"}
    assert cache.meta["truncated"] == 3  # one text of 70 words in each task
    assert len(cache.rows.lengths) == (3 + 6 + 3) + (3 + 5 + 3) + (2 + 2 + 1)  # each text of a task once


def test_is_made_once(make_source, tokenizer, tmp_path, monkeypatch):
    source = make_source(TASKS)
    first = open_token_cache(source, tokenizer, "words", tmp_path)
    monkeypatch.setattr(source, "read", lambda rows: pytest.fail("read again"))
    assert open_token_cache(source, tokenizer, "words", tmp_path).folder == first.folder
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", ".lock"]


def test_another_mixture_tokenizer_or_limit_is_another_cache(make_source, tokenizer, tmp_path):
    source, limited = make_source(TASKS), Tokenizer(tokenizer._token_ids, 5)
    caches = [
        open_token_cache(source, tokenizer, "words", tmp_path),
        open_token_cache(source, tokenizer, "letters", tmp_path),
        open_token_cache(source, limited, "words", tmp_path),
        open_token_cache(make_source({"a": TASKS["a"]}), tokenizer, "words", tmp_path),
    ]
    assert len({cache.folder for cache in caches}) == 4
    assert caches[2].rows.lengths.max() == 5


@pytest.mark.parametrize("failing_row", [3, 7, 12])
def test_goes_on_where_it_was_interrupted(make_source, tokenizer, tmp_path, failing_row):
    source = make_source(TASKS)
    whole, read = source.read, []

    def fail(rows):
        if failing_row in rows:
            raise KeyboardInterrupt
        return whole(rows)

    source.read = fail
    with pytest.raises(KeyboardInterrupt):
        open_token_cache(source, tokenizer, "words", tmp_path)
    assert not list(tmp_path.glob("*/cache.json"))
    (folder,) = tmp_path.glob("*.writing")
    (folder / "tokens.bin").open("ab").write(b"half a write")
    source.read = lambda rows: read.extend(rows) or whole(rows)
    check(open_token_cache(source, tokenizer, "words", tmp_path), tokenizer)
    assert min(read) == {3: 0, 7: 6, 12: 11}[failing_row]  # from the first row of the unfinished task
    assert not list(tmp_path.glob("*.writing"))


def test_a_partial_folder_that_lost_a_file_is_written_anew(make_source, tokenizer, tmp_path):
    source = make_source(TASKS)
    whole = source.read
    source.read = lambda rows: whole(rows) if 7 not in rows else None
    with pytest.raises(TypeError):
        open_token_cache(source, tokenizer, "words", tmp_path)
    (folder,) = tmp_path.glob("*.writing")
    (folder / "query.bin").unlink()
    source.read = whole
    check(open_token_cache(source, tokenizer, "words", tmp_path), tokenizer)


def test_small_vocabularies_take_half_the_space(make_source, tokenizer, tmp_path):
    wide = open_token_cache(make_source(TASKS), tokenizer, "words", tmp_path / "wide")
    narrow = open_token_cache(make_source(TASKS), tokenizer, "words", tmp_path / "narrow", vocab=2**16)
    check(narrow, tokenizer)
    assert 2 * narrow.meta["bytes"]["tokens"] == wide.meta["bytes"]["tokens"]
    large = Tokenizer(lambda strings: [[70_000, 1] for _ in strings], 48)
    with pytest.raises(ValueError, match="token id 70000 is beyond the vocabulary of at most 65536"):
        open_token_cache(make_source(TASKS), large, "words", tmp_path / "wrong", vocab=2**16)


def test_hashes_tell_instruction_and_text_apart():
    sides = [Side("a", "b"), Side("", "ab"), Side("ab", ""), Side("b", "a"), Side("a", "\ud800")]
    assert len({text_hash(side) for side in sides}) == 5
    assert label_hash(None) == 0
    assert label_hash("x") != label_hash("y") != 0
