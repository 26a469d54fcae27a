"""A stand-in for `instructor_jax.embedder` without JAX: a vector is a hash of its instruction and text.

As with the real one, the last bits of a vector depend on which texts are encoded by the same call; a command that cuts
its input differently after a restart gives other bytes. Run as a program, it is the console command with this stand-in:
`python fake_embedder.py encode ...`. The models: "fake", "slow" (10 ms a call) and "other" (other vectors).
"""

import hashlib
import sys
import time
from types import SimpleNamespace

import numpy as np

DIM = 24
LIMIT = 200  # characters; longer texts count as truncated


class Instructor:
    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[list] = []
        loaded.append(self)

    @classmethod
    def from_pretrained(
        cls, name, *, revision=None, cache_dir=None, local_files_only=False, dtype="float32", max_length=None, mesh=None
    ):
        if name not in ("fake", "slow", "other"):
            raise ValueError(f"no model {name!r}")
        return cls(name)

    def encode(
        self,
        sentences,
        batch_size=None,
        show_progress_bar=None,
        *,
        instruction=None,
        truncate_dim=None,
        precision="float32",
        on_overflow="warn",
        return_info=False,
    ):
        time.sleep(0.01 if self.name == "slow" else 0.0)
        self.calls.append(sentences)
        pairs = [(instruction or "", s) if isinstance(s, str) else tuple(s) for s in sentences]
        long = np.array([len(text) > LIMIT for _, text in pairs], dtype=bool)
        if on_overflow == "error" and long.any():
            raise ValueError(f"text {int(np.argmax(long))} is longer than {LIMIT}")
        together = hashlib.blake2b(repr((pairs, batch_size)).encode()).digest()[0]
        vectors = np.stack([vector(self.name, *pair) for pair in pairs]) * np.float32(1 + together * 2.0**-23)
        vectors = vectors[:, :truncate_dim]
        if precision == "float16":
            vectors = vectors.astype(np.float16)
        if precision == "ubinary":
            vectors = np.packbits(vectors > 0, axis=1)
        if precision == "int8":
            vectors = np.clip(vectors * 127, -127, 127).astype(np.int8)
        info = SimpleNamespace(token_counts=np.array([len(text.split()) + 1 for _, text in pairs]), truncated=long)
        return (vectors, info) if return_info else vectors


loaded: list[Instructor] = []


def vector(name: str, instruction: str, text: str) -> np.ndarray:
    """Words give the direction: texts that share words are near each other; the instruction turns it a little."""
    words = [w for w in text.lower().split() if w] or [""]
    parts = [_direction(f"{'other' if name == 'other' else ''}|{word}") for word in words]
    total = np.sum(parts, axis=0) + 0.1 * _direction(f"instruction|{instruction}") + 1e-3 * _direction(f"text|{text}")
    return (total / np.linalg.norm(total)).astype(np.float32)


def _direction(key: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")
    return np.random.default_rng(seed).standard_normal(DIM)


if __name__ == "__main__":
    sys.modules["instructor_jax.embedder"] = sys.modules["__main__"]
    from instructor_jax.cli import main

    main()
