"""`pack`: a batch of the shape that was asked for, whose vectors come out in the caller's order."""

import jax
import numpy as np
import pytest

from instructor_jax import embed, pack

TEXTS = ["a boiler", ["Represent the sentence: ", "bread needs flour"], "one", "and one more text", "a boiler"]


@pytest.mark.parametrize(("groups", "rows"), [(1, 3), (2, 2), (5, 1)])
def test_vectors_have_the_order_of_the_texts(embedder, groups: int, rows: int) -> None:
    batch = pack(TEXTS, embedder, rows=rows, length=32, groups=groups)
    each = -(-len(TEXTS) // groups)
    assert batch.tokens.shape == batch.segments.shape == batch.pooled.shape == (groups, rows, 32)
    assert batch.slots.shape == (groups, each)
    vectors = np.asarray(jax.jit(embed, static_argnums=0)(embedder.config, embedder.params, batch))
    assert vectors.shape == (groups, each, embedder.config.embedding_dim)
    flat = vectors.reshape(groups * each, -1)
    one_by_one = [embedder.encode([text])[0] for text in TEXTS]
    assert np.abs(flat[: len(TEXTS)] - one_by_one).max() <= 2e-6  # float32 sums over other padding
    assert not flat[len(TEXTS) :].any()


def test_the_shape_follows_from_the_numbers_alone(embedder) -> None:
    shapes = {
        tuple(leaf.shape for leaf in jax.tree.leaves(batch))
        for texts in (TEXTS, TEXTS[:1], [])
        for batch in [pack(texts, embedder.tokenizer, rows=4, length=64, groups=2, texts_per_group=6)]
    }
    assert shapes == {((2, 4, 64), (2, 4, 64), (2, 4, 64), (2, 6))}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 0, "length": 32}, "rows=0 must be at least 1"),
        ({"rows": 1, "length": 32, "texts_per_group": 3}, "5 texts are more than groups=1 of texts_per_group=3 hold"),
        ({"rows": 5, "length": 4}, "more than a row of length=4; take longer rows"),
        ({"rows": 1, "length": 24}, "5 texts of a group need rows=[2-5] of 24 tokens, not rows=1"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_numbers_that_would(embedder, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack(TEXTS, embedder, **options)
