"""Losses against PyTorch transcriptions in float64 and hand-made batches; their memory by XLA's own account."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instructor_jax.losses.contrastive import in_batch_loss, matryoshka, original_loss
from instructor_jax.losses.records import Pairs, Scoring
from instructor_jax.numerics import normalize
from instructor_jax.sharding import MeshShape, make_mesh, named_sharding

original = jax.jit(original_loss)
in_batch = jax.jit(in_batch_loss, static_argnames=("both_directions", "mask_false_negatives"))


def random_pairs(groups: int, n: int, k: int, dim: int, seed: int = 0, dtype: type = np.float32) -> Pairs:
    """All texts distinct, one task, nothing masked."""
    rng = np.random.default_rng(seed)

    def vectors(*shape: int) -> jax.Array:
        return normalize(jnp.asarray(rng.standard_normal((*shape, dim)).astype(dtype)))

    def ids(*shape: int) -> jax.Array:
        return jnp.asarray(rng.integers(0, 2**32, (*shape, 2), dtype=np.uint32))

    return Pairs(
        vectors(groups, n),
        vectors(groups, n),
        vectors(groups, n, k) if k else None,
        valid=jnp.ones((groups, n), bool),
        negative_valid=jnp.ones((groups, n, k), bool) if k else None,
        temperature=jnp.full((groups, n), 0.05, dtype),
        in_batch=jnp.ones((groups, n), bool),
        task=jnp.zeros((groups, n), jnp.int32),
        query_id=ids(groups, n),
        positive_id=ids(groups, n),
        negative_id=ids(groups, n, k) if k else None,
    )


def replace(pairs: Pairs, **values: object) -> Pairs:
    """`dataclasses.replace` that takes lists, too."""
    arrays = {name: jnp.asarray(value, getattr(pairs, name).dtype) for name, value in values.items()}
    return Pairs(**{**{name: getattr(pairs, name) for name in pairs.__dataclass_fields__}, **arrays})


# --- The original's formula -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("k", [0, 1, 3])
def test_original_loss_and_gradients_equal_a_torch_transcription(k: int) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(k)
    groups, n, dim, temperature = 3, 4, 16, 0.01
    arrays = [rng.standard_normal((groups * n, *shape, dim)) for shape in ((), (), (k,))]

    q, p, negatives = (torch.tensor(x, requires_grad=True) for x in arrays)
    cosine = torch.nn.functional.cosine_similarity
    terms = []
    for i in range(groups * n):
        own = cosine(q[i], p[i], dim=0)
        of_query = torch.stack([own, *(cosine(q[i], x, dim=0) for x in negatives.reshape(-1, dim))]) / temperature
        others = [cosine(p[i], q[j], dim=0) for j in range(groups * n) if j != i]
        of_positive = torch.stack([own, *others]) / temperature
        terms.append(-torch.log_softmax(of_query, 0)[0] - torch.log_softmax(of_positive, 0)[0])
    expected = torch.stack(terms).mean()
    expected.backward()

    with jax.enable_x64(True):
        template = random_pairs(groups, n, k, dim, dtype=np.float64)

        def loss(q: jax.Array, p: jax.Array, negatives: jax.Array) -> jax.Array:
            vectors = {"query": normalize(q), "positive": normalize(p)}
            if k:
                vectors["negatives"] = normalize(negatives)
            pairs = replace(template, **vectors, temperature=np.full((groups, n), temperature))
            return original_loss(pairs, Scoring(rows_at_a_time=5)).loss.mean()

        inputs = [jnp.asarray(x.reshape(groups, n, *x.shape[1:])) for x in arrays]
        value, gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))(*inputs)
        assert value.dtype == jnp.float64
    # float64 rounding (1e-16) times the 1/temperature = 100 in the exponent leaves 1e-13; 1e-9 leaves no room for a
    # float32 product in between (1e-7)
    np.testing.assert_allclose(value, expected.item(), rtol=1e-9)
    for ours, theirs in zip(gradients, (q, p, negatives), strict=True):
        if theirs.grad is not None and theirs.numel():
            reference = theirs.grad.numpy().reshape(ours.shape)
            np.testing.assert_allclose(ours, reference, rtol=1e-9, atol=1e-9 * np.abs(reference).max())


def test_original_loss_without_negatives_is_its_second_term_alone() -> None:
    pairs = random_pairs(1, 2, 0, 8)
    s = np.einsum("nd,md->nm", pairs.positive[0], pairs.query[0]) / 0.05
    expected = np.log(np.exp(s).sum(1)) - np.diag(s)
    np.testing.assert_allclose(original(pairs).loss[0], expected, rtol=1e-5)  # float32, exponents to 20
    assert in_batch(replace(pairs, in_batch=[[False, False]])).loss.tolist() == [[0.0, 0.0]]


# --- Who is a candidate: vectors whose products the reader can see ----------------------------------------------------

# Four texts along axes: a query has cosine 1 with its own positive, and 0 with all else. At temperature 1 a row's loss
# is log(e + candidates) - 1, so the loss counts the candidates.
AXES = np.eye(4, dtype=np.float32)


def by_hand(**values: object) -> Pairs:
    """Two groups of two rows with two hard negatives each, all orthogonal to every query."""
    pairs = random_pairs(2, 2, 2, 4)
    zeros = np.zeros((2, 2, 2, 4), np.float32)
    positions = AXES.reshape(2, 2, 4)
    return replace(
        pairs,
        **{"query": positions, "positive": positions, "negatives": zeros, "temperature": np.ones((2, 2))} | values,
    )


def candidates(pairs: Pairs, **options: bool) -> list[list[int]]:
    """How many candidates the query of each row has, read off its loss."""
    loss = in_batch(pairs, both_directions=False, **options).loss
    return np.rint(np.exp(np.asarray(loss) + 1) - np.e).astype(int).tolist()


def with_ids(query: list[int], positive: list[int], negatives: list[list[int]]) -> dict[str, np.ndarray]:
    """Small readable hashes; the second word is the number, the first one equal for all."""

    def words(numbers: list, *shape: int) -> np.ndarray:
        second = np.array(numbers, np.uint32).reshape(*shape)
        return np.stack([np.full_like(second, 7), second], -1)

    return {
        "query_id": words(query, 2, 2),
        "positive_id": words(positive, 2, 2),
        "negative_id": words(negatives, 2, 2, 2),
    }


DISTINCT = {"query": [1, 2, 3, 4], "positive": [11, 12, 13, 14], "negatives": [[21, 22], [23, 24], [25, 26], [27, 28]]}


def test_all_texts_of_the_task_are_candidates() -> None:
    assert candidates(by_hand()) == [[3 + 8, 11], [11, 11]]


def test_only_texts_of_the_own_task_are_candidates() -> None:
    assert candidates(by_hand(task=[[0, 0], [0, 1]])) == [[2 + 6, 8], [8, 2]]


def test_filler_rows_and_negatives_count_nowhere() -> None:
    real = np.ones((2, 2, 2), bool)
    real[0, 0, 1] = False
    pairs = by_hand(valid=[[True, True], [True, False]], negative_valid=real)
    assert candidates(pairs) == [[2 + 5, 7], [7, 0]]
    result = in_batch(pairs)
    assert result.loss[1, 1] == 0
    assert not result.contrasted[1, 1]


def test_rows_without_in_batch_negatives_see_their_own_alone() -> None:
    assert candidates(by_hand(in_batch=[[True, False], [True, True]])) == [[11, 2], [11, 11]]


def test_texts_known_to_be_right_are_no_candidates() -> None:
    ids = {**DISTINCT, "positive": [11, 11, 13, 14]}  # rows 0 and 1 share a positive: each loses the other's
    assert candidates(by_hand(**with_ids(**ids))) == [[10, 10], [11, 11]]
    ids = {**DISTINCT, "query": [1, 2, 1, 4]}  # rows 0 and 2 share a query: either's positive is right for both
    assert candidates(by_hand(**with_ids(**ids))) == [[10, 11], [10, 11]]
    ids = {**DISTINCT, "negatives": [[21, 11], [23, 24], [25, 26], [27, 12]]}  # hard negatives that are someone's right
    assert candidates(by_hand(**with_ids(**ids))) == [[10, 10], [11, 11]]
    ids = {**DISTINCT, "positive": [11, 1, 13, 14]}  # the positive of row 1 is the query of row 0 itself
    assert candidates(by_hand(**with_ids(**ids))) == [[10, 11], [11, 11]]
    assert candidates(by_hand(**with_ids(**ids)), mask_false_negatives=False) == [[11, 11], [11, 11]]


def test_hashes_that_agree_in_one_word_only_are_different_texts() -> None:
    assert candidates(by_hand(**with_ids(**DISTINCT))) == [[11, 11], [11, 11]]


def test_rows_of_one_class_are_no_candidates_and_negatives_of_other_classes_are_doubtful() -> None:
    pairs = by_hand()
    labelled = Pairs(**{**vars(pairs), "label": jnp.asarray([[5, 5], [6, 0]], jnp.uint32)})
    # rows 0, 1: positives of 2 and 3, negatives of 0 and 1; row 2: positives of 0, 1, 3 and its own negatives; row 3
    # has no label and sees all
    assert candidates(labelled) == [[2 + 4, 6], [3 + 2, 11]]


def test_label_alignment_with_hard_negatives_across_groups() -> None:
    """Each row's own positive is the target wherever its group lies: permuting the rows permutes the losses."""
    pairs = random_pairs(2, 2, 2, 4)
    order = np.random.default_rng(1).permutation(4)
    moved = jax.tree.map(lambda x: x.reshape(4, *x.shape[2:])[order].reshape(x.shape), pairs)
    for loss in (original, in_batch):
        before, after = loss(pairs), loss(moved)
        # float32 sums in another order: 1e-7 of exponents up to 20
        np.testing.assert_allclose(before.loss.reshape(4)[order], after.loss.reshape(4), rtol=1e-5)
        assert (before.correct.reshape(4)[order] == after.correct.reshape(4)).all()


