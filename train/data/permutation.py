"""Orders that depend on a key and nothing else: the same on every machine, in every process, with every NumPy.

NumPy promises its random bits only, not the permutations it makes of them, and a run must go on with the same rows
after an upgrade. So an order here is a sort of hashed positions (splitmix64), and only integers are involved.
"""

import hashlib

import numpy as np
from jaxtyping import Int32


def key_of(*parts: int | str) -> int:
    """Returns a 64-bit key of numbers and names; different parts give different keys."""
    text = "\0".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def keyed_order(key: int, size: int) -> Int32[np.ndarray, "size"]:
    """Returns a permutation of 0 .. size - 1, size below 2**31."""
    # splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014): its state after i steps,
    # mixed. The multiplications are meant to wrap.
    state = np.uint64(key) + np.arange(1, size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.argsort(state ^ (state >> np.uint64(31)), kind="stable").astype(np.int32)
