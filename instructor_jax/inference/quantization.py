"""Small vectors: truncated dimensions, float16, int8/uint8 with stored ranges, and one bit per dimension.

Ranges belong to a model, not to a batch: taken from the batch at hand, the same text would get other bytes in other
company, and a single query would get nothing but zeros. So they are computed once, stored, and required.
"""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Float16, Float32, Shaped

from instructor_jax.arguments import one_of

Precision = Literal["float32", "float16", "int8", "uint8", "binary", "ubinary"]


def check_precision(precision: str) -> None:
    """Raises a `ValueError` unless it is one of the known precisions."""
    one_of("precision", precision, get_args(Precision))


def truncate(vectors: Float32[np.ndarray, "n dim"], dim: int | None) -> Float32[np.ndarray, "n kept"]:
    """The first `dim` dimensions at unit length again; the vectors themselves where `dim` is None.

    Raises:
        ValueError: there are fewer dimensions than asked for.
    """
    if dim is None:
        return vectors
    if not 1 <= dim <= vectors.shape[1]:
        raise ValueError(f"truncate_dim={dim} must be between 1 and the model's {vectors.shape[1]} dimensions.")
    return unit_length(vectors[:, :dim])


def unit_length(vectors: Float[np.ndarray, "n dim"]) -> Float32[np.ndarray, "n dim"]:
    """Vectors of length 1; a zero vector stays zero."""
    vectors = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.float32(1e-12))


def ranges_of(vectors: Float32[np.ndarray, "n dim"]) -> Float32[np.ndarray, "2 dim"]:
    """Least and greatest value of each dimension over a calibration set: the ranges for int8 and uint8.

    Raises:
        ValueError: fewer than 100 vectors, whose extremes say little about others.
    """
    if len(vectors) < 100:
        raise ValueError(
            f"{len(vectors)} vectors are too few for int8 ranges; use at least 100, better some thousands."
        )
    return np.stack([vectors.min(axis=0), vectors.max(axis=0)]).astype(np.float32)


def quantize(
    vectors: Float32[np.ndarray, "n dim"], precision: Precision, ranges: Float[np.ndarray, "2 dim"] | None
) -> Shaped[np.ndarray, "n columns"]:
    """Vectors in the given precision, by the formulas of sentence-transformers' `quantize_embeddings`.

    float16 keeps 11 bits of each number, half the bytes. int8 and uint8 divide each dimension's range into 255 steps
    (values outside it are clipped); binary packs the signs of eight dimensions into a byte (`ubinary`), shifted by 128
    for `binary`.

    Args:
        vectors: float32.
        precision: the result's kind.
        ranges: from `ranges_of`; needed for int8 and uint8.

    Raises:
        ValueError: the precision is unknown, ranges are missing, the dimension is no multiple of 8 for bits, or a
            number is too large for float16.
    """
    check_precision(precision)
    if precision == "float32":
        return vectors
    if precision == "float16":
        return _as_float16(vectors)
    if precision in ("binary", "ubinary"):
        if vectors.shape[1] % 8:
            raise ValueError(f"precision={precision!r} packs 8 dimensions into a byte; {vectors.shape[1]} do not fit.")
        bits = np.packbits(vectors > 0, axis=1)
        return bits if precision == "ubinary" else (bits.astype(np.int16) - 128).astype(np.int8)
    if ranges is None:
        raise ValueError(
            f"precision={precision!r} needs the model's ranges for {vectors.shape[1]} dimensions: call "
            "calibrate_int8(texts) once with typical texts (save_pretrained stores them), or use float32."
        )
    low, high = ranges
    steps = (high - low) / 255
    levels = np.clip(np.floor((vectors - low) / np.where(steps == 0, 1, steps)), 0, 255)
    return levels.astype(np.uint8) if precision == "uint8" else (levels - 128).astype(np.int8)


def _as_float16(vectors: Float32[np.ndarray, "n dim"]) -> Float16[np.ndarray, "n dim"]:
    largest = np.abs(vectors).max(initial=0.0)
    if largest > np.finfo(np.float16).max:  # of a model that does not normalise its vectors
        raise ValueError(f"precision='float16' holds numbers up to 65,504; a vector has {largest:g}. Use float32.")
    return vectors.astype(np.float16)
