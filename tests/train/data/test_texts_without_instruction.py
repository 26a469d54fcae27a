import numpy as np
import pytest

from instructor_jax.train.data import texts_without_instruction as module
from instructor_jax.train.data.contamination import text_hash
from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.data.texts_without_instruction import (
    rows_with_any,
    text_hashes,
    texts_of,
    texts_without_instruction,
)
from instructor_jax.train.data.token_cache_writer import open_token_cache

LONG = "A text, long enough to be compared."


def example(task: str, row: int, query: str, positive: str, *negatives: str) -> Example:
    return Example(
        Side(f"{task} query:", f" {query} "),
        Side("", positive),
        tuple(Side("", one) for one in negatives),
        task,
        str(row),
    )


TASKS = {
    "a": [example("a", 0, "one", "two", "three"), example("a", 1, "four", "one"), example("a", 2, LONG, "two", "one")],
    "b": [example("b", 0, "two", "five", "six", "one"), example("b", 1, "seven", "a text long enough to be compared")],
}


@pytest.fixture
def source(make_source):
    return make_source(TASKS)


@pytest.fixture
def cache(source, tokenizer, tmp_path):
    return open_token_cache(source, tokenizer, "words", tmp_path / "tokens")


def sides_by_number(cache) -> dict[int, set[str]]:
    """Bare texts of every number, from rows and the cache's tables alone."""
    found: dict[int, set[str]] = {}
    for row, one in enumerate([example for rows in TASKS.values() for example in rows]):
        numbers = cache.rows.of(np.array([row]), np.array([0]), 2)[0]
        for number, side in zip(numbers, (one.query, one.positive, *one.negatives), strict=False):
            found.setdefault(int(number), set()).add(side.text.strip())
    return found


def test_numbers_of_one_text_have_one_hash(source, cache) -> None:
    hashes = text_hashes(source, cache)
    by_number = sides_by_number(cache)
    assert set(by_number) == set(range(len(hashes)))
    for number, texts in by_number.items():
        (text,) = texts
        assert hashes[number, 0] == text_hash(text)
        assert (hashes[number, 1] != 0) == (len(text) > 20)
    assert len(set(hashes[:, 0].tolist())) < len(hashes)  # "one" and "two" have several numbers
    assert len(set(hashes[:, 1].tolist())) == 2  # the two long ones differ in case and punctuation only


def test_the_pass_over_the_rows_is_made_once(source, cache, monkeypatch) -> None:
    first = np.array(text_hashes(source, cache))
    monkeypatch.setattr(source, "read", lambda rows: pytest.fail("read again"))
    np.testing.assert_array_equal(text_hashes(source, cache), first)


def test_wanted_texts_come_once_and_other_rows_are_not_read(source, cache, monkeypatch) -> None:
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 2)
    wanted = np.zeros(len(text_hashes(source, cache)), bool)
    names = {next(iter(texts)): number for number, texts in sides_by_number(cache).items()}
    for name in ("four", "six", "seven"):
        wanted[names[name]] = True
    read: list[int] = []
    original = source.read
    monkeypatch.setattr(source, "read", lambda rows: read.extend(rows) or original(rows))
    assert list(texts_without_instruction(source, cache, wanted)) == [
        (names[name], name) for name in ("four", "six", "seven")
    ]
    assert read == [1, 3, 4]


def test_rows_and_their_texts(cache) -> None:
    by_number = sides_by_number(cache)
    for rows in ([0], [1, 4], [0, 1, 2, 3, 4]):
        for negatives in (True, False):
            found = texts_of(cache, np.array(rows), negatives)
            expected = {
                int(number)
                for row in rows
                for number in cache.rows.of(np.array([row]), np.array([0]), 2 if negatives else 0)[0]
                if number >= 0
            }
            assert set(np.flatnonzero(found).tolist()) == expected
    for number in by_number:
        mask = np.zeros(len(by_number), bool)
        mask[number] = True
        expected = [number in cache.rows.of(np.array([row]), np.array([0]), 2)[0] for row in range(5)]
        assert rows_with_any(cache, mask).tolist() == expected
