"""An embedder whose vectors are known beforehand, for tests that compute the same figures by other means."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from instructor_jax.evaluation.task_instructions import InstructionTable, TaskInstructions


class KnownVectors:
    """Looks vectors up by text, or makes one from a hash of instruction and text where there is none.

    Attributes:
        seen: the (instruction, text) pairs that were encoded, in order.
    """

    name, revision, max_length, parameters = "test/known", "1", 512, 1

    def __init__(self, vectors: Mapping[str, Sequence[float]] | None = None, dimension: int = 16) -> None:
        self._vectors = dict(vectors or {})
        self.dimension = len(next(iter(self._vectors.values()))) if self._vectors else dimension
        self.seen: list[tuple[str, str]] = []

    def encode(self, texts: Sequence[str], instruction: str) -> np.ndarray:
        self.seen += [(instruction, text) for text in texts]
        return np.array([self._vectors.get(text, self._hashed(instruction + text)) for text in texts], np.float32)

    def count_tokens(self, texts: Sequence[str], instruction: str) -> list[int]:
        return [len((instruction + text).split()) for text in texts]

    def _hashed(self, text: str) -> list[float]:
        seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
        return np.random.default_rng(seed).normal(size=self.dimension).tolist()


def table_of(*tasks: str) -> InstructionTable:
    """Instructions "<task> query: " and "<task> document: "."""
    return InstructionTable({task: TaskInstructions(f"{task} query: ", f"{task} document: ") for task in tasks}, "test")