def test_accuracy_counts_rows_whose_partner_beats_every_candidate() -> None:
    right = by_hand()
    assert in_batch(right, both_directions=False).correct.all()
    # the first negative of row 0 is the query of row 0 and as near as the positive: a tie is no success
    negatives = np.zeros((2, 2, 2, 4), np.float32)
    negatives[0, 0, 0] = AXES[0]
    result = in_batch(by_hand(negatives=negatives))
    assert result.correct.tolist() == [[False, True], [True, True]]
    assert result.contrasted.all()


def test_in_batch_loss_equals_a_plain_softmax_in_both_directions() -> None:
    pairs = random_pairs(2, 2, 2, 4)
    q, p, negatives = (np.asarray(x).reshape(-1, 4) for x in (pairs.query, pairs.positive, pairs.negatives))
    to_documents = q @ np.concatenate([p, negatives]).T / 0.05
    to_queries = p @ q.T / 0.05
    expected = sum(np.log(np.exp(s).sum(1)) - np.diag(q @ p.T / 0.05) for s in (to_documents, to_queries))
    # float32: exponents up to 20 lose 20 * 6e-8
    np.testing.assert_allclose(in_batch(pairs).loss.reshape(-1), expected, rtol=1e-5, atol=1e-5)


def test_temperature_is_per_row() -> None:
    pairs = random_pairs(2, 2, 2, 4)
    temperatures = np.array([[0.05, 0.1], [0.2, 1.0]])
    mixed = in_batch(replace(pairs, temperature=temperatures)).loss
    for place, temperature in np.ndenumerate(temperatures):
        alone = in_batch(replace(pairs, temperature=np.full((2, 2), temperature))).loss
        np.testing.assert_allclose(mixed[place], alone[place], rtol=1e-6)  # the same sums, perhaps fused differently


