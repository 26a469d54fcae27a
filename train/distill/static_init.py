"""Random weights made into a static model of a teacher: a bag of pieces, each with the teacher's vector of it.

The idea is that of static embeddings distilled from a sentence encoder (model2vec): embed every piece of a vocabulary,
reduce the vectors, weigh frequent pieces down, average. Here the average is a T5's, which the layers then improve, so
three things must fit T5:

- The final norm gives every token's state the same length, so a piece cannot weigh less by being short. Instead the
  vectors fill only the first part of the width, as long as the piece is to weigh. The rest of the length lies in the
  last part, in a random direction of the piece's own: the projection does not read it, but the layers do, so that
  frequent words ("not", and all words of instructions) stay different to them.
- Every embedding has root mean square 1, as T5's initialisation has on average.
- The layers' outputs start a tenth as large as usual: the vectors are close to the bag's, and gradients still flow.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from instructor_jax.io.bounds import TOKENIZER_BYTES
from instructor_jax.io.json_files import read_json
from instructor_jax.nn.model import Params

from .pca import principal_axes

_OWN_SHARE = 8  # one of so many dimensions is for the pieces' own directions
_LAYERS = 0.1  # size of the layers' outputs, as a share of the usual one
_SMOOTH = 1e-3  # a of Arora et al.


class Subwords(NamedTuple):
    """A vocabulary: what each subword stands for ("" for special ones), and its probability in the training text."""

    texts: list[str]
    probability: Float[np.ndarray, "pieces"]


def read_subwords(folder: Path) -> Subwords:
    """Reads the subwords of a tokenizer folder, in the order of their ids.

    Raises:
        ValueError: The tokenizer is no Unigram model in a `tokenizer.json`: others do not tell how frequent pieces are.
    """
    path = folder / "tokenizer.json"
    content = read_json(path, limit=TOKENIZER_BYTES) if path.is_file() else {}
    model = content.get("model")
    if not isinstance(model, dict) or model.get("type") != "Unigram":
        raise ValueError(
            f"{folder} has no tokenizer.json of the type Unigram, which distill.static_init needs; leave "
            "tokenizer out to have one trained, or set distill.static_init=false."
        )
    try:
        special = {str(token["content"]) for token in content.get("added_tokens") or () if token.get("special")}
        pieces = [(str(piece), float(score)) for piece, score in model["vocab"]]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(
            f"{path} is not as a Unigram tokenizer is written ({type(error).__name__}: {error})."
        ) from error
    texts = ["" if piece in special else piece.replace("▁", " ").strip() for piece, _ in pieces]
    return Subwords(texts, np.exp(np.array([score for _, score in pieces], np.float64)))


def subword_weights(pieces: Subwords) -> Float32[np.ndarray, "pieces"]:
    """Returns how much each subword counts in the mean: a / (a + probability), 0 for special ones; the rarest counts 1.

    Arora et al. 2017, A Simple but Tough-to-Beat Baseline for Sentence Embeddings, equation 3, with their a = 1e-3.
    Only ratios count in a mean; but where all words are frequent, as in a small vocabulary, weights far below 1 would
    leave the vectors too short beside what the layers add.
    """
    weights = np.where([bool(text) for text in pieces.texts], _SMOOTH / (_SMOOTH + pieces.probability), 0.0)
    return (weights / max(float(weights.max(initial=0.0)), 1e-9)).astype(np.float32)


def subword_vectors(
    pieces: Subwords, encode: Callable[[Sequence[str]], Float[np.ndarray, "texts dim"]]
) -> Float32[np.ndarray, "pieces dim"]:
    """Returns the teacher's vector of every subword; zeros for special ones."""
    given = [number for number, text in enumerate(pieces.texts) if text]
    encoded = encode([pieces.texts[number] for number in given])
    vectors = np.zeros((len(pieces.texts), encoded.shape[1]), np.float32)
    vectors[given] = encoded
    return vectors


def static_params(
    params: Params,
    vectors: Float[np.ndarray, "pieces dim"],
    weights: Float[np.ndarray, "pieces"],
    residual_outputs: Sequence[Sequence[str]],
    seed: int = 0,
) -> Params:
    """Changes random weights so that a text's vector is close to the weighted mean of its subwords' vectors.

    Args:
        params: Parameters of a model with a projection to the size of the vectors, as NumPy arrays.
        vectors: Vector of each subword, of unit length or zero; ids beyond them keep no meaning.
        weights: Weight of each subword, 0 to 1.
        residual_outputs: Of the model's family, see `Backbone`.
        seed: Random seed for the subwords' own directions.

    Raises:
        ValueError: The projection has another size, or there are more pieces than embeddings.
    """
    embedding, projection = (np.asarray(x) for x in (params["encoder"]["embed"]["embedding"], params["projection"]))
    vocab, width = embedding.shape
    if projection.shape[1] != vectors.shape[1]:
        raise ValueError(
            f"the model gives vectors of {projection.shape[1]} dimensions, the teacher of {vectors.shape[1]}; set "
            f"model.projection={vectors.shape[1]}."
        )
    if len(vectors) > vocab:
        raise ValueError(f"{len(vectors)} pieces are more than the model's vocabulary of {vocab}.")
    kept = min(width - max(1, width // _OWN_SHARE), vectors.shape[1])
    axes = principal_axes(vectors, kept, weights)
    meaning = np.zeros((vocab, kept), np.float32)
    meaning[: len(vectors)] = weights[:, None] * (vectors @ axes)
    new = np.sqrt(width) * np.concatenate([meaning, _own_directions(meaning, width - kept, seed)], axis=1)
    inverse = np.concatenate([axes.T, np.zeros((width - kept, vectors.shape[1]), np.float32)])
    encoder = {**params["encoder"], "embed": {"embedding": new.astype(np.float32)}}
    for place in residual_outputs:
        encoder = _quiet(encoder, ("layers", *place))
    return {**params, "encoder": encoder, "projection": inverse}


def _own_directions(
    meaning: Float32[np.ndarray, "vocab kept"], count: int, seed: int
) -> Float32[np.ndarray, "vocab count"]:
    """Returns a random direction for every subword, of the length that is missing to unit length."""
    random = np.random.Generator(np.random.Philox(seed)).standard_normal((len(meaning), count))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    left = np.sqrt(np.maximum(0.0, 1.0 - np.square(meaning).sum(axis=1)))
    return (random * left[:, None]).astype(np.float32)


def _quiet(tree: dict[str, Any], place: Sequence[str]) -> dict[str, Any]:
    """Returns layers whose attention and feed-forward add little to what passes through."""
    first, *rest = place
    return {**tree, first: _quiet(tree[first], rest) if rest else _LAYERS * np.asarray(tree[first])}
