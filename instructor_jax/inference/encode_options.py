"""The options of `encode`, checked before any work is done."""

import dataclasses
from typing import Any, get_args

import numpy as np

from instructor_jax.arguments import flag, one_of, whole_number
from instructor_jax.inference.quantization import Precision, quantize, truncate, unit_length
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.text.tokenization import OnOverflow

_MOST_TEXTS = 2**31 - 1  # of a device call; positions are 32-bit integers


@dataclasses.dataclass(frozen=True)
class EncodeOptions:
    """What becomes of the texts of one call.

    Attributes:
        batch_size: most texts per device call.
        on_overflow: what to do with texts that are too long.
        truncate_dim: dimensions to keep.
        precision: of the result.
        normalize: unit length, whatever the model does.
    """

    batch_size: int | None
    on_overflow: OnOverflow
    truncate_dim: int | None
    precision: Precision
    normalize: bool

    def shrink(self, vectors: np.ndarray, folder: ModelFolder) -> np.ndarray:
        """The model's vectors as the caller wants them.

        Raises:
            ValueError: there are fewer dimensions than asked for, or the precision cannot be had.
        """
        if self.normalize and not folder.config.normalize:
            vectors = unit_length(vectors)
        vectors = truncate(vectors, self.truncate_dim)
        return quantize(vectors, self.precision, folder.int8_ranges.get(vectors.shape[1]))


def encode_options(
    folder: ModelFolder,
    *,
    batch_size: Any = None,
    on_overflow: Any = "warn",
    truncate_dim: Any = None,
    precision: Any = None,
    normalize_embeddings: Any = False,
) -> EncodeOptions:
    """The options, checked; None for the precision means float32, as sentence-transformers' evaluators pass it.

    Raises:
        ValueError: one has a wrong type or value; the message says which, and what is allowed.
    """
    dimensions = folder.config.embedding_dim
    if truncate_dim is not None:
        truncate_dim = _kept_dimensions(truncate_dim, dimensions)
    options = EncodeOptions(
        None if batch_size is None else whole_number("batch_size", batch_size, 1, _MOST_TEXTS),
        one_of("on_overflow", on_overflow, get_args(OnOverflow)),  # pyright: ignore[reportArgumentType]
        truncate_dim,
        one_of("precision", "float32" if precision is None else precision, get_args(Precision)),  # pyright: ignore[reportArgumentType]
        flag("normalize_embeddings", normalize_embeddings),
    )
    options.shrink(np.zeros((0, dimensions), np.float32), folder)  # what cannot be done is refused before any work
    return options


def _kept_dimensions(value: Any, dimensions: int) -> int:
    number = whole_number("truncate_dim", value, -_MOST_TEXTS, _MOST_TEXTS)
    if not 1 <= number <= dimensions:
        raise ValueError(f"truncate_dim={number} must be between 1 and the model's {dimensions} dimensions.")
    return number