def test_matryoshka_is_the_weighted_sum_over_normalised_prefixes() -> None:
    pairs = random_pairs(2, 2, 2, 4)
    whole = in_batch(pairs)
    cut = {name: normalize(getattr(pairs, name)[..., :2]) for name in ("query", "positive", "negatives")}
    small = in_batch(replace(pairs, **cut))
    nested = matryoshka(in_batch, pairs, (4, 2), (1.0, 0.5))
    np.testing.assert_allclose(nested.loss, whole.loss + 0.5 * small.loss, rtol=1e-6)  # one more float32 addition
    assert (nested.correct == whole.correct).all()
    for dims, weights in (((2, 4), (1.0, 1.0)), ((16,), (1.0,)), ((4, 2), (1.0,)), ((), ())):
        with pytest.raises(ValueError, match=r"dims="):
            matryoshka(in_batch, pairs, dims, weights)


@pytest.mark.slow
def test_empty_slots_give_zero_gradients() -> None:
    """A filler row has zero vectors, normalised from zeros: neither NaN nor anything but 0 may flow into them."""
    template = random_pairs(2, 2, 2, 4)
    real = jnp.asarray([[True, True], [True, False]])

    def loss(q: jax.Array, p: jax.Array, negatives: jax.Array) -> jax.Array:
        vectors = {"query": normalize(q), "positive": normalize(p), "negatives": normalize(negatives)}
        pairs = replace(template, **vectors, valid=real, negative_valid=real[..., None] & jnp.ones((2, 2, 2), bool))
        prefixes = matryoshka(in_batch, pairs, (4, 2), (1.0, 1.0)).loss
        return (prefixes + original(pairs).loss).sum()

    keep = jnp.asarray(real)[..., None]
    inputs = (
        template.query * keep,
        template.positive * keep,
        (template.negatives if template.negatives is not None else 0) * keep[..., None],
    )
    for gradient in jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(*inputs):
        assert jnp.isfinite(gradient).all()
        assert (gradient[1, 1] == 0).all()
        assert (gradient[0] != 0).any()


