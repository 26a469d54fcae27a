"""Scorers: functions from texts to vectors whose cosines tell the mining which texts are alike.

All texts of one call share one space, which is why queries and documents are scored in a single call: the offline
scorer fits its vocabulary and its weights to the texts it is given, so vectors of two calls must not be compared.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from instructor_jax.io.sentence_transformers_model import SentenceTransformersModel
from instructor_jax.text.tfidf import Tfidf

from ...data.examples import Side
from .scorer import Scorer


@dataclasses.dataclass(frozen=True)
class TfidfScorer:
    """TF-IDF of words and of character n-grams (`instructor_jax.text.tfidf`); needs no model. Reads no instructions.

    Attributes:
        dim: Number of columns of the sketch; a smaller vocabulary is left as it is.
        features: Largest vocabulary of words and of n-grams, the most frequent ones.
        characters: Number of characters that are read of a text; models read 512 tokens, about as much.
        seed: Random seed for the sketch.
    """

    dim: int = 1024
    features: int = 100_000
    characters: int = 2000
    seed: int = 0

    @property
    def name(self) -> str:
        """Returns the name of these vectors, which tells them from those of other scorers."""
        return f"tfidf-{self.dim}-{self.features}-{self.characters}-{self.seed}"

    def __call__(self, texts: Sequence[Side]) -> Float[np.ndarray, "rows dim"]:
        plain = [side.text[: self.characters] for side in texts]
        return Tfidf(dim=self.dim, features=self.features, seed=self.seed).fit_transform(plain)


@dataclasses.dataclass(frozen=True)
class SentenceTransformerScorer:
    """A sentence-transformers model, read without instructions (extra `torch`).

    Attributes:
        model: Name on the hub or a local folder.
        batch: Number of texts of one forward pass.
    """

    model: str
    batch: int = 64

    @property
    def name(self) -> str:
        """Returns the name of these vectors, which tells them from those of other scorers."""
        return f"sentence-transformers-{self.model}"

    def __call__(self, texts: Sequence[Side]) -> Float[np.ndarray, "rows dim"]:
        plain = [side.text for side in texts]
        return self._loaded.encode(plain, batch_size=self.batch, progress=len(texts) > 10_000)

    @functools.cached_property
    def _loaded(self) -> SentenceTransformersModel:
        return SentenceTransformersModel(self.model, needed_by="A sentence-transformers scorer")


@dataclasses.dataclass(frozen=True)
class InstructorScorer:
    """An Instructor, or any object whose `encode` takes `[instruction, text]` pairs; reads the instructions.

    Attributes:
        model: The model as an object.
        model_name: Name of the model in the data version, e.g. its folder.
    """

    model: Any
    model_name: str

    @property
    def name(self) -> str:
        """Returns the name of these vectors, which tells them from those of other scorers."""
        return f"instructor-{self.model_name}"

    def __call__(self, texts: Sequence[Side]) -> Float[np.ndarray, "rows dim"]:
        return np.asarray(self.model.encode([[side.instruction, side.text] for side in texts]), np.float32)


def scorer_from_name(name: str) -> Scorer:
    """Makes the scorer `tfidf`, `tfidf:DIM`, `sentence-transformers:MODEL` or `instructor:MODEL`.

    Raises:
        ValueError: Another name.
        ImportError: The model needs an extra that is not installed.
    """
    kind, _, argument = name.partition(":")
    if kind == "tfidf" and (not argument or (argument.isdecimal() and int(argument) >= 1)):
        return TfidfScorer(int(argument)) if argument else TfidfScorer()
    if kind == "sentence-transformers" and argument:
        return SentenceTransformerScorer(argument)
    if kind == "instructor" and argument:
        from instructor_jax.embedder import Instructor

        return InstructorScorer(Instructor.from_pretrained(argument), argument)
    raise ValueError(
        f"scorer={name!r} is not known; give tfidf, tfidf:DIM, sentence-transformers:MODEL or instructor:MODEL."
    )
