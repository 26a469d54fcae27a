"""A seeded order of rows that is the same on every machine and with every version of every library.

Splits and subsamples are part of a score's definition, and generators of random numbers are not: NumPy may change
their streams between versions. So a row's place comes from a hash of the seed and the row's number.
"""

import hashlib


def drawn_order(count: int, seed: int) -> list[int]:
    """Returns 0 to count - 1 in an order that looks random; the order for another count is unrelated.

    Args:
        count: number of rows, at least 0.
        seed: any integer.
    """
    keyed = hashlib.blake2b(f"{seed}:{count}:".encode(), digest_size=8)

    def key(row: int) -> bytes:
        digest = keyed.copy()
        digest.update(str(row).encode())
        return digest.digest()

    return sorted(range(count), key=key)
