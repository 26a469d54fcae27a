"""What is encoded: a mix of real texts, texts of exact lengths, single queries, and the tokenizer that counts them.

A workload is one JSON file that holds everything but the weights, so that another machine measures the same work
without the data it was drawn from.
"""

import dataclasses
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from corpus import read_pool, sample_texts
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from instructor_jax.backbones.registry import default_backbone
from instructor_jax.text.new_tokenizer import write_tokenizer

_VOCABULARY = 32000  # as the published T5 tokenizer; fits the 32,128 rows of its embedding
_TRAINING_CHARACTERS = 4_000_000
_QUERY_TOKENS = (8, 40)  # instruction included


class HasTokenizer(Protocol):
    """A workload that brings a tokenizer."""

    def write_tokenizer(self, folder: Path) -> None:
        """Writes the tokenizer's files as both libraries read them."""
        ...


@dataclasses.dataclass(frozen=True)
class Workload:
    """Texts to encode, all under one instruction.

    Attributes:
        instruction: in front of every text; ends with a space.
        texts: the mix of lengths.
        by_length: tokens -> texts that have so many with instruction and end-of-sequence.
        queries: short texts, encoded one at a time.
        tokenizer: the content of a `tokenizer.json`.
    """

    instruction: str
    texts: list[str]
    by_length: dict[int, list[str]]
    queries: list[str]
    tokenizer: str

    def save(self, path: Path) -> None:
        """Writes one JSON file."""
        path.write_text(json.dumps(dataclasses.asdict(self)) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Workload":
        """Reads what `save` wrote.

        Raises:
            ValueError: the file is no workload.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            by_length = {int(length): texts for length, texts in fields.pop("by_length").items()}
            return cls(**fields, by_length=by_length)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path} is no workload file (made by --save-workload): {error!r}.") from error

    def describe(self) -> dict[str, Any]:
        """Numbers of texts and tokens, and quantiles of the tokens a text, before any truncation, as JSON values."""
        tokenizer = Tokenizer.from_str(self.tokenizer)
        counts = [len(row.ids) for row in tokenizer.encode_batch([self.instruction + text for text in self.texts])]
        quantiles = {"5 %": 5, "25 %": 25, "half": 50, "75 %": 75, "95 %": 95}
        return {
            "instruction": self.instruction,
            "instruction_tokens": len(tokenizer.encode(self.instruction.strip()).ids) - 1,
            "vocabulary": tokenizer.get_vocab_size(),
            "texts": len(self.texts),
            "tokens": sum(counts),
            "mean_tokens": sum(counts) / len(counts),
            "token_quantiles": {name: int(np.percentile(counts, share)) for name, share in quantiles.items()},
            "exact_lengths": {length: len(texts) for length, texts in self.by_length.items()},
            "queries": len(self.queries),
        }

    def write_tokenizer(self, folder: Path) -> None:
        """Writes the tokenizer's files as both libraries read them."""
        write_tokenizer(self.tokenizer, default_backbone().tokenizer, folder)


def make_workload(
    paths: Sequence[Path],
    *,
    instruction: str,
    count: int,
    queries: int,
    lengths: Sequence[int],
    tokens_per_length: int,
    seed: int,
    tokenizer: Path | None,
) -> Workload:
    """Draws a workload from files of text.

    Args:
        paths: files and folders, see `read_pool`.
        instruction: in front of every text.
        count: texts in the mix.
        queries: single queries.
        lengths: exact lengths in tokens.
        tokens_per_length: about how many tokens the texts of one exact length have together.
        seed: of every draw.
        tokenizer: a folder with a tokenizer.json; None trains one on the texts.

    Raises:
        ValueError: too few texts, or a length that the instruction fills.
    """
    pool = read_pool(paths, seed)
    everything = [text for texts in pool.values() for text in texts]
    random.Random(seed).shuffle(everything)
    counter = train_tokenizer(everything, instruction) if tokenizer is None else _load(tokenizer)
    counter.no_truncation()
    counter.no_padding()
    return Workload(
        instruction=instruction,
        texts=sample_texts(pool, count, seed),
        by_length={n: texts_of_length(everything, n, tokens_per_length // n, instruction, counter) for n in lengths},
        queries=_queries(everything, queries, instruction, counter),
        tokenizer=counter.to_str(),
    )


def train_tokenizer(texts: Sequence[str], instruction: str) -> Tokenizer:
    """A Unigram vocabulary of T5's kind, so that tokens per word are realistic.

    It has no normaliser: transformers' T5 tokenizer would drop it when it is loaded.
    """
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=_VOCABULARY, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    sizes = np.cumsum([len(text) for text in texts])
    enough = texts[: int(np.searchsorted(sizes, _TRAINING_CHARACTERS)) + 1]
    tokenizer.train_from_iterator([*enough, *[instruction] * 1000], trainer)  # a known instruction has few pieces
    default_backbone().tokenizer.finish(tokenizer)
    return tokenizer


def texts_of_length(texts: Sequence[str], tokens: int, count: int, instruction: str, tokenizer: Tokenizer) -> list[str]:
    """Texts that have exactly so many tokens together with the instruction and end-of-sequence.

    They are made of the words of the given texts in their order, without those that would overshoot.

    Raises:
        ValueError: the instruction leaves no room, or the texts do not suffice.
    """
    room = tokens - len(tokenizer.encode(instruction.strip()).ids)
    if room < 1 or count < 1:
        raise ValueError(f"length {tokens}: no room beside the instruction {instruction!r}, or no texts asked for.")
    made: list[str] = []
    words: list[str] = []
    used = 0
    for word, size in _words(texts, tokenizer):
        if used + size > room:
            continue
        words.append(word)
        used += size
        if used == room:
            text = " ".join(words)
            words, used = [], 0
            if len(tokenizer.encode(instruction + text).ids) == tokens:
                made.append(text)
            if len(made) == count:
                return made
    raise ValueError(f"the texts give only {len(made)} of {count} texts of {tokens} tokens; give more files.")


def _words(texts: Sequence[str], tokenizer: Tokenizer) -> Iterator[tuple[str, int]]:
    """Every word with its number of tokens; words are tokenised independently of each other."""
    for text in texts:
        words = text.split()
        encodings = tokenizer.encode_batch(words, add_special_tokens=False)
        yield from zip(words, (len(encoding.ids) for encoding in encodings), strict=True)


def _queries(texts: Sequence[str], count: int, instruction: str, tokenizer: Tokenizer) -> list[str]:
    least, most = _QUERY_TOKENS
    chosen: list[str] = []
    for text in texts:
        if len(chosen) == count:
            break
        if len(text) <= 8 * most and least <= len(tokenizer.encode(instruction + text).ids) <= most:
            chosen.append(text)
    if len(chosen) < count:
        raise ValueError(f"only {len(chosen)} of {count} queries of {least} to {most} tokens found; give more files.")
    return chosen


def _load(folder: Path) -> Tokenizer:
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ValueError(f"{folder} has no tokenizer.json; give a folder with one, or leave --tokenizer out.")
    return Tokenizer.from_file(str(path))
