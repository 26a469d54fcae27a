"""Dropout whose mask is a hash of (row's key, site, position): the same however rows are batched, chunked and sharded.

A generator of cryptographic strength (Threefry, JAX's default) takes longer for the mask than the layer takes for its
products on a CPU. A mask needs words that look independent, no more, so each is a keyed integer hash of its position;
compilers fuse that with what the mask is applied to, and no array of random words ever lies in memory.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, UInt32

_GOLDEN = 0x9E3779B9  # 2^32 over the golden ratio: neighbours of a position fall far apart
_MIX = (0x85EBCA6B, 0xC2B2AE35)  # the multipliers of MurmurHash3's 32-bit finaliser (Appleby, public domain)


class DropoutSite:
    """One place where dropout is applied; its randomness depends on the row, not on how rows are batched or sharded."""

    def __init__(self, rate: float, site: int):
        """
        Args:
            rate: share of the values that are dropped, in [0, 1).
            site: number of the place; places of one number drop the same positions.
        """
        self.rate = rate
        self.site = site

    def __call__(
        self, x: Float[Array, "groups rows *rest"], row_keys: Key[Array, "groups rows"] | None
    ) -> Float[Array, "groups rows *rest"]:
        """Drops and rescales; without keys (inference) the input itself."""
        if row_keys is None or self.rate == 0.0:
            return x

        def mask(key: Key[Array, ""]) -> Array:
            return keep_mask(jax.random.fold_in(key, self.site), 1.0 - self.rate, x.shape[2:])

        keep = jax.vmap(jax.vmap(mask))(row_keys)
        return jnp.where(keep, x / (1.0 - self.rate), jnp.zeros_like(x))


def keep_mask(key: Key[Array, ""], keep: float, shape: tuple[int, ...]) -> Bool[Array, "*shape"]:
    """True with probability `keep` (to 2^-24), independently at each position.

    Raises:
        ValueError: the shape has more than 2^32 positions.
    """
    if math.prod(shape) > 2**32:
        raise ValueError(f"a dropout mask of shape {shape} has more than 2^32 positions of one row; use shorter rows.")
    return kept(hashed_words(key, shape), keep)


def hashed_words(key: Key[Array, ""], shape: tuple[int, ...]) -> UInt32[Array, "*shape"]:
    """A 32-bit word for each position of a shape, counted in C order."""
    words = key_words(key)
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    position = jnp.zeros(shape, jnp.uint32)
    for axis, stride in enumerate(strides):
        position += jax.lax.broadcasted_iota(jnp.uint32, shape, axis) * jnp.uint32(stride % 2**32)
    return hashed(position, words[0], words[1])


def key_words(keys: Key[Array, "*batch"]) -> UInt32[Array, "*batch 2"]:
    """What the hash reads of keys."""
    return jax.random.key_data(keys).astype(jnp.uint32)[..., :2]


def hashed(position: Array, first: Array, second: Array) -> Array:
    """The hash of positions under the two words of a key; of 32-bit integers with or without sign, the same bits.

    The finaliser of MurmurHash3 over the position, with one word of the key before its first multiplication and the
    other after it: with one alone, two keys would give the same words, shifted.
    """
    word = position * _number(_GOLDEN, position) + first
    word = (word ^ _shifted(word, 16)) * _number(_MIX[0], word) ^ second
    word = (word ^ _shifted(word, 13)) * _number(_MIX[1], word)
    return word ^ _shifted(word, 16)


def kept(words: Array, keep: float) -> Array:
    """Which hashed words mean that a value is kept: a share `keep` of them."""
    return _shifted(words, 8) < _number(round(keep * 2**24), words)


def _number(value: int, like: Array) -> Any:
    """A 32-bit number in the type of an array; a NumPy scalar, as kernels take no arrays from outside."""
    return np.uint32(value).view(like.dtype)


def _shifted(words: Array, bits: int) -> Array:
    return jax.lax.shift_right_logical(words, jnp.full_like(words, bits))
