"""A mixture in memory, with a tokenizer of one token a word, so that lengths can be counted by eye."""

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from instructor_jax.text.tokenization import Tokenizer
from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.data.token_cache import TokenCache
from instructor_jax.train.data.token_cache_writer import open_token_cache


class MemorySource:
    """Rows of tasks in a list."""

    def __init__(self, tasks: Mapping[str, Sequence[Example]]) -> None:
        self.examples = [example for rows in tasks.values() for example in rows]
        self.tasks = tuple(tasks)
        self._counts = [len(rows) for rows in tasks.values()]
        self.fingerprint = hashlib.sha256(repr(self.examples).encode()).hexdigest()[:16]

    def rows(self, task: str) -> range:
        index = self.tasks.index(task)
        start = sum(self._counts[:index])
        return range(start, start + self._counts[index])

    def read(self, rows: Sequence[int]) -> list[Example]:
        return [self.examples[row] for row in rows]


def word_ids(strings: Sequence[str]) -> list[list[int]]:
    """A token for each word, 2 and up, and end of sequence (1)."""
    return [[2 + int(hashlib.sha1(word.encode()).hexdigest()[:4], 16) for word in s.split()] + [1] for s in strings]


def make_random_examples(
    task: str, count: int, words: tuple[int, int], seed: int = 0, negatives: int = 1
) -> list[Example]:
    """Rows whose texts have a random number of words in the given range; every text names its row."""
    chance = random.Random(f"{task} {seed}")

    def side(what: str, row: int) -> Side:
        size = chance.randint(*words)
        return Side(f"Represent the {task} :", " " + " ".join([what, str(row), *["word"] * (size - 2)]))

    return [
        Example(
            side("query", row),
            side("positive", row),
            tuple(side(f"negative{i}", row) for i in range(negatives)),
            task,
            f"row {row}",
        )
        for row in range(count)
    ]


@pytest.fixture
def tokenizer() -> Tokenizer:
    """One token a word, at most 48 tokens a text."""
    return Tokenizer(word_ids, 48)


@pytest.fixture
def make_cache(tmp_path: Path, tokenizer: Tokenizer) -> Callable[[Mapping[str, Sequence[Example]]], TokenCache]:
    """Tokenise tasks in memory into a cache."""

    def make(tasks: Mapping[str, Sequence[Example]]) -> TokenCache:
        return open_token_cache(MemorySource(tasks), tokenizer, "words", tmp_path / "tokens")

    return make


@pytest.fixture
def make_source() -> Callable[[Mapping[str, Sequence[Example]]], MemorySource]:
    """A source of tasks in memory."""
    return MemorySource


@pytest.fixture
def random_examples() -> Callable[..., list[Example]]:
    """Rows of a task: `random_examples(task, count, (fewest, most) words, seed=0, negatives=1)`."""
    return make_random_examples


@pytest.fixture(scope="session")
def make_memory_source() -> Callable[[Mapping[str, Sequence[Example]]], MemorySource]:
    """The same for fixtures that several tests share."""
    return MemorySource
