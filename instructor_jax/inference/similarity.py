"""How alike two vectors are, by the four measures of sentence-transformers: the greater, the more alike.

Distances are negated for that. Cosine is what the published models are trained for.
"""

from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Float32

from instructor_jax.arguments import one_of
from instructor_jax.inference.quantization import unit_length
from instructor_jax.io.printable import shown

Measure = Literal["cosine", "dot", "euclidean", "manhattan"]


def measure_name(value: Any) -> Measure:
    """The measure's name, from a string or a `SimilarityFunction` of sentence-transformers; None means cosine.

    Raises:
        ValueError: it is none of the four.
    """
    name = "cosine" if value is None else getattr(value, "value", value)
    return one_of("similarity_fn_name", name, get_args(Measure))  # pyright: ignore[reportReturnType]


def similarities(
    measure: Measure, first: Float[np.ndarray, "n dim"], second: Float[np.ndarray, "m dim"]
) -> Float32[np.ndarray, "n m"]:
    """Every vector of the first array with every one of the second."""
    if measure == "manhattan":  # row by row: all differences at once would take n * m * dim numbers
        rows = [-np.abs(row - second).sum(axis=1) for row in first]
        return np.stack(rows) if rows else np.zeros((0, len(second)), np.float32)
    if measure == "cosine":
        first, second = unit_length(first), unit_length(second)
    products = first @ second.T
    if measure != "euclidean":
        return products
    squares = (first * first).sum(axis=1)[:, None] + (second * second).sum(axis=1) - 2 * products
    return -np.sqrt(np.maximum(squares, 0))


def pairwise_similarities(
    measure: Measure, first: Float[np.ndarray, "n dim"], second: Float[np.ndarray, "n dim"]
) -> Float32[np.ndarray, " n"]:
    """The first vector of one array with the first of the other, and so on."""
    if measure == "manhattan":
        return -np.abs(first - second).sum(axis=1)
    if measure == "euclidean":
        return -np.linalg.norm(first - second, axis=1)
    if measure == "cosine":
        first, second = unit_length(first), unit_length(second)
    return np.einsum("nd,nd->n", first, second)


def as_rows(name: str, vectors: Any) -> Float32[np.ndarray, "n dim"]:
    """Vectors as a float32 array of two dimensions; a single vector is a row.

    Args:
        name: the argument's, for messages.
        vectors: an array, a tensor, a list of either, or numbers.

    Raises:
        ValueError: they are no numbers, or not all of one length.
    """
    if vectors is None:
        raise ValueError(f"{name}=None: vectors of numbers are needed.")
    if hasattr(vectors, "detach"):  # a torch tensor, which may be on a GPU or carry a gradient
        vectors = vectors.detach().cpu().float()
    elif isinstance(vectors, list | tuple):
        vectors = [one.detach().cpu().float() if hasattr(one, "detach") else one for one in vectors]
    try:
        rows = np.atleast_2d(np.asarray(vectors, np.float32))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}={shown(vectors)} must be vectors of numbers, all of one length.") from error
    if rows.ndim != 2:
        raise ValueError(f"{name} has the shape {rows.shape}; [texts, dimensions] or [dimensions] is needed.")
    return rows