def test_bound_scores_stay_finite_at_the_paper_s_lowest_temperature() -> None:
    """Opposite partner, equal candidate: the score differs by 200 nats, which float32 cannot exponentiate."""
    q = jnp.asarray(AXES[None, :2])
    pairs = replace(random_pairs(1, 2, 1, 4), query=q, positive=-q, negatives=q[:, :, None], temperature=[[0.01, 0.01]])
    loss, gradient = jax.value_and_grad(lambda x: original(replace(pairs, query=x)).loss.sum())(q)
    assert np.isfinite(loss)
    assert loss > 2 * 200
    assert jnp.isfinite(gradient).all()


# --- Over devices, and memory -----------------------------------------------------------------------------------------


def both_losses(vectors: tuple) -> tuple:
    """A scalar whose gradient involves both losses, and what they say of every row."""
    pairs = replace(random_pairs(8, 3, 2, 8), query=vectors[0], positive=vectors[1], negatives=vectors[2])
    rows = original_loss(pairs), in_batch_loss(pairs)
    return rows[0].loss.sum() + rows[1].loss.sum(), rows


@cache
def unsharded() -> tuple:
    pairs = random_pairs(8, 3, 2, 8, seed=1)
    vectors = (pairs.query, pairs.positive, pairs.negatives)
    return vectors, *jax.jit(jax.grad(both_losses, has_aux=True))(vectors)


@pytest.mark.parametrize("shape", [MeshShape(), MeshShape(data=2, fsdp=4), MeshShape(data=2, fsdp=2, tensor=2)])
def test_sharded_equals_unsharded(shape: MeshShape) -> None:
    vectors, expected_gradients, expected = unsharded()
    mesh = make_mesh(shape)
    with jax.set_mesh(mesh):
        step = jax.jit(jax.grad(both_losses, has_aux=True))
        gradients, got = step(jax.device_put(vectors, named_sharding(mesh, "batch")))
    # float32 sums in another order
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-5)
        assert (ours.correct == theirs.correct).all()
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@cache
def compiled_loss(rows: int, groups: int, sharded: bool) -> "jax.stages.Compiled":
    """The in-batch loss with gradients of `rows` rows with a hard negative each, compiled but never run.

    64 rows of scores at a time: fewer than a device's share of the smallest batch, from where on memory is linear.
    """
    n, dim = rows // groups, 64
    pairs = jax.eval_shape(partial(random_pairs, groups, 1, 1, dim))
    mesh = make_mesh(MeshShape()) if sharded else None
    place = None if mesh is None else named_sharding(mesh, "batch")
    pairs = jax.tree.map(lambda x: jax.ShapeDtypeStruct((x.shape[0], n, *x.shape[2:]), x.dtype, sharding=place), pairs)

    def total(vectors: tuple, pairs: Pairs) -> jax.Array:
        whole = Pairs(**{**vars(pairs), **dict(zip(("query", "positive", "negatives"), vectors, strict=True))})
        return in_batch_loss(whole, Scoring(rows_at_a_time=64)).loss.mean()

    step = jax.jit(jax.value_and_grad(total))
    vectors = (pairs.query, pairs.positive, pairs.negatives)
    if mesh is None:
        return step.lower(vectors, pairs).compile()
    with jax.set_mesh(mesh):
        return step.lower(vectors, pairs).compile()


def memory(compiled: jax.stages.Compiled) -> int:
    """Bytes of temporary arrays on one device."""
    analysis = compiled.memory_analysis()
    assert analysis is not None
    return analysis.temp_size_in_bytes


@pytest.mark.slow
@pytest.mark.parametrize("sharded", [False, True])
def test_memory_is_linear_in_the_batch(sharded: bool) -> None:
    small, large = (memory(compiled_loss(rows, 8, sharded)) for rows in (1024, 65536))
    # 64 times the rows, 64 times the memory; 5 % because the compiler rounds its buffers and tiles
    assert large <= 64 * 1.05 * small
    # the score matrix alone would be 65,536 x 131,072 floats
    assert large < 65536 * 131072 * 4 / 64


@pytest.mark.slow
def test_columns_are_gathered_once_and_their_gradients_scattered_once() -> None:
    """No collective is inside the loop over rows."""
    text = compiled_loss(1024, 8, True).as_text()
    assert text is not None
    collectives = ("all-gather(", "reduce-scatter(", "all-reduce(")
    outside, inside = ([], [])
    for computation in text.split("\n\n"):
        found = [word for word in collectives for _ in range(computation.count(word))]
        (outside if computation.startswith("ENTRY") else inside).extend(found)
    assert not inside
    assert outside.count("reduce-scatter(") == 2  # of the documents, and of the queries in the other direction
